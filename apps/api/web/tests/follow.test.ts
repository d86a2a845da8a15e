import { afterEach, describe, expect, it, vi } from "vitest";
import { type Followers, follow, type PageNews, waitBefore } from "../src/lib/follow";
import type { Problem } from "../src/lib/problem";

const page = (number: number): string => `id: 1-${number};;running\nevent: page\ndata: {"page_number": ${number}, "status": "done"}\n\n`;
const END = 'event: end\ndata: {"status": "completed"}\n\n';

function answers(...all: (string | Response | Error)[]): { lastIds: (string | undefined)[] } {
  const lastIds: (string | undefined)[] = [];
  vi.stubGlobal("fetch", (_path: string, init: { headers: Record<string, string> }) => {
    lastIds.push(init.headers["Last-Event-ID"]);
    const next = all.shift();
    if (next === undefined) throw new Error("asked too often");
    if (next instanceof Error) return Promise.reject(next);
    return Promise.resolve(typeof next === "string" ? new Response(next) : next);
  });
  return { lastIds };
}

async function run(): Promise<{ pages: number[]; ends: (Problem | null)[]; connections: boolean[] }> {
  const pages: number[] = [];
  const ends: (Problem | null)[] = [];
  const connections: boolean[] = [];
  const followers: Followers = {
    onDocument: () => undefined,
    onPages: (news: PageNews[]) => pages.push(...news.map(({ page_number }) => page_number)),
    onEnd: (problem) => ends.push(problem),
    onConnection: (connected) => connections.push(connected),
  };
  vi.useFakeTimers();
  const done = follow("d", followers, new AbortController().signal);
  await vi.runAllTimersAsync();
  await done;
  return { pages, ends, connections };
}

describe("follow", () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("goes on after a lost connection from the last event it got", async () => {
    const { lastIds } = answers(page(1) + page(2), new TypeError("network"), page(3) + END);
    const heard = await run();
    expect(heard.pages).toEqual([1, 2, 3]);
    expect(heard.ends).toEqual([null]);
    expect(heard.connections).toEqual([true, false, false, true]);
    expect(lastIds).toEqual([undefined, "1-2;;running", "1-2;;running"]);
  });

  it("ends with the reason where it is refused", async () => {
    answers(new Response('{"code": "document_not_found", "detail": "There is no document d."}', { status: 404 }));
    const { ends } = await run();
    expect(ends.map((problem) => problem?.code)).toEqual(["document_not_found"]);
  });

  it("tries again where the server cannot just now, and ends where nothing is left to tell", async () => {
    answers(new Response("", { status: 503 }), new Response(null, { status: 204 }));
    expect((await run()).ends).toEqual([null]);
  });

  it("waits longer each time, to a limit", () => {
    expect([0, 1, 2, 20].map((attempt) => waitBefore(attempt))).toEqual([500, 1000, 2000, 10_000]);
    expect(waitBefore(0, 3000)).toBe(3000);
  });
});
