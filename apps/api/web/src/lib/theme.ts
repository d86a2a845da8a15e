/** Light or dark: the system's choice until the user makes one. `public/theme.js` sets it before the first paint. */

import { useState } from "react";
import { load, store } from "./storage";

export type Theme = "system" | "light" | "dark";
const NAME = "quire.theme";

function current(): Theme {
  const theme = load(NAME);
  return theme === "light" || theme === "dark" ? theme : "system";
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(current);
  return [
    theme,
    (chosen) => {
      setTheme(chosen);
      store(NAME, chosen === "system" ? null : chosen);
      if (chosen === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = chosen;
    },
  ];
}
