import { describe, expect, it } from "vitest";
import { query, type QuireDocument } from "../src/lib/api";
import { filenameOf } from "../src/lib/clipboard";
import { formatBytes, formatDuration, formatWhen, marked, percent, progressText } from "../src/lib/format";
import { describe as say, Problem, problemOf } from "../src/lib/problem";
import { documentPath, parseRoute } from "../src/lib/router";

const RUNNING = { status: "running", pages_total: 50, pages_done: 12, pages_failed: 1, queue_position: null, eta_seconds: 41 } as QuireDocument;

describe("format", () => {
  it("writes sizes, times and parts as people read them", () => {
    expect([0, 999, 1500, 12_345_678, 3e9].map(formatBytes)).toEqual(["0 B", "999 B", "1.5 kB", "12 MB", "3.0 GB"]);
    expect([0.2, 41, 200, 7800].map(formatDuration)).toEqual(["1 s", "41 s", "3 min", "2 h 10 min"]);
    expect([0.999, 1, 0.29].map(percent)).toEqual(["99%", "100%", "29%"]);
    const now = new Date("2026-03-12T14:30:00");
    expect(["2026-03-12T14:29:30", "2026-03-12T14:05:00", "2026-03-12T09:05:00", "2026-03-01T09:05:00", "2024-03-01T09:05:00"].map((then) => formatWhen(then, now))).toEqual([
      "just now",
      "25 min ago",
      "09:05",
      "1 Mar, 09:05",
      "1 Mar 2024",
    ]);
  });

  it("says how far a document is", () => {
    expect(progressText(RUNNING)).toBe("13 of 50 pages · about 41 s left");
    expect(progressText({ ...RUNNING, pages_total: null })).toBe("Opening the file");
    expect(progressText({ ...RUNNING, status: "queued", queue_position: 0, eta_seconds: null })).toBe("Next in the queue");
    expect(progressText({ ...RUNNING, status: "queued", queue_position: 3, eta_seconds: null })).toBe("3 documents ahead");
    expect(progressText({ ...RUNNING, status: "partial", pages_done: 49 })).toBe("49 of 50 pages read, 1 failed");
  });

  it("marks what was searched for, whatever is in it", () => {
    expect(marked("Total (EUR) total", "total")).toEqual([
      { text: "Total", match: true },
      { text: " (EUR) ", match: false },
      { text: "total", match: true },
    ]);
    expect(marked("a (b)", "(b)").at(-1)).toEqual({ text: "(b)", match: true });
    expect(marked("Café à la crème", "CREME").at(-1)).toEqual({ text: "crème", match: true });
    expect(marked("text", " ")).toEqual([{ text: "text", match: false }]);
  });
});

describe("problems", () => {
  it("have the API's sentence and code, or say what there is", async () => {
    const refused = new Response('{"code": "encrypted", "detail": "The PDF needs a password."}', { status: 422 });
    expect(say(await problemOf(refused))).toEqual({ code: "encrypted", message: "The PDF needs a password." });
    expect(say(await problemOf(new Response("<h1>Bad gateway</h1>", { status: 502 })))).toEqual({
      code: "http_502",
      message: "The server answered with status 502.",
    });
    expect(say(new Problem({ code: "a", detail: "b", status: 0 }))).toEqual({ code: "a", message: "b" });
  });
});

describe("addresses", () => {
  it("lead to documents, their pages and lines", () => {
    expect(parseRoute("/documents/abc-1", "?page=3&line=7&q=tax")).toEqual({ name: "document", id: "abc-1", page: 3, line: 7, query: "tax", aid: null });
    expect(parseRoute("/documents/abc", "?page=-3")).toMatchObject({ page: null, line: null, query: "" });
    expect(parseRoute("/", "?status=failed")).toEqual({ name: "documents", status: "failed", filename: "" });
    expect(parseRoute("/documents/a/b", "")).toEqual({ name: "unknown" });
    const path = documentPath("abc", 3, 7, "a b&c");
    expect(parseRoute("/documents/abc", path.slice(path.indexOf("?")))).toMatchObject({ page: 3, line: 7, query: "a b&c" });
    expect(documentPath("abc")).toBe("/documents/abc");
  });

  it("leave out what has no value", () => {
    expect(query({ a: "", b: null, c: 0, d: "x y" })).toBe("?c=0&d=x+y");
    expect(query({})).toBe("");
  });
});

describe("filenameOf", () => {
  it("takes the name the API suggests", () => {
    const named = (header: string): string => filenameOf(new Response("", { headers: { "Content-Disposition": header } }), "x.txt");
    expect(named('attachment; filename="a b.txt"')).toBe("a b.txt");
    expect(named("attachment; filename=\"a.txt\"; filename*=UTF-8''caf%C3%A9.txt")).toBe("café.txt");
    expect(named("attachment")).toBe("x.txt");
  });
});
