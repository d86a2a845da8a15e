import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { api, type Page, type PageStatus, type QuireDocument } from "../lib/api";
import { copyText } from "../lib/clipboard";
import { nextOf, unsureLines } from "../lib/confidence";
import { marked, nameOf, progressText } from "../lib/format";
import { nextTurn, stepZoom, type Turn, type Zoom } from "../lib/geometry";
import { nearestIndex } from "../lib/pageNumbers";
import { documentPath, navigate, type Route } from "../lib/router";
import { load, store } from "../lib/storage";
import type { Citation } from "../lib/studyAids";
import { useMedia } from "../lib/useMedia";
import { type Evidence, EvidenceContext } from "../study/Citations";
import { StudyPanel } from "../study/StudyPanel";
import { Link } from "../ui/Link";
import { WithBlocks } from "../structure/WithBlocks";
import { Notice } from "../ui/Notice";
import { useToasts } from "../ui/Toasts";
import { DocumentHeader } from "./DocumentHeader";
import { PageRail } from "./PageRail";
import { type BoxMode, PageView } from "./PageView";
import { SearchPanel } from "./SearchPanel";
import { ShortcutsDialog, useShortcuts } from "./Shortcuts";
import { type Tab, Tabs } from "./Tabs";
import { TextPanel } from "./TextPanel";
import { Toolbar } from "./Toolbar";
import { isUnderWay, useDocument } from "./useDocument";
import { usePage } from "./usePage";

type DocumentRoute = Extract<Route, { name: "document" }>;

const SHORTCUTS = "quire.shortcuts";
const NEXT_BOXES: Record<BoxMode, BoxMode> = { lines: "words", words: "off", off: "lines" };

