import type { ReactNode } from "react";
import { describe } from "../lib/problem";
import { Icon } from "./Icon";

interface Props {
  /** What was thrown, or a failure that the API reports. */
  error: unknown;
  title?: string;
  /** Something to do about it. */
  children?: ReactNode;
  onDismiss?: () => void;
}

/** An error as a sentence that says what to do, and the code to look up or to report. */
export function Notice({ error, title, children, onDismiss }: Props) {
  const { code, message } = isFailure(error) ? error : describe(error);
  return (
    <div className="notice" role="alert">
      <Icon name="alert" />
      <div className="notice-text">
        {title && <strong>{title}</strong>}
        <p>
          {message} <code>{code}</code>
        </p>
        {children}
      </div>
      {onDismiss && (
        <button type="button" className="icon-button" aria-label="Dismiss" onClick={onDismiss}>
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}

function isFailure(error: unknown): error is { code: string; message: string } {
  return typeof error === "object" && error !== null && !(error instanceof Error) && "code" in error && "message" in error;
}
