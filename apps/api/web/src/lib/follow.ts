/** A document's progress as it happens, through lost connections. */

import { type QuireDocument, send } from "./api";
import { EventStreamParser, type ServerEvent } from "./eventStream";
import { Problem } from "./problem";

export interface PageNews {
  page_number: number;
  status: "done" | "failed";
}

export interface Followers {
  onDocument: (document: QuireDocument) => void;
  onPages: (news: PageNews[]) => void;
  /** The document has ended, or it cannot be followed (then with the reason). */
  onEnd: (problem: Problem | null) => void;
  /** Whether the connection is there. */
  onConnection: (connected: boolean) => void;
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;

/** How long to wait before the attempt with this number, from 0: twice as long each time, to a limit. */
export function waitBefore(attempt: number, asked: number | null = null): number {
  return Math.min(LONGEST_WAIT, Math.max(asked ?? 0, FIRST_WAIT * 2 ** attempt));
}

/** Follow a document until it ends or `signal` is aborted. */
export async function follow(id: string, followers: Followers, signal: AbortSignal): Promise<void> {
  let lastId = "";
  let attempt = 0;
  while (!signal.aborted) {
    const parser = new EventStreamParser();
    parser.lastId = lastId;
    try {
      const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
      const response = await send(`/documents/${id}/events`, { headers, signal, cache: "no-store" });
      // There is nothing left to tell.
      if (response.status === 204) return followers.onEnd(null);
      followers.onConnection(true);
      for await (const events of read(response, parser)) {
        lastId = parser.lastId;
        attempt = 0;
        if (tell(events, followers)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429) {
        followers.onEnd(error);
        return;
      }
    }
    if (signal.aborted) return;
    followers.onConnection(false);
    await sleep(waitBefore(attempt, parser.retry), signal);
    attempt += 1;
  }
}

async function* read(response: Response, parser: EventStreamParser): AsyncGenerator<ServerEvent[]> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield parser.push(value);
    }
  } finally {
    // The connection is not needed any more, whatever the reason.
    await reader.cancel().catch(() => undefined);
  }
}

/** Pass events on, pages of one batch together; whether the last one was among them. */
function tell(events: ServerEvent[], followers: Followers): boolean {
  const pages: PageNews[] = [];
  let ended = false;
  for (const { event, data } of events) {
    if (event === "page") pages.push(JSON.parse(data) as PageNews);
    else if (event === "document") followers.onDocument(JSON.parse(data) as QuireDocument);
    else if (event === "end") ended = true;
  }
  if (pages.length > 0) followers.onPages(pages);
  if (ended) followers.onEnd(null);
  return ended;
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
