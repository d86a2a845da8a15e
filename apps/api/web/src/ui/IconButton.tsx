import type { ButtonHTMLAttributes } from "react";
import { Icon, type IconName } from "./Icon";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  icon: IconName;
  /** What it does: its name to screen readers, its hint to everybody else. */
  label: string;
}

export function IconButton({ icon, label, className = "", ...more }: Props) {
  return (
    <button type="button" className={`icon-button ${className}`} aria-label={label} title={label} {...more}>
      <Icon name={icon} />
    </button>
  );
}
