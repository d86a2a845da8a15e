import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import { ZOOM_STEPS } from "../lib/geometry";
import { useLatest } from "../lib/useLatest";

const SMALLEST = ZOOM_STEPS[0];
const LARGEST = ZOOM_STEPS.at(-1) ?? 4;

/** A point that stays where it is while the scale changes: as a part of the sheet, and in pixels of the view. */
interface Anchor {
  part: { x: number; y: number };
  at: { x: number; y: number };
}

/** Ctrl and wheel, or two fingers, zoom about the point below them. */
export function useZoomGestures(view: RefObject<HTMLElement | null>, sheet: RefObject<HTMLElement | null>, scale: number, onScale: (scale: number) => void): void {
  const anchor = useRef<Anchor | null>(null);
  const latest = useLatest({ scale, onScale });

  useLayoutEffect(() => {
    const [outer, inner, kept] = [view.current, sheet.current, anchor.current];
    anchor.current = null;
    if (!outer || !inner || !kept) return;
    outer.scrollLeft = inner.offsetLeft + kept.part.x * inner.offsetWidth - kept.at.x;
    outer.scrollTop = inner.offsetTop + kept.part.y * inner.offsetHeight - kept.at.y;
  }, [scale, view, sheet]);

  useEffect(() => {
    const outer = view.current;
    if (!outer) return;
    const zoom = (factor: number, x: number, y: number): void => {
      const inner = sheet.current;
      if (!inner) return;
      const [around, page] = [outer.getBoundingClientRect(), inner.getBoundingClientRect()];
      anchor.current = {
        part: { x: (x - page.left) / page.width, y: (y - page.top) / page.height },
        at: { x: x - around.left, y: y - around.top },
      };
      latest.current.onScale(Math.min(LARGEST, Math.max(SMALLEST, latest.current.scale * factor)));
    };
    const wheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.003), event.clientX, event.clientY);
    };
    let distance = 0;
    const touch = (event: TouchEvent): void => {
      const [one, two] = event.touches;
      if (!one || !two) {
        distance = 0;
        return;
      }
      event.preventDefault();
      const now = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
      if (distance > 0) zoom(now / distance, (one.clientX + two.clientX) / 2, (one.clientY + two.clientY) / 2);
      distance = now;
    };
    const end = (): void => {
      distance = 0;
    };
    outer.addEventListener("wheel", wheel, { passive: false });
    outer.addEventListener("touchmove", touch, { passive: false });
    outer.addEventListener("touchend", end);
    return () => {
      outer.removeEventListener("wheel", wheel);
      outer.removeEventListener("touchmove", touch);
      outer.removeEventListener("touchend", end);
    };
  }, [view, sheet, latest]);
}
