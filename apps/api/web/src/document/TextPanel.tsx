import { type KeyboardEvent, useEffect, useMemo, useRef } from "react";
import type { Page } from "../lib/api";
import { isUnsure, lineConfidences, nextOf } from "../lib/confidence";
import { marked, percent, plural } from "../lib/format";
import { Icon } from "../ui/Icon";
import { IconButton } from "../ui/IconButton";
import { Menu } from "../ui/Menu";

interface Props {
  page: Page | null;
  hovered: number | null;
  selected: number | null;
  query: string;
  onHover: (line: number | null) => void;
  onSelect: (line: number) => void;
  onCopy: (text: string, what: string) => void;
  onCopyAll: () => void;
}

const SOURCES = { ocr: "Read by OCR", text_layer: "The file's own text", mixed: "Own text and OCR" };

/** The lines of a page; each belongs to a box on the image. */
export function TextPanel({ page, hovered, selected, query, onHover, onSelect, onCopy, onCopyAll }: Props) {
  const list = useRef<HTMLOListElement>(null);
  const lines = page?.detections ?? [];
  const confidences = useMemo(() => (page ? lineConfidences(page) : []), [page]);
  const unsure = confidences.flatMap((confidence, line) => (isUnsure(confidence) ? [line] : []));

  useEffect(() => {
    const shown = hovered ?? selected;
    if (shown !== null) list.current?.querySelector(`[data-line="${shown}"]`)?.scrollIntoView({ block: "nearest" });
  }, [hovered, selected, page]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const at = Number((event.target as HTMLElement).closest<HTMLElement>("[data-line]")?.dataset.line ?? -1);
    const target = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (at < 0 || target === undefined || !lines[target]) return;
    event.preventDefault();
    event.stopPropagation();
    onSelect(target);
    list.current?.querySelector<HTMLElement>(`[data-line="${target}"] .line-text`)?.focus();
  };

  const copyMenu = (
    <Menu
      label="Copy text"
      className="button small"
      button={
        <>
          <Icon name="copy" /> Copy <Icon name="down" />
        </>
      }
      items={[
        { label: "This page", disabled: !page?.text, onSelect: () => onCopy(page?.text ?? "", "The page") },
        { label: "All pages", onSelect: onCopyAll },
      ]}
    />
  );

  if (!page) {
    return (
      <>
        <div className="panel-bar">
          <span className="skeleton text" />
          {copyMenu}
        </div>
        <div className="line-skeletons" aria-label="Loading">
          {Array.from({ length: 9 }, (_, index) => (
            <span key={index} className="skeleton text" />
          ))}
        </div>
      </>
    );
  }
  return (
    <>
      <div className="panel-bar">
        <p className="panel-facts">
          <span>{plural(lines.length, "line")}</span>
          {page.source && <span>{SOURCES[page.source]}</span>}
        </p>
        {unsure.length > 0 && (
          <button
            type="button"
            className="button small unsure"
            title="Go to the next line that may be wrong (N)"
            onClick={() => {
              const next = nextOf(unsure, selected);
              if (next !== null) onSelect(next);
            }}
          >
            {unsure.length} unsure
          </button>
        )}
        {copyMenu}
      </div>
      {lines.length === 0 && (
        <div className="empty small">
          <h2>No text on this page</h2>
          <p>It may be blank, or hold pictures only.</p>
        </div>
      )}
      <ol className="lines" ref={list} aria-label="Lines of text" onKeyDown={onKeyDown} onPointerLeave={() => onHover(null)}>
        {lines.map((line, index) => (
          <LineRow
            key={index}
            index={index}
            text={line.text}
            confidence={confidences[index] ?? 1}
            query={query}
            hovered={hovered === index}
            selected={selected === index}
            reachable={index === (selected ?? 0)}
            onHover={onHover}
            onSelect={onSelect}
            onCopy={onCopy}
          />
        ))}
      </ol>
    </>
  );
}

interface RowProps extends Pick<Props, "query" | "onHover" | "onSelect" | "onCopy"> {
  index: number;
  text: string;
  /** Of its least sure word. */
  confidence: number;
  hovered: boolean;
  selected: boolean;
  /** Whether Tab stops here: arrows go on to the other lines. */
  reachable: boolean;
}

function LineRow({ index, text, confidence, query, hovered, selected, reachable, onHover, onSelect, onCopy }: RowProps) {
  const unsure = isUnsure(confidence);
  return (
    <li
      data-line={index}
      className={["line", unsure && "unsure", hovered && "hovered", selected && "selected"].filter(Boolean).join(" ")}
      onPointerEnter={(event) => event.pointerType !== "touch" && onHover(index)}
    >
      <button
        type="button"
        className="line-text"
        tabIndex={reachable ? 0 : -1}
        aria-current={selected ? "true" : undefined}
        onClick={() => onSelect(index)}
        onFocus={() => onHover(index)}
        onBlur={() => onHover(null)}
      >
        <Marked text={text} query={query} />
        {unsure && (
          <span className="line-confidence">
            <span className="visually-hidden">, unsure: </span>
            {percent(confidence)}
          </span>
        )}
      </button>
      <IconButton
        icon="copy"
        label={`Copy line ${index + 1}`}
        className="line-copy"
        tabIndex={reachable ? 0 : -1}
        onClick={() => onCopy(text, "The line")}
      />
    </li>
  );
}

export function Marked({ text, query }: { text: string; query: string }) {
  return marked(text, query).map((part, index) => (part.match ? <mark key={index}>{part.text}</mark> : <span key={index}>{part.text}</span>));
}
