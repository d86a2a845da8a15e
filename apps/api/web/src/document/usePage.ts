import { useEffect, useState } from "react";
import type { Page, PageStatus } from "../lib/api";
import type { PageCache } from "../lib/pageCache";

interface Loaded {
  page: Page | null;
  error: unknown;
}

const NOTHING: Loaded = { page: null, error: null };

/** One page, once it has been read; its neighbours are fetched after it. `null` while there is none. */
export function usePage(pages: PageCache<Page>, number: number | null, status: PageStatus, neighbours: number[]): Loaded {
  const [loaded, setLoaded] = useState<Loaded & { number: number | null }>({ ...NOTHING, number: null });
  const ready = number !== null && (status === "done" || status === "failed");
  const near = neighbours.join();

  useEffect(() => {
    if (!ready || number === null) return;
    let wanted = true;
    pages.get(number).then(
      (page) => {
        if (!wanted) return;
        setLoaded({ number, page, error: null });
        for (const next of near.split(",")) if (next) pages.get(Number(next)).catch(() => undefined);
      },
      (error: unknown) => wanted && setLoaded({ number, page: null, error }),
    );
    return () => {
      wanted = false;
    };
  }, [pages, number, ready, status, near]);

  if (!ready || number === null) return NOTHING;
  if (loaded.number === number) return loaded;
  // What is in the cache is shown at once.
  return { page: pages.peek(number) ?? null, error: null };
}
