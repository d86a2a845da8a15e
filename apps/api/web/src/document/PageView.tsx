import { memo, type RefObject, useEffect, useMemo, useRef, useState } from "react";
import type { Page } from "../lib/api";
import { isUnsure, unsureLines } from "../lib/confidence";
import { bounds, imageWidth, points, type Rectangle, scaleOf, type Size, turned, turnRectangle, type Turn, type Zoom } from "../lib/geometry";
import { useSize } from "../lib/useSize";
import { BlockBoxes } from "../structure/BlockBoxes";
import type { Evidence } from "../study/Citations";
import { Notice } from "../ui/Notice";
import { useImage } from "./useImage";
import { useZoomGestures } from "./useZoomGestures";

export type BoxMode = "lines" | "words" | "off";

interface Props {
  id: string;
  number: number;
  page: Page | null;
  zoom: Zoom;
  turn: Turn;
  boxes: BoxMode;
  /** The line that a pointer is on, here or in the text. */
  hovered: number | null;
  selected: number | null;
  /** Lines that a search found. */
  matches: ReadonlySet<number>;
  /** What a study aid cites of this page. */
  evidence: Evidence | null;
  onHover: (line: number | null) => void;
  onSelect: (line: number) => void;
  onScale: (scale: number) => void;
  /** Hears of the scale in use, for what the zoom is called. */
  onShown: (scale: number) => void;
}

// The margin around the page, in CSS pixels; as in the style sheet.
const MARGIN = 16;
const A4: Size = { width: 1240, height: 1754 };

/** The page's image with its boxes over it, in a view that scrolls. */
export function PageView(props: Props) {
  const { id, number, page, zoom, turn, boxes, hovered, selected, matches, evidence, onHover, onSelect, onScale, onShown } = props;
  const view = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLDivElement>(null);
  const inner = useSize(view);
  // Until a page is here it is taken to be as large as the one before: most are.
  const [guess, setGuess] = useState<Size>(A4);
  const size: Size = page?.width && page.height ? { width: page.width, height: page.height } : guess;
  const room = { width: Math.max(0, inner.width - 2 * MARGIN), height: Math.max(0, inner.height - 2 * MARGIN) };
  const scale = scaleOf(zoom, size, room, turn);
  const shown = turned({ width: size.width * scale, height: size.height * scale }, turn);
  const ready = page?.status === "done" && inner.width > 0;
  const pixels = imageWidth(size.width * scale, window.devicePixelRatio || 1, size.width);
  const image = useImage(id, ready ? number : null, pixels);

  useEffect(() => setGuess({ width: size.width, height: size.height }), [size.width, size.height]);
  useEffect(() => onShown(scale), [scale, onShown]);
  useZoomGestures(view, sheet, scale, onScale);
  // First to the beginning of a page, then to what is to be seen of it.
  useEffect(() => {
    view.current?.scrollTo(0, 0);
  }, [number]);
  const line = selected === null ? undefined : page?.detections?.[selected];
  useInSight(view, sheet, page, line ? `${number}/${selected}` : null, line && bounds(line.box), scale, turn);
  useInSight(view, sheet, page, evidence, evidence ? bounds(evidence.citation.boxes.flat()) : undefined, scale, turn);

  return (
    <div className="page-view" ref={view} tabIndex={0} role="region" aria-label={`Page ${number}, image`}>
      <div className="sheet" ref={sheet} style={shown}>
        <div
          className="sheet-page"
          style={{
            width: size.width * scale,
            height: size.height * scale,
            transform: `translate(-50%, -50%) rotate(${turn}deg)`,
          }}
        >
          {image.url ? <img src={image.url} alt={`Page ${number}`} draggable={false} /> : <span className="skeleton" />}
          {ready && boxes !== "off" && (
            <svg className="boxes" viewBox={`0 0 ${size.width} ${size.height}`} preserveAspectRatio="none" aria-hidden="true">
              <BlockBoxes page={page} />
              <Lines page={page} hovered={hovered} selected={selected} matches={matches} faint={boxes === "words"} onHover={onHover} onSelect={onSelect} />
              {boxes === "words" && <Words page={page} />}
            </svg>
          )}
          {ready && evidence && (
            <svg className="boxes evidence" viewBox={`0 0 ${size.width} ${size.height}`} preserveAspectRatio="none" aria-hidden="true">
              {evidence.citation.boxes.map((box, index) => (
                <polygon key={index} points={points(box)} />
              ))}
            </svg>
          )}
        </div>
      </div>
      {image.error !== null && (
        <div className="page-view-notice">
          <Notice error={image.error} title="The image of this page could not be loaded" />
        </div>
      )}
    </div>
  );
}

interface LinesProps extends Pick<Props, "hovered" | "selected" | "matches" | "onHover" | "onSelect"> {
  page: Page;
  faint: boolean;
}

function Lines({ page, hovered, selected, matches, faint, onHover, onSelect }: LinesProps) {
  const unsure = useMemo(() => new Set(unsureLines(page)), [page]);
  return (
    <g className={faint ? "lines faint" : "lines"} onPointerLeave={() => onHover(null)}>
      {page.detections?.map((detection, line) => (
        <Line
          key={line}
          line={line}
          points={points(detection.box)}
          className={[
            unsure.has(line) && "unsure",
            matches.has(line) && "match",
            hovered === line && "hovered",
            selected === line && "selected",
          ]
            .filter(Boolean)
            .join(" ")}
          onHover={onHover}
          onSelect={onSelect}
        />
      ))}
    </g>
  );
}

interface LineProps extends Pick<Props, "onHover" | "onSelect"> {
  line: number;
  points: string;
  className: string;
}

const Line = memo(function Line({ line, onHover, onSelect, ...shape }: LineProps) {
  return (
    <polygon
      {...shape}
      data-line={line}
      onPointerEnter={(event) => event.pointerType !== "touch" && onHover(line)}
      onClick={() => onSelect(line)}
    />
  );
});

const Words = memo(function Words({ page }: { page: Page }) {
  return (
    <g className="words">
      {page.words?.map((word, index) => (
        <polygon key={index} data-word={index} points={points(word.box)} className={isUnsure(word.confidence) ? "unsure" : ""} />
      ))}
    </g>
  );
});

/**
 * Scroll an area of the page into sight. Only another `target` scrolls, and its page when it is there, not what
 * happens to the view afterwards.
 */
function useInSight(
  view: RefObject<HTMLElement | null>,
  sheet: RefObject<HTMLElement | null>,
  page: Page | null,
  target: unknown,
  area: Rectangle | undefined,
  scale: number,
  turn: Turn,
): void {
  const last = useRef<unknown>(null);
  useEffect(() => {
    const [outer, inner] = [view.current, sheet.current];
    if (target === null) last.current = null;
    if (!outer || !inner || !area || !page?.width || !page.height || last.current === target) return;
    last.current = target;
    const { left, top, right, bottom } = turnRectangle(area, { width: page.width, height: page.height }, turn);
    const [x, y] = [inner.offsetLeft + left * scale, inner.offsetTop + top * scale];
    const [width, height] = [(right - left) * scale, (bottom - top) * scale];
    const inSight =
      x >= outer.scrollLeft && x + Math.min(width, outer.clientWidth) <= outer.scrollLeft + outer.clientWidth &&
      y >= outer.scrollTop && y + height <= outer.scrollTop + outer.clientHeight;
    if (!inSight) {
      outer.scrollTo({ left: x - Math.max(MARGIN, (outer.clientWidth - width) / 2), top: y - Math.max(MARGIN, (outer.clientHeight - height) / 2) });
    }
  });
}
