import type { ReactNode } from "react";
import { type Theme, useTheme } from "../lib/theme";
import { Icon, type IconName } from "./Icon";
import { IconButton } from "./IconButton";
import { Link } from "./Link";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const ICONS: Record<Theme, IconName> = { system: "system", light: "sun", dark: "moon" };
const NAMES: Record<Theme, string> = { system: "as the system", light: "light", dark: "dark" };

function ThemeSwitch() {
  const [theme, setTheme] = useTheme();
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={`Colours: ${NAMES[theme]}. Change to ${NAMES[NEXT[theme]]}`}
      title={`Colours: ${NAMES[theme]}`}
      onClick={() => setTheme(NEXT[theme])}
    >
      <Icon name={ICONS[theme]} />
    </button>
  );
}

/** The bar at the top: home, what the page puts there, colours. */
export function Header({ children, onSignOut }: { children?: ReactNode; onSignOut?: (() => void) | undefined }) {
  return (
    <header className="header">
      <a className="skip-link" href="#main">
        To the content
      </a>
      <Link href="/" className="brand" aria-label="Quire: all documents">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M16 8.5c-3-2.1-6.6-2.8-10.5-2.2v17.4c3.9-.6 7.5.1 10.5 2.2 3-2.1 6.6-2.8 10.5-2.2V6.3c-3.9-.6-7.5.1-10.5 2.2Zm0 0v17.4" />
        </svg>
        <span>Quire</span>
      </Link>
      <div className="header-content">{children}</div>
      <div className="header-tools">
        <ThemeSwitch />
        {onSignOut && <IconButton icon="leave" label="Forget the API key" onClick={onSignOut} />}
      </div>
    </header>
  );
}
