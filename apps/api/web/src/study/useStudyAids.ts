import { useCallback, useEffect, useRef, useState } from "react";
import { api } from "../lib/api";
import { isAbort } from "../lib/problem";
import { isUnfinished, KIND_NAMES, STUDY_STATUS_NAMES, type StudyAid } from "../lib/studyAids";

const REFRESH_MILLISECONDS = 1500;

export interface StudyAids {
  /** The newest first, without what is in them; null while they are on their way. */
  items: StudyAid[] | null;
  error: unknown;
  refresh: () => void;
  /** Take an answer of the API for the newest state of a study aid. */
  put: (aid: StudyAid) => void;
}

/** The study aids of a document; while somebody `looks`, those that are not made yet are kept up to date. */
export function useStudyAids(id: string, looks: boolean): StudyAids {
  const [items, setItems] = useState<StudyAid[] | null>(null);
  const [error, setError] = useState<unknown>(null);

  const load = useCallback(
    async (signal?: AbortSignal) => {
      try {
        setItems(await everyAid(id, signal));
        setError(null);
      } catch (refused) {
        if (!isAbort(refused)) setError(refused);
      }
    },
    [id],
  );

  useEffect(() => {
    if (!looks) return;
    const controller = new AbortController();
    void load(controller.signal);
    return () => controller.abort();
  }, [looks, load]);

  const waits = looks && (items?.some(({ status }) => isUnfinished(status)) ?? false);
  useEffect(() => {
    if (!waits) return;
    const controller = new AbortController();
    const timer = setInterval(() => !document.hidden && void load(controller.signal), REFRESH_MILLISECONDS);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [waits, load]);

  const refresh = useCallback(() => void load(), [load]);
  const put = useCallback(
    (aid: StudyAid) =>
      setItems((old) => (old?.some((one) => one.id === aid.id) ? old.map((one) => (one.id === aid.id ? aid : one)) : [aid, ...(old ?? [])])),
    [],
  );
  return { items, error, refresh, put };
}

async function everyAid(id: string, signal?: AbortSignal): Promise<StudyAid[]> {
  const aids: StudyAid[] = [];
  let cursor: string | null = null;
  do {
    const list = await api.studyAids(id, cursor, signal);
    aids.push(...list.items);
    cursor = list.next_cursor;
  } while (cursor);
  return aids;
}

export interface LoadedAid {
  aid: StudyAid | null;
  error: unknown;
  reload: () => void;
}

/**
 * One study aid with what is in it, fetched when it is opened and when it has changed. `listed` is what the list says
 * of it; it is listed or it is not there, so this begins when there is a list (`ready`).
 */
export function useStudyAid(id: string, aid: string, listed: StudyAid | undefined, ready: boolean): LoadedAid {
  const [loaded, setLoaded] = useState<Omit<LoadedAid, "reload">>({ aid: null, error: null });
  const [round, setRound] = useState(0);
  const { status, finished_at: finished } = listed ?? {};
  const unfinished = listed && isUnfinished(listed.status) ? listed : null;
  const wanted = ready && unfinished === null;

  useEffect(() => {
    if (!wanted) return;
    const controller = new AbortController();
    api.studyAid(id, aid, controller.signal).then(
      (found) => setLoaded({ aid: found, error: null }),
      (error: unknown) => !isAbort(error) && setLoaded({ aid: null, error }),
    );
    return () => controller.abort();
  }, [id, aid, wanted, status, finished, round]);

  const reload = useCallback(() => {
    setLoaded({ aid: null, error: null });
    setRound((old) => old + 1);
  }, []);
  if (unfinished) return { aid: unfinished, error: null, reload };
  // What was there before it was made again is not it.
  const stale = listed && loaded.aid && loaded.aid.finished_at !== listed.finished_at;
  return { ...loaded, aid: stale ? null : loaded.aid, reload };
}

/** Tells that a study aid that was not made yet is, or cannot be: for screen readers. */
export function useNews(items: StudyAid[] | null): string {
  const [news, setNews] = useState("");
  const before = useRef(new Map<string, StudyAid>());
  useEffect(() => {
    for (const aid of items ?? []) {
      const earlier = before.current.get(aid.id);
      if (earlier && isUnfinished(earlier.status) && !isUnfinished(aid.status)) setNews(`${KIND_NAMES[aid.kind]}: ${STUDY_STATUS_NAMES[aid.status]}`);
      before.current.set(aid.id, aid);
    }
  }, [items]);
  return news;
}
