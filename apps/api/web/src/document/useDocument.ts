import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { api, type Page, type PageStatus, type QuireDocument } from "../lib/api";
import { follow } from "../lib/follow";
import { isActive } from "../lib/format";
import { PageCache } from "../lib/pageCache";
import { selectedPages } from "../lib/pageNumbers";
import { isAbort } from "../lib/problem";

export interface FollowedDocument {
  document: QuireDocument | null;
  error: unknown;
  /** The numbers of its pages, ascending; empty until the file has been opened. */
  numbers: readonly number[];
  statusOf: (number: number) => PageStatus;
  pages: PageCache<Page>;
  /** Whether progress comes in as it happens. */
  connected: boolean;
  /** Take an answer of the API for the newest state, and follow from there. */
  update: (document: QuireDocument) => void;
  reload: () => void;
}

/** A document and the state of its pages, as they change. */
export function useDocument(id: string): FollowedDocument {
  const [document, setDocument] = useState<QuireDocument | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [connected, setConnected] = useState(true);
  // Raised to begin anew: after a retry, or when loading failed.
  const [round, setRound] = useState(0);
  const [, setRevision] = useState(0);
  const statuses = useRef(new Map<number, PageStatus>());
  const pages = useMemo(() => new PageCache((number) => api.page(id, number)), [id]);

  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const mark = (number: number, status: PageStatus): void => {
      if (statuses.current.get(number) === status) return;
      statuses.current.set(number, status);
      pages.forget(number);
    };
    const start = async (): Promise<void> => {
      const first = await api.document(id, signal);
      setDocument(first);
      setError(null);
      // Of a document that is completed, everything is known: all pages are done.
      if (first.status === "completed" || (first.status === "failed" && first.pages_total === null)) return;
      await follow(
        id,
        {
          onDocument: (news) => !signal.aborted && setDocument(news),
          onPages: (news) => {
            news.forEach(({ page_number, status }) => mark(page_number, status));
            setRevision((revision) => revision + 1);
          },
          onEnd: (problem) => {
            if (problem) return setError(problem);
            void api.document(id, signal).then(setDocument, () => undefined);
          },
          onConnection: setConnected,
        },
        signal,
      );
    };
    start().catch((refused: unknown) => !isAbort(refused) && setError(refused));
    return () => controller.abort();
  }, [id, round, pages]);

  const numbers = usePageNumbers(document);
  const update = useCallback(
    (news: QuireDocument) => {
      for (const [number, status] of statuses.current) {
        if (status !== "failed") continue;
        statuses.current.delete(number);
        pages.forget(number);
      }
      setDocument(news);
      setRound((old) => old + 1);
    },
    [pages],
  );
  const reload = useCallback(() => setRound((old) => old + 1), []);
  const statusOf = (number: number): PageStatus =>
    statuses.current.get(number) ?? (document?.status === "completed" ? "done" : "pending");
  return { document, error, numbers, statusOf, pages, connected, update, reload };
}

const MOST_LISTED = 200;

/** Page numbers follow from the pages asked for; where the count says otherwise, they are listed. */
function usePageNumbers(document: QuireDocument | null): readonly number[] {
  const [listed, setListed] = useState<readonly number[] | null>(null);
  const id = document?.id;
  const ranges = document?.options.pages ?? null;
  const count = document?.page_count ?? document?.pages_total ?? 0;
  const total = document?.pages_total ?? 0;
  const selected = useMemo(() => (total === 0 ? [] : selectedPages(ranges, count)), [ranges, count, total]);
  const agrees = selected.length === total;

  useEffect(() => {
    if (agrees || !id) return;
    let wanted = true;
    listNumbers(id).then(
      (numbers) => wanted && setListed(numbers),
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [id, agrees]);

  return agrees ? selected : (listed ?? selected);
}

async function listNumbers(id: string): Promise<number[]> {
  const numbers: number[] = [];
  let cursor: string | null = null;
  do {
    const list = await api.pages(id, { limit: MOST_LISTED, cursor, text_only: true });
    numbers.push(...list.items.map((page) => page.page_number));
    cursor = list.next_cursor;
  } while (cursor);
  return numbers;
}

/** Whether there is something to wait for. */
export function isUnderWay(document: QuireDocument | null): boolean {
  return document === null || isActive(document.status);
}