/** One document: its pages, one of them large, and its text. */
export function DocumentPage({ route, onSignOut }: { route: DocumentRoute; onSignOut: (() => void) | undefined }) {
  const { id, query, aid } = route;
  const followed = useDocument(id);
  const { document, numbers, pages, statusOf } = followed;
  const narrow = useMedia("(max-width: 899px)");
  const { say, fail } = useToasts();

  const at = nearestIndex(numbers, route.page ?? 0);
  const current = numbers[at] ?? null;
  const known = current === null ? "pending" : statusOf(current);
  const neighbours = [numbers[at + 1], numbers[at - 1]].filter((n): n is number => n !== undefined && statusOf(n) === "done");
  const { page, error: pageError } = usePage(pages, current, known, neighbours);
  // The page itself knows best.
  const status = page?.status ?? known;
  const selected = route.line === null ? null : route.line - 1;

  const [hovered, setHovered] = useState<number | null>(null);
  const [zoom, setZoom] = useState<Zoom>(() => (narrow ? "width" : "page"));
  const [scale, setScale] = useState(1);
  const [turns, setTurns] = useState<Record<number, Turn>>({});
  const [boxes, setBoxes] = useState<BoxMode>("lines");
  const [tab, setTab] = useState<Tab>(aid ? "study" : query ? "search" : "text");
  const [evidence, setEvidence] = useState<Evidence | null>(null);
  const [help, setHelp] = useState(false);
  const [keysOn, setKeysOn] = useState(() => load(SHORTCUTS) !== "off");
  const searchField = useRef<HTMLInputElement>(null);
  const turn = (current !== null && turns[current]) || 0;

  const goTo = useCallback(
    (number: number | undefined) => number !== undefined && navigate(documentPath(id, number, null, query, aid)),
    [id, query, aid],
  );
  const select = useCallback(
    (line: number) => navigate(documentPath(id, current, line + 1, query, aid), { replace: true }),
    [id, current, query, aid],
  );
  const setQuery = useCallback(
    (text: string) => navigate(documentPath(id, current, route.line, text, aid), { replace: true }),
    [id, current, route.line, aid],
  );
  const showEvidence = useCallback(
    (citation: Citation | null) => {
      setEvidence(citation && { citation });
      if (citation) navigate(documentPath(id, citation.page_number, null, query, aid));
    },
    [id, query, aid],
  );
  const shower = useMemo(() => ({ evidence, onEvidence: showEvidence }), [evidence, showEvidence]);
  const pathOfAid = (next: string | null): string => documentPath(id, current, null, query, next);
  const setTurn = (next: Turn): void => setTurns((all) => (current === null ? all : { ...all, [current]: next }));

  const copy = useCallback(
    (text: string, what: string) => void copyText(text).then(() => say(`${what} was copied.`), fail),
    [say, fail],
  );
  const copyAll = (): void =>
    void api
      .export(document ?? { id, status: "completed" }, "txt")
      .then((response) => response.text())
      .then((text) => copy(text, "The text of every page"), fail);

  useEffect(() => setHovered(null), [current]);
  useEffect(() => {
    setEvidence(null);
    if (aid) setTab("study");
  }, [aid]);
  useEffect(() => {
    const name = document ? nameOf(document) : "Document";
    const where = current !== null && numbers.length > 1 ? `, page ${current}` : "";
    window.document.title = `${name}${where} – Quire`;
  }, [document, current, numbers.length]);

  const unsure = useMemo(() => unsureLines(page), [page]);
  const matches = useMemo(() => matchingLines(page, query), [page, query]);
  const openSearch = (): void => {
    setTab("search");
    // The field is there after the next drawing.
    requestAnimationFrame(() => searchField.current?.focus());
  };
  const next = (): void => void goTo(numbers[at + 1]);
  const previous = (): void => void goTo(numbers[at - 1]);
  const zoomBy = (direction: 1 | -1): void => setZoom(stepZoom(scale, direction));
  useShortcuts(
    {
      j: next,
      PageDown: next,
      k: previous,
      PageUp: previous,
      Home: () => void goTo(numbers[0]),
      End: () => void goTo(numbers.at(-1)),
      n: () => {
        const line = nextOf(unsure, selected);
        if (line !== null) select(line);
      },
      "/": openSearch,
      "+": () => zoomBy(1),
      "=": () => zoomBy(1),
      "-": () => zoomBy(-1),
      "0": () => setZoom("page"),
      w: () => setZoom("width"),
      r: () => setTurn(nextTurn(turn, 90)),
      b: () => setBoxes(NEXT_BOXES[boxes]),
      c: () => {
        const line = selected === null ? undefined : page?.detections?.[selected];
        if (line) copy(line.text, "The line");
        else if (page?.text) copy(page.text, "The page");
      },
      "?": () => setHelp(true),
      ...(evidence && { Escape: () => setEvidence(null) }),
    },
    keysOn && !help,
  );

  const rail = numbers.length > 0 && <PageRail id={id} numbers={numbers} current={current} aid={aid} statusOf={statusOf} onSelect={goTo} />;
  const shownTab = tab === "pages" && !narrow ? "text" : tab;

  return (
    <div className="document">
      <DocumentHeader
        document={document}
        missing={followed.error !== null}
        connected={followed.connected}
        page={current}
        line={selected}
        aid={shownTab === "study" ? aid : null}
        onUpdate={followed.update}
        onCopy={copy}
        onShortcuts={() => setHelp(true)}
        onSignOut={onSignOut}
      />
      <Announcer document={document} />
      <p className="visually-hidden" role="status">
        {evidence && `Page ${evidence.citation.page_number}. Marked on it: ${evidence.citation.quote}`}
      </p>
      <main className="workspace" id="main" tabIndex={-1}>
        {followed.error !== null && !document ? (
          <Problem error={followed.error} onRetry={followed.reload} />
        ) : document && document.status === "failed" && numbers.length === 0 ? (
          <div className="workspace-notice">
            <Notice error={document.error ?? followed.error} title="This document could not be read">
              <Link href="/" className="button">
                Add another file
              </Link>
            </Notice>
          </div>
        ) : (
          <>
            {!narrow && (
              <nav className="rail-column" aria-label="Pages">
                {rail || <RailSkeleton />}
              </nav>
            )}
            <section className="page-column" aria-label="Page">
              <Toolbar
                numbers={numbers}
                current={current}
                onPage={goTo}
                zoom={zoom}
                scale={scale}
                onZoom={setZoom}
                turn={turn}
                onTurn={setTurn}
                boxes={boxes}
                onBoxes={setBoxes}
              />
              <PageArea document={document} number={current} status={status} page={page} error={pageError} onRetry={followed.reload}>
                {current !== null && (
                  <PageView
                    id={id}
                    number={current}
                    page={page}
                    zoom={zoom}
                    turn={turn}
                    boxes={boxes}
                    hovered={hovered}
                    selected={selected}
                    matches={matches}
                    evidence={evidence?.citation.page_number === current ? evidence : null}
                    onHover={setHovered}
                    onSelect={select}
                    onScale={setZoom}
                    onShown={setScale}
                  />
                )}
              </PageArea>
            </section>
            <aside className="panel" aria-label="Text and study aids">
              <Tabs tab={shownTab} onTab={setTab} withPages={narrow && numbers.length > 1}>
                {shownTab === "text" && status === "done" && (
                  <WithBlocks id={id} page={page} onSelect={select} onCopy={copy}>
                    <TextPanel
                      page={page}
                      hovered={hovered}
                      selected={selected}
                      query={query}
                      onHover={setHovered}
                      onSelect={select}
                      onCopy={copy}
                      onCopyAll={copyAll}
                    />
                  </WithBlocks>
                )}
                {shownTab === "text" && status !== "done" && <p className="panel-empty">{status === "failed" ? "This page has no text: it could not be read." : "The text appears here when the page has been read."}</p>}
                {shownTab === "search" && (
                  <SearchPanel
                    id={id}
                    query={query}
                    aid={aid}
                    onQuery={setQuery}
                    unfinished={isUnderWay(document)}
                    current={current}
                    selected={selected}
                    field={searchField}
                  />
                )}
                {shownTab === "pages" && rail}
                {/* It stays: what somebody has got to in it is not to be lost. */}
                <EvidenceContext value={shower}>
                  <StudyPanel
                    id={id}
                    shown={shownTab === "study"}
                    aid={aid}
                    hrefOf={pathOfAid}
                    onOpen={(next) => navigate(pathOfAid(next))}
                    unfinished={isUnderWay(document)}
                  />
                </EvidenceContext>
              </Tabs>
            </aside>
          </>
        )}
      </main>
      {help && (
        <ShortcutsDialog
          enabled={keysOn}
          onEnabled={(enabled) => {
            setKeysOn(enabled);
            store(SHORTCUTS, enabled ? null : "off");
          }}
          onClose={() => setHelp(false)}
        />
      )}
    </div>
  );
}

