/** What counts as unsure. */

import type { Page } from "./api";

/** What is read with less is shown as unsure, to be looked at. */
export const SURE_FROM = 0.9;

export function isUnsure(confidence: number): boolean {
  return confidence < SURE_FROM;
}

/** How sure each line is: as its least sure word, for one wrong character hardly lowers the mean of a line. */
export function lineConfidences({ detections, words }: Pick<Page, "detections" | "words">): number[] {
  const lines = detections?.map(({ confidence }) => confidence) ?? [];
  for (const { line, confidence } of words ?? []) lines[line] = Math.min(lines[line] ?? 1, confidence);
  return lines;
}

/** The indices of the lines that may be wrong. */
export function unsureLines(page: Pick<Page, "detections" | "words"> | null): number[] {
  return page ? lineConfidences(page).flatMap((confidence, line) => (isUnsure(confidence) ? [line] : [])) : [];
}

/** The next of the indices after `current`, going round; null where there are none. */
export function nextOf(indices: readonly number[], current: number | null): number | null {
  return indices.find((index) => index > (current ?? -1)) ?? indices[0] ?? null;
}
