import { describe, expect, it, vi } from "vitest";
import { mergeFirstPage } from "../src/documents/useDocuments";
import type { QuireDocument } from "../src/lib/api";
import { nextOf, unsureLines } from "../src/lib/confidence";
import { PageCache } from "../src/lib/pageCache";
import { nearestIndex, selectedPages } from "../src/lib/pageNumbers";
import { rowsInSight, scrollToShow } from "../src/lib/windowing";

describe("windowing", () => {
  it("draws a few of thousands of rows", () => {
    expect(rowsInSight(0, 600, 100, 5000)).toEqual({ start: 0, end: 9 });
    expect(rowsInSight(250_000, 600, 100, 5000)).toEqual({ start: 2497, end: 2509 });
    expect(rowsInSight(499_400, 600, 100, 5000)).toEqual({ start: 4991, end: 5000 });
    expect(rowsInSight(9_999_999, 600, 100, 5000)).toEqual({ start: 5000, end: 5000 });
    expect(rowsInSight(0, 600, 100, 0)).toEqual({ start: 0, end: 0 });
  });

  it("scrolls no further than it must", () => {
    expect(scrollToShow(3, 0, 600, 100)).toBe(0);
    expect(scrollToShow(9, 0, 600, 100)).toBe(400);
    expect(scrollToShow(2, 500, 600, 100)).toBe(200);
  });
});

describe("page numbers", () => {
  it("selects what was asked for", () => {
    expect(selectedPages(null, 3)).toEqual([1, 2, 3]);
    expect(selectedPages("1-3,7", 10)).toEqual([1, 2, 3, 7]);
    expect(selectedPages(" 8 - , 2,2", 10)).toEqual([2, 8, 9, 10]);
    expect(selectedPages("-2,12", 10)).toEqual([1, 2]);
  });

  it("finds the nearest page", () => {
    expect([0, 1, 4, 6, 99].map((number) => nearestIndex([1, 2, 3, 7], number))).toEqual([0, 0, 2, 3, 3]);
    expect(nearestIndex([], 4)).toBe(0);
  });

  it("goes round the unsure lines", () => {
    expect([null, 2, 5, 9].map((line) => nextOf([2, 5], line))).toEqual([2, 5, 2, 2]);
    expect(nextOf([], 1)).toBeNull();
  });
});

describe("unsure lines", () => {
  it("are those with a word that may be wrong", () => {
    const line = (confidence: number) => ({ text: "", box: [], confidence });
    const word = (index: number, confidence: number) => ({ ...line(confidence), line: index });
    const detections = [line(0.99), line(0.98), line(0.5)];
    expect(unsureLines({ detections, words: [word(0, 0.95), word(1, 0.97), word(1, 0.81)] })).toEqual([1, 2]);
    expect(unsureLines({ detections })).toEqual([2]);
    expect(unsureLines(null)).toEqual([]);
  });
});

describe("PageCache", () => {
  it("asks once, forgets failures and the least recently used", async () => {
    const fetchPage = vi.fn((number: number) => (number === 13 ? Promise.reject(new Error("no")) : Promise.resolve(number * 10)));
    const cache = new PageCache(fetchPage, 2);
    expect(await Promise.all([cache.get(1), cache.get(1)])).toEqual([10, 10]);
    expect(fetchPage).toHaveBeenCalledTimes(1);
    await cache.get(2);
    await cache.get(1);
    await cache.get(3);
    expect([cache.peek(1), cache.peek(2), cache.peek(3)]).toEqual([10, undefined, 30]);
    await expect(cache.get(13)).rejects.toThrow("no");
    await expect(cache.get(13)).rejects.toThrow("no");
    expect(fetchPage).toHaveBeenCalledTimes(5);
  });

  it("does not keep an answer that was forgotten while it was on its way", async () => {
    const cache = new PageCache(() => Promise.resolve("old"));
    const asked = cache.get(1);
    cache.forget(1);
    await asked;
    expect(cache.peek(1)).toBeUndefined();
  });
});

describe("mergeFirstPage", () => {
  const documents = (...ids: string[]): QuireDocument[] => ids.map((id) => ({ id }) as QuireDocument);
  const ids = (all: QuireDocument[]): string => all.map(({ id }) => id).join("");

  it("renews the beginning and keeps what was loaded beyond it", () => {
    expect(ids(mergeFirstPage(documents("b", "c", "d", "e"), documents("a", "b", "c")))).toBe("abcde");
    expect(ids(mergeFirstPage(documents("b", "c"), documents("x", "y")))).toBe("xy");
    expect(ids(mergeFirstPage(documents("b"), []))).toBe("");
  });
});
