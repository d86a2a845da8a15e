/** Server-sent events read from a fetch response, so that a key can be sent along. */

export interface ServerEvent {
  event: string;
  data: string;
  id: string;
}

/** Takes a `text/event-stream` in pieces of any length; gives the events that are complete. */
export class EventStreamParser {
  /** The last id seen; it stays until another one comes. */
  lastId = "";
  /** How long the server asks to wait before the next attempt, in milliseconds. */
  retry: number | null = null;
  private rest = "";
  private event = "";
  private data: string[] = [];

  push(chunk: string): ServerEvent[] {
    const lines = (this.rest + chunk).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line !== "") this.field(line);
      else if (this.data.length > 0) events.push(this.take());
      else this.event = "";
    }
    return events;
  }

  private take(): ServerEvent {
    const done = { event: this.event || "message", data: this.data.join("\n"), id: this.lastId };
    this.event = "";
    this.data = [];
    return done;
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.event = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id" && !value.includes("\0")) this.lastId = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}
