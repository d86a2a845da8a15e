/** Which pages of a file a document has. */

/** The numbers that ranges such as "1-3,7,9-" select of a file of `count` pages, each once, in order. */
export function selectedPages(ranges: string | null, count: number): number[] {
  if (!ranges?.trim()) return Array.from({ length: count }, (_, index) => index + 1);
  const selected = new Set<number>();
  for (const part of ranges.split(",")) {
    const [, first, dash, last] = /^\s*(\d*)\s*(-?)\s*(\d*)\s*$/.exec(part) ?? [];
    if (first === undefined || (!first && !last)) continue;
    const from = first ? Number(first) : 1;
    const to = Math.min(last ? Number(last) : dash ? count : from, count);
    for (let number = Math.max(1, from); number <= to; number += 1) selected.add(number);
  }
  return [...selected].sort((a, b) => a - b);
}

/** Where in ascending `numbers` the one is that is `number`, or else the nearest. 0 where there are none. */
export function nearestIndex(numbers: readonly number[], number: number): number {
  let low = 0;
  let high = numbers.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) < number) low = middle + 1;
    else high = middle;
  }
  const before = numbers[low - 1];
  const here = numbers[low];
  return before !== undefined && here !== undefined && number - before < here - number ? low - 1 : low;
}
