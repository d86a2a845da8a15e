import { useCallback, useEffect, useRef, useState } from "react";
import { api, type DocumentFilter, type QuireDocument } from "../lib/api";
import { isActive } from "../lib/format";
import { isAbort } from "../lib/problem";

const REFRESH_MILLISECONDS = 2000;

export interface Documents {
  /** None while the first are on their way. */
  items: QuireDocument[] | null;
  hasMore: boolean;
  loadingMore: boolean;
  error: unknown;
  loadMore: () => void;
  refresh: () => void;
}

/** The documents that the filter lets through, page by page; those that are being read are kept up to date. */
export function useDocuments({ status, filename }: Required<DocumentFilter>): Documents {
  const [items, setItems] = useState<QuireDocument[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [loadingMore, setLoadingMore] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const filter = useRef(0);
  // Whether more than the first page was loaded: then the cursor is that of the last one.
  const extended = useRef(false);

  const load = useCallback(
    async (signal: AbortSignal) => {
      try {
        const list = await api.documents({ status, filename }, null, signal);
        // What was loaded further down stays; the first page replaces what it has news of.
        setItems((old) => mergeFirstPage(old, list.items));
        if (!extended.current) setCursor(list.next_cursor);
        setError(null);
      } catch (refused) {
        if (!isAbort(refused)) setError(refused);
      }
    },
    [status, filename],
  );

  useEffect(() => {
    filter.current += 1;
    extended.current = false;
    const controller = new AbortController();
    setItems(null);
    setCursor(null);
    void load(controller.signal);
    return () => controller.abort();
  }, [load]);

  const waits = items?.some((document) => isActive(document.status)) ?? false;
  useEffect(() => {
    if (!waits) return;
    const controller = new AbortController();
    const timer = setInterval(() => !document.hidden && void load(controller.signal), REFRESH_MILLISECONDS);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [waits, load]);

  const loadMore = useCallback(async () => {
    if (!cursor) return;
    const asked = filter.current;
    setLoadingMore(true);
    try {
      const list = await api.documents({ status, filename }, cursor);
      if (asked !== filter.current) return;
      setItems((old) => [...(old ?? []), ...list.items.filter((item) => !old?.some(({ id }) => id === item.id))]);
      extended.current = true;
      setCursor(list.next_cursor);
    } catch (refused) {
      setError(refused);
    } finally {
      setLoadingMore(false);
    }
  }, [cursor, status, filename]);

  const refresh = useCallback(() => void load(new AbortController().signal), [load]);
  return { items, hasMore: cursor !== null, loadingMore, error, loadMore, refresh };
}

/** The newest page of a list before what was loaded beyond it. */
export function mergeFirstPage(old: QuireDocument[] | null, first: QuireDocument[]): QuireDocument[] {
  const last = first.at(-1);
  if (!old || !last) return first;
  const known = new Set(first.map(({ id }) => id));
  const end = old.findIndex(({ id }) => id === last.id);
  // Without a common row nothing is known about what lies between.
  return end < 0 ? first : [...first, ...old.slice(end + 1).filter(({ id }) => !known.has(id))];
}
