import { type KeyboardEvent, type ReactNode, useId } from "react";

export type Tab = "text" | "search" | "study" | "pages";

const NAMES: Record<Tab, string> = { text: "Text", search: "Search", study: "Study", pages: "Pages" };

/** The panel's tabs; arrows go from one to the next. `children` is what the chosen one shows. */
export function Tabs({ tab, onTab, withPages, children }: { tab: Tab; onTab: (tab: Tab) => void; withPages: boolean; children: ReactNode }) {
  const id = useId();
  const tabs: Tab[] = withPages ? ["text", "search", "study", "pages"] : ["text", "search", "study"];

  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step && tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    if (!next) return;
    event.preventDefault();
    onTab(next);
    event.currentTarget.querySelector<HTMLElement>(`[data-tab="${next}"]`)?.focus();
  };

  return (
    <>
      <div className="tabs" role="tablist" aria-label="Text and study aids" onKeyDown={onKeyDown}>
        {tabs.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`${id}-${name}`}
            data-tab={name}
            aria-selected={name === tab}
            aria-controls={`${id}-panel`}
            tabIndex={name === tab ? 0 : -1}
            onClick={() => onTab(name)}
          >
            {NAMES[name]}
          </button>
        ))}
      </div>
      <div className="tab-panel" role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${tab}`}>
        {children}
      </div>
    </>
  );
}
