/** What counts as unsure. */

/** Lines read with less are shown as unsure, to be looked at. */
export const SURE_FROM = 0.85;

export function isUnsure({ confidence }: { confidence: number }): boolean {
  return confidence < SURE_FROM;
}

/** The next of the indices after `current`, going round; null where there are none. */
export function nextOf(indices: readonly number[], current: number | null): number | null {
  return indices.find((index) => index > (current ?? -1)) ?? indices[0] ?? null;
}
