import { memo, type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { PageStatus } from "../lib/api";
import { documentPath } from "../lib/router";
import { nearestIndex } from "../lib/pageNumbers";
import { useSize } from "../lib/useSize";
import { rowsInSight, scrollToShow } from "../lib/windowing";
import { Icon } from "../ui/Icon";
import { Link } from "../ui/Link";
import { useImage } from "./useImage";

const ROW_HEIGHT = 176;
const CELL_WIDTH = 112;
const THUMBNAIL_WIDTH = 160;
// While somebody scrolls past, nothing is asked for.
const SCROLL_PAUSE = 120;

interface Props {
  id: string;
  numbers: readonly number[];
  current: number | null;
  /** The study aid that stays open. */
  aid: string | null;
  statusOf: (number: number) => PageStatus;
  onSelect: (number: number) => void;
}

/** Every page as a small picture: only those in sight are drawn and fetched, so that there may be thousands. */
export function PageRail({ id, numbers, current, aid, statusOf, onSelect }: Props) {
  const rail = useRef<HTMLDivElement>(null);
  const { width, height } = useSize(rail);
  const [scrollTop, setScrollTop] = useState(0);
  const columns = Math.max(1, Math.floor(width / CELL_WIDTH));
  const rows = Math.ceil(numbers.length / columns);
  const { start, end } = rowsInSight(scrollTop, height, ROW_HEIGHT, rows);
  const at = current === null ? 0 : nearestIndex(numbers, current);

  useEffect(() => {
    const element = rail.current;
    if (!element || height === 0) return;
    element.scrollTop = scrollToShow(Math.floor(at / columns), element.scrollTop, height, ROW_HEIGHT);
  }, [at, columns, height]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: columns, ArrowUp: -columns, ArrowRight: 1, ArrowLeft: -1, Home: -at, End: numbers.length - 1 - at }[event.key];
    const target = step === undefined ? undefined : numbers[at + step];
    if (target === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onSelect(target);
    // The link is there after the next drawing.
    requestAnimationFrame(() => rail.current?.querySelector<HTMLElement>("[aria-current=page]")?.focus());
  };

  const shown = numbers.slice(start * columns, end * columns);
  return (
    <div
      className="rail"
      ref={rail}
      onScroll={(event) => setScrollTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
    >
      <ul
        aria-label={`Pages, ${numbers.length}`}
        style={{ height: rows * ROW_HEIGHT, paddingTop: start * ROW_HEIGHT, gridTemplateColumns: `repeat(${columns}, 1fr)` }}
      >
        {shown.map((number, index) => (
          <li key={number} aria-posinset={start * columns + index + 1} aria-setsize={numbers.length}>
            <Thumbnail id={id} number={number} aid={aid} status={statusOf(number)} current={number === current} />
          </li>
        ))}
      </ul>
    </div>
  );
}

const NOTES: Record<PageStatus, string> = { pending: ", not read yet", running: ", being read", done: "", failed: ", failed" };

const Thumbnail = memo(function Thumbnail(props: { id: string; number: number; aid: string | null; status: PageStatus; current: boolean }) {
  const { id, number, aid, status, current } = props;
  const { url } = useImage(id, status === "done" ? number : null, THUMBNAIL_WIDTH, SCROLL_PAUSE);
  return (
    <Link
      href={documentPath(id, number, null, "", aid)}
      className={`thumbnail ${status}`}
      aria-current={current ? "page" : undefined}
      aria-label={`Page ${number}${NOTES[status]}`}
      tabIndex={current ? 0 : -1}
    >
      <span className="thumbnail-picture">
        {url ? <img src={url} alt="" /> : status === "failed" ? <Icon name="alert" /> : <span className="skeleton" />}
      </span>
      <span className="thumbnail-number">{number}</span>
    </Link>
  );
});
