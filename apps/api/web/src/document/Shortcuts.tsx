import { useEffect } from "react";
import { useLatest } from "../lib/useLatest";
import { Dialog } from "../ui/Dialog";

/** What a key does, by the key's name. */
export type KeyMap = Record<string, () => void>;

const TYPING = "input, textarea, select, [contenteditable], dialog";

/** Keys that work wherever the focus is, unless somebody types. */
export function useShortcuts(keys: KeyMap, enabled: boolean): void {
  const latest = useLatest(keys);
  useEffect(() => {
    if (!enabled) return;
    const listener = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof Element && event.target.closest(TYPING)) return;
      const action = latest.current[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    window.addEventListener("keydown", listener);
    return () => window.removeEventListener("keydown", listener);
  }, [enabled, latest]);
}

const TABLE: [string[], string][] = [
  [["J", "PageDown"], "Next page"],
  [["K", "PageUp"], "Previous page"],
  [["Home", "End"], "First page, last page"],
  [["N"], "Next unsure line"],
  [["/"], "Search"],
  [["+", "−"], "Zoom in, zoom out"],
  [["0", "W"], "Fit the page, fit the width"],
  [["R"], "Turn the page"],
  [["B"], "Boxes: lines, words, none"],
  [["C"], "Copy the selected line, or else the page"],
  [["↑", "↓"], "In the text: the line before, the line after"],
  [["←", "→"], "On flashcards: the card before, the card after"],
  [["Esc"], "Hide the evidence of a study aid"],
  [["?"], "These keys"],
];

export function ShortcutsDialog({ enabled, onEnabled, onClose }: { enabled: boolean; onEnabled: (enabled: boolean) => void; onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <table className="keys">
        <tbody>
          {TABLE.map(([keys, what]) => (
            <tr key={what}>
              <th scope="row">
                {keys.map((name) => (
                  <kbd key={name}>{name}</kbd>
                ))}
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <label className="checkbox">
        <input type="checkbox" checked={enabled} onChange={(event) => onEnabled(event.target.checked)} />
        Single keys are on
      </label>
      <div className="dialog-actions">
        <button type="button" className="button" autoFocus onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
