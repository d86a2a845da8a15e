import { type ReactNode, useState } from "react";
import type { Page } from "../lib/api";
import { load, store } from "../lib/storage";
import { BlockList } from "./BlockList";
import "../styles/structure.css";

interface Props {
  id: string;
  page: Page | null;
  onSelect: (line: number) => void;
  onCopy: (text: string, what: string) => void;
  /** The page's lines. */
  children: ReactNode;
}

const SHOWN = "text-as";

/** The text of a page as blocks or as lines, where it has blocks; else as lines. */
export function WithBlocks({ id, page, onSelect, onCopy, children }: Props) {
  const [asLines, setAsLines] = useState(() => load(SHOWN) === "lines");
  if (!page?.blocks?.length) return children;

  const choose = (lines: boolean): void => {
    setAsLines(lines);
    store(SHOWN, lines ? "lines" : null);
  };
  return (
    <>
      <div className="text-as" role="group" aria-label="Show the text as">
        <button type="button" aria-pressed={!asLines} onClick={() => choose(false)}>
          Blocks
        </button>
        <button type="button" aria-pressed={asLines} onClick={() => choose(true)}>
          Lines
        </button>
      </div>
      {asLines ? children : <BlockList id={id} number={page.page_number} blocks={page.blocks} onSelect={onSelect} onCopy={onCopy} />}
    </>
  );
}
