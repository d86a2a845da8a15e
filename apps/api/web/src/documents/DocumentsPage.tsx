import { useCallback, useEffect, useState } from "react";
import type { QuireDocument, UploadForm } from "../lib/api";
import { formatBytes, STATUS_NAMES } from "../lib/format";
import { query } from "../lib/api";
import { documentPath, navigate } from "../lib/router";
import { useLatest } from "../lib/useLatest";
import { Header } from "../ui/Header";
import { Icon } from "../ui/Icon";
import { IconButton } from "../ui/IconButton";
import { Notice } from "../ui/Notice";
import { ProgressBar } from "../ui/ProgressBar";
import { useToasts } from "../ui/Toasts";
import { DocumentRow } from "./DocumentRow";
import { DropZone } from "./DropZone";
import { UploadOptions } from "./UploadOptions";
import { useDocuments } from "./useDocuments";
import { type Upload, useUploads } from "./useUploads";

interface Props {
  status: string;
  filename: string;
  onSignOut: (() => void) | undefined;
}

/** Home: add documents, find documents. */
export function DocumentsPage({ status, filename, onSignOut }: Props) {
  const documents = useDocuments({ status, filename });
  const [form, setForm] = useState<UploadForm>({});
  const { say } = useToasts();
  const refresh = useLatest(documents.refresh);
  const onDone = useCallback(
    (document: QuireDocument, together: number) => {
      if (together === 1) return navigate(documentPath(document.id));
      say(`${document.filename ?? "The file"} was added.`);
      refresh.current();
    },
    [say, refresh],
  );
  const { uploads, add } = useUploads(onDone);

  useEffect(() => {
    document.title = "Documents – Quire";
  }, []);

  return (
    <>
      <Header onSignOut={onSignOut} />
      <main className="page" id="main" tabIndex={-1}>
        <h1 className="visually-hidden">Documents</h1>
        <DropZone onFiles={(files) => add(files, form)}>
          <UploadOptions form={form} onChange={setForm} />
        </DropZone>
        {uploads.length > 0 && (
          <ul className="uploads" aria-label="Files on their way">
            {uploads.map((one) => (
              <UploadRow key={one.number} upload={one} />
            ))}
          </ul>
        )}
        <Filters status={status} filename={filename} />
        <DocumentList {...documents} filtered={Boolean(status || filename)} />
      </main>
    </>
  );
}

function UploadRow({ upload }: { upload: Upload }) {
  if (upload.error !== null) {
    return (
      <li>
        <Notice title={upload.name} error={upload.error} onDismiss={upload.stop} />
      </li>
    );
  }
  return (
    <li className="upload">
      <span className="row-main">
        <span className="row-name">{upload.name}</span>
        <span className="row-facts">
          {upload.part < 1 ? `${Math.round(upload.part * 100)}% of ${formatBytes(upload.bytes)}` : "Being stored"}
        </span>
      </span>
      <IconButton icon="close" label={`Stop sending ${upload.name}`} onClick={upload.stop} />
      <ProgressBar part={upload.part < 1 ? upload.part : null} label={`Sending ${upload.name}`} />
    </li>
  );
}

const TYPING_PAUSE = 250;

function Filters({ status, filename }: { status: string; filename: string }) {
  const [typed, setTyped] = useState(filename);
  useEffect(() => setTyped(filename), [filename]);
  useEffect(() => {
    if (typed === filename) return;
    const timer = setTimeout(() => navigate(`/${query({ status, filename: typed.trim() })}`, { replace: true }), TYPING_PAUSE);
    return () => clearTimeout(timer);
  }, [typed, filename, status]);
  return (
    <form className="filters" role="search" aria-label="Documents" onSubmit={(event) => event.preventDefault()}>
      <label className="search-field">
        <Icon name="search" />
        <span className="visually-hidden">File name</span>
        <input type="search" placeholder="Find by file name" value={typed} onChange={(event) => setTyped(event.target.value)} />
      </label>
      <label className="select-field">
        <span className="visually-hidden">Status</span>
        <select value={status} onChange={(event) => navigate(`/${query({ status: event.target.value, filename })}`, { replace: true })}>
          <option value="">Every status</option>
          {Object.entries(STATUS_NAMES).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </form>
  );
}

function DocumentList({ items, hasMore, loadingMore, error, loadMore, refresh, filtered }: ReturnType<typeof useDocuments> & { filtered: boolean }) {
  const now = new Date();
  return (
    <section aria-label="Documents" aria-busy={items === null && error === null}>
      {error !== null && (
        <Notice error={error} title="The list could not be loaded">
          <button type="button" className="button" onClick={refresh}>
            Try again
          </button>
        </Notice>
      )}
      {items === null && error === null && <Skeletons />}
      {items?.length === 0 && <Empty filtered={filtered} />}
      {items !== null && items.length > 0 && (
        <ul className="rows">
          {items.map((document) => (
            <DocumentRow key={document.id} document={document} now={now} />
          ))}
        </ul>
      )}
      {hasMore && (
        <button type="button" className="button more" disabled={loadingMore} onClick={loadMore}>
          {loadingMore ? "Loading …" : "Show more"}
        </button>
      )}
    </section>
  );
}

function Skeletons() {
  return (
    <ul className="rows" aria-label="Loading">
      {Array.from({ length: 6 }, (_, index) => (
        <li key={index} className="row skeleton-row">
          <span className="skeleton" />
          <span className="skeleton" />
        </li>
      ))}
    </ul>
  );
}

function Empty({ filtered }: { filtered: boolean }) {
  return (
    <div className="empty">
      <svg viewBox="0 0 120 84" aria-hidden="true">
        <path d="M60 18C45 8 28 5 10 8v62c18-3 35 0 50 10 15-10 32-13 50-10V8C92 5 75 8 60 18Zm0 0v62" />
        <path className="faint" d="M22 24c9-.8 17 .4 25 3.5M22 36c9-.8 17 .4 25 3.5M22 48c9-.8 17 .4 25 3.5M98 24c-9-.8-17 .4-25 3.5M98 36c-9-.8-17 .4-25 3.5M98 48c-9-.8-17 .4-25 3.5" />
      </svg>
      <h2>{filtered ? "No document matches" : "No documents yet"}</h2>
      <p>{filtered ? "Change the name or the status, or show everything." : "Add one above: its pages appear here as they are read."}</p>
      {filtered && (
        <button type="button" className="button" onClick={() => navigate("/", { replace: true })}>
          Show everything
        </button>
      )}
    </div>
  );
}
