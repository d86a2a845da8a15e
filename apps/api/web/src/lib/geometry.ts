/** Pages on a screen: how large, and which way up. */

import type { Box } from "./api";

export interface Size {
  width: number;
  height: number;
}

/** A clockwise turn of the view in degrees. */
export type Turn = 0 | 90 | 180 | 270;
export type Zoom = "width" | "page" | number;

export const ZOOM_STEPS = [0.1, 0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4] as const;

/** A size as it is after a turn. */
export function turned({ width, height }: Size, turn: Turn): Size {
  return turn % 180 === 0 ? { width, height } : { width: height, height: width };
}

export function nextTurn(turn: Turn, by: 90 | -90): Turn {
  return ((turn + by + 360) % 360) as Turn;
}

/** Screen pixels for a pixel of the page. */
export function scaleOf(zoom: Zoom, page: Size, view: Size, turn: Turn): number {
  if (typeof zoom === "number") return zoom;
  const upright = turned(page, turn);
  const byWidth = view.width / upright.width;
  const scale = zoom === "width" ? byWidth : Math.min(byWidth, view.height / upright.height);
  return Math.max(scale, 0.01);
}

/** The next larger or smaller of the steps. */
export function stepZoom(scale: number, direction: 1 | -1): number {
  // A hundredth away is the same step: what people see is a rounded number.
  const steps = direction > 0 ? ZOOM_STEPS.filter((step) => step > scale * 1.01) : ZOOM_STEPS.filter((step) => step < scale / 1.01);
  return (direction > 0 ? steps[0] : steps.at(-1)) ?? (direction > 0 ? ZOOM_STEPS.at(-1)! : ZOOM_STEPS[0]);
}

/** A box as the `points` of an SVG polygon. */
export function points(box: Box): string {
  return box.map(([x, y]) => `${x},${y}`).join(" ");
}

export interface Rectangle {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The upright rectangle around a box. */
export function bounds(box: Box): Rectangle {
  const xs = box.map(([x]) => x);
  const ys = box.map(([, y]) => y);
  return { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
}

/** A rectangle of the page where it is after a turn of the page. */
export function turnRectangle({ left, top, right, bottom }: Rectangle, page: Size, turn: Turn): Rectangle {
  if (turn === 90) return { left: page.height - bottom, top: left, right: page.height - top, bottom: right };
  if (turn === 180) return { left: page.width - right, top: page.height - bottom, right: page.width - left, bottom: page.height - top };
  if (turn === 270) return { left: top, top: page.width - right, right: bottom, bottom: page.width - left };
  return { left, top, right, bottom };
}

// Few widths, so that images are found in the cache.
const IMAGE_WIDTHS = [160, 320, 640, 960, 1280, 1600, 2000, 2600, 3200, 4000];

/** The width of the image to ask for: as many pixels as the screen shows, and no more than the page has. */
export function imageWidth(shown: number, pixelRatio: number, pageWidth: number): number {
  const wanted = shown * pixelRatio;
  const step = IMAGE_WIDTHS.find((width) => width >= wanted) ?? 4000;
  return Math.max(64, Math.min(step, pageWidth, 4000));
}
