import { describe, expect, it } from "vitest";
import { EventStreamParser } from "../src/lib/eventStream";

const STREAM = 'retry: 700\nid: 1-2;;running\nevent: page\ndata: {"page_number": 2}\n\n: heartbeat\n\nevent: note\ndata: one\r\ndata: two\r\n\r\n';

describe("EventStreamParser", () => {
  it("gives events with their ids, and lines of data together", () => {
    const parser = new EventStreamParser();
    expect(parser.push(STREAM)).toEqual([
      { event: "page", data: '{"page_number": 2}', id: "1-2;;running" },
      { event: "note", data: "one\ntwo", id: "1-2;;running" },
    ]);
    expect(parser.retry).toBe(700);
  });

  it("does not care where the pieces are cut", () => {
    const whole = new EventStreamParser().push(STREAM);
    for (let size = 1; size < 20; size += 1) {
      const parser = new EventStreamParser();
      const pieces = STREAM.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      expect(pieces.flatMap((piece) => parser.push(piece))).toEqual(whole);
    }
  });

  it("gives nothing for an event without data, and keeps what is not complete", () => {
    const parser = new EventStreamParser();
    expect(parser.push("event: page\n\ndata: a")).toEqual([]);
    expect(parser.push("\n\n")).toEqual([{ event: "message", data: "a", id: "" }]);
  });
});
