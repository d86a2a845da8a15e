import { type RefObject, useEffect, useState } from "react";
import { api, type Found } from "../lib/api";
import { isAbort } from "../lib/problem";
import { documentPath } from "../lib/router";
import { Icon } from "../ui/Icon";
import { Link } from "../ui/Link";
import { Notice } from "../ui/Notice";
import { Marked } from "./TextPanel";

const TYPING_PAUSE = 250;

interface Props {
  id: string;
  query: string;
  /** The study aid that stays open. */
  aid: string | null;
  onQuery: (query: string) => void;
  /** Whether there are pages that cannot be found yet. */
  unfinished: boolean;
  current: number | null;
  selected: number | null;
  field: RefObject<HTMLInputElement | null>;
}

interface Results {
  query: string;
  items: Found[];
  cursor: string | null;
  error: unknown;
}

/** Finds text on every page. */
export function SearchPanel({ id, query, aid, onQuery, unfinished, current, selected, field }: Props) {
  const [typed, setTyped] = useState(query);
  const [results, setResults] = useState<Results | null>(null);

  useEffect(() => setTyped(query), [query]);
  useEffect(() => {
    const wanted = typed.trim();
    if (wanted === query) return;
    const timer = setTimeout(() => onQuery(wanted), TYPING_PAUSE);
    return () => clearTimeout(timer);
  }, [typed, query, onQuery]);

  useEffect(() => {
    if (!query) return setResults(null);
    const controller = new AbortController();
    api.search(id, query, null, controller.signal).then(
      ({ items, next_cursor }) => setResults({ query, items, cursor: next_cursor, error: null }),
      (error: unknown) => !isAbort(error) && setResults({ query, items: [], cursor: null, error }),
    );
    return () => controller.abort();
  }, [id, query]);

  const more = async (): Promise<void> => {
    if (!results?.cursor) return;
    try {
      const { items, next_cursor } = await api.search(id, results.query, results.cursor);
      setResults((old) => (old?.query === results.query ? { ...old, items: [...old.items, ...items], cursor: next_cursor } : old));
    } catch (error) {
      setResults((old) => old && { ...old, error });
    }
  };

  return (
    <div className="search">
      <label className="search-field">
        <Icon name="search" />
        <span className="visually-hidden">Search in every page</span>
        <input ref={field} type="search" maxLength={200} placeholder="Search in every page" value={typed} onChange={(event) => setTyped(event.target.value)} />
      </label>
      <p className="search-count" role="status">
        {results && results.error === null && results.query === query && count(results)}
      </p>
      {results !== null && results.error !== null && <Notice error={results.error} title="The search failed" />}
      {results?.items.length === 0 && results.error === null && (
        <div className="empty small">
          <h2>Nothing found</h2>
          <p>{unfinished ? "Pages that are still to be read cannot be found yet." : "Try fewer or shorter words."}</p>
        </div>
      )}
      {!query && (
        <div className="empty small">
          <p>What you type is looked for on every page{unfinished ? " that has been read" : ""}.</p>
        </div>
      )}
      {results && results.items.length > 0 && (
        <div className="results">
          {byPage(results.items).map(([number, lines]) => (
            <section key={number} aria-label={`Page ${number}`}>
              <h3>Page {number}</h3>
              <ul>
                {lines.map((found) => (
                  <li key={found.line}>
                    <Link
                      href={documentPath(id, number, found.line + 1, query, aid)}
                      aria-current={number === current && found.line === selected ? "true" : undefined}
                    >
                      <Marked text={found.text} query={query} />
                    </Link>
                  </li>
                ))}
              </ul>
            </section>
          ))}
        </div>
      )}
      {results?.cursor && (
        <button type="button" className="button more" onClick={more}>
          Show more
        </button>
      )}
    </div>
  );
}

function byPage(items: Found[]): [number, Found[]][] {
  const pages = new Map<number, Found[]>();
  for (const found of items) pages.set(found.page_number, [...(pages.get(found.page_number) ?? []), found]);
  return [...pages];
}

function count({ items, cursor }: Results): string {
  if (items.length === 0) return "";
  const lines = items.length === 1 ? "line" : "lines";
  return cursor ? `The first ${items.length} ${lines}` : `${items.length} ${lines}`;
}
