/** Long lists of equal rows: which of them are on the screen. */

export interface Window {
  /** Index of the first row, and of the one after the last. */
  start: number;
  end: number;
}

/** The rows to draw: those in sight and `overscan` more at either end. Heights in pixels. */
export function rowsInSight(scrollTop: number, viewHeight: number, rowHeight: number, rows: number, overscan = 3): Window {
  if (rows === 0 || rowHeight <= 0) return { start: 0, end: 0 };
  const first = Math.floor(scrollTop / rowHeight) - overscan;
  const last = Math.ceil((scrollTop + viewHeight) / rowHeight) + overscan;
  return { start: Math.min(Math.max(0, first), rows), end: Math.max(0, Math.min(rows, last)) };
}

/** Where to scroll so that a row is in sight: nowhere if it is already. */
export function scrollToShow(row: number, scrollTop: number, viewHeight: number, rowHeight: number): number {
  const top = row * rowHeight;
  if (top < scrollTop) return top;
  if (top + rowHeight > scrollTop + viewHeight) return Math.max(0, top + rowHeight - viewHeight);
  return scrollTop;
}