function matchingLines(page: Page | null, query: string): ReadonlySet<number> {
  const found = new Set<number>();
  if (query) {
    page?.detections?.forEach(({ text }, line) => {
      if (marked(text, query).some((part) => part.match)) found.add(line);
    });
  }
  return found;
}

interface AreaProps {
  document: QuireDocument | null;
  number: number | null;
  status: PageStatus;
  page: Page | null;
  error: unknown;
  onRetry: () => void;
  children: ReactNode;
}

/** The page, or why there is none to see. */
function PageArea({ document, number, status, page, error, onRetry, children }: AreaProps) {
  if (error !== null) return <Problem error={error} onRetry={onRetry} />;
  if (status === "failed") {
    return (
      <div className="workspace-notice">
        {page?.error && <Notice error={page.error} title={`Page ${number} could not be read`} />}
      </div>
    );
  }
  if (document && status !== "done") {
    return (
      <div className="waiting" aria-busy={isUnderWay(document)}>
        <span className={isUnderWay(document) ? "waiting-sheet skeleton" : "waiting-sheet"} />
        <p>{waitingText(document, number)}</p>
      </div>
    );
  }
  return children;
}

function waitingText(document: QuireDocument, number: number | null): string {
  if (document.status === "cancelled") return number === null ? "Cancelled before it was opened." : "Cancelled before this page was read.";
  if (number === null) return document.status === "queued" ? progressText(document) : "Opening the file …";
  return document.status === "queued" ? progressText(document) : `Page ${number} is being read or waits for its turn.`;
}

function Problem({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  return (
    <div className="workspace-notice">
      <Notice error={error}>
        <div className="notice-actions">
          <button type="button" className="button" onClick={onRetry}>
            Try again
          </button>
          <Link href="/" className="button">
            All documents
          </Link>
        </div>
      </Notice>
    </div>
  );
}

function RailSkeleton() {
  return (
    <div className="rail">
      {Array.from({ length: 4 }, (_, index) => (
        <span key={index} className="thumbnail">
          <span className="thumbnail-picture">
            <span className="skeleton" />
          </span>
        </span>
      ))}
    </div>
  );
}

/** Tells screen readers how the document gets on: at its quarters and at its end, not at every page. */
function Announcer({ document }: { document: QuireDocument | null }) {
  const [text, setText] = useState("");
  const part = document?.pages_total ? (document.pages_done + document.pages_failed) / document.pages_total : 0;
  const stage = document ? `${document.status} ${Math.floor(part * 4)}` : "";
  const first = useRef(true);
  useEffect(() => {
    if (!stage || !document) return;
    // What is there at the beginning is read with the page.
    if (!first.current) setText(`${document.status}: ${progressText(document)}`);
    first.current = false;
  }, [stage]);
  return (
    <p className="visually-hidden" role="status">
      {text}
    </p>
  );
}
