import { useState } from "react";
import { api, type QuireDocument } from "../lib/api";
import { isActive, nameOf, progressText } from "../lib/format";
import { documentPath, navigate } from "../lib/router";
import { Confirm } from "../ui/Dialog";
import { Header } from "../ui/Header";
import { Icon } from "../ui/Icon";
import { Menu, type MenuItem } from "../ui/Menu";
import { ProgressBar } from "../ui/ProgressBar";
import { StatusBadge } from "../ui/StatusBadge";
import { useToasts } from "../ui/Toasts";
import { ExportMenu } from "./ExportMenu";

interface Props {
  document: QuireDocument | null;
  /** Whether there is no hope for a document: it could not be fetched. */
  missing: boolean;
  connected: boolean;
  page: number | null;
  line: number | null;
  /** The study aid that is looked at. */
  aid: string | null;
  onUpdate: (document: QuireDocument) => void;
  onCopy: (text: string, what: string) => void;
  onShortcuts: () => void;
  onSignOut: (() => void) | undefined;
}

/** What the document is called, how far it is, and what can be done with it. */
export function DocumentHeader({ document, missing, connected, page, line, aid, onUpdate, onCopy, onShortcuts, onSignOut }: Props) {
  const [deleting, setDeleting] = useState(false);
  const { say, fail } = useToasts();

  if (!document) {
    return (
      <Header onSignOut={onSignOut}>
        <div className="document-title">
          {missing ? <h1>No document</h1> : <h1 className="skeleton text" aria-label="Document" />}
        </div>
      </Header>
    );
  }
  const { id, status, pages_total: total } = document;
  const active = isActive(status);
  const failedPages = document.pages_failed > 0 && !active;

  const act = async (action: () => Promise<QuireDocument>, done: string): Promise<void> => {
    try {
      onUpdate(await action());
      say(done);
    } catch (error) {
      fail(error);
    }
  };
  const remove = async (): Promise<void> => {
    setDeleting(false);
    try {
      await api.delete(id);
      say(`${nameOf(document)} was deleted.`);
      navigate("/");
    } catch (error) {
      fail(error);
    }
  };

  const cancel = (): void => void act(() => api.cancel(id), "Cancelled. Pages that were read are kept.");
  const retry = (): void => void act(() => api.retry(id), "The pages that failed are read again.");
  const retryable = failedPages || status === "failed";
  const items: MenuItem[] = [
    { label: "Copy a link to here", icon: "link", onSelect: () => onCopy(location.origin + documentPath(id, page, line === null ? null : line + 1, "", aid), "The link") },
    ...(active ? [{ label: "Cancel", icon: "stop", onSelect: cancel } as const] : []),
    ...(retryable ? [{ label: "Read again what failed", icon: "retry", onSelect: retry } as const] : []),
    { label: "Keyboard", icon: "keyboard", onSelect: onShortcuts },
    { label: "Delete", icon: "trash", danger: true, onSelect: () => setDeleting(true) },
  ];

  return (
    <Header onSignOut={onSignOut}>
      <div className="document-title">
        <h1 title={nameOf(document)}>{nameOf(document)}</h1>
        <p className="document-facts">
          <StatusBadge status={status} />
          <span>{connected || !active ? progressText(document) : "Connection lost, trying again …"}</span>
        </p>
      </div>
      <div className="document-actions">
        {active && (
          <button type="button" className="button wide-only" onClick={cancel}>
            Cancel
          </button>
        )}
        {retryable && (
          <button type="button" className="button wide-only" onClick={retry}>
            <Icon name="retry" /> Retry
          </button>
        )}
        <ExportMenu document={document} page={page} />
        <Menu label="More" className="icon-button" button={<Icon name="more" />} items={items} />
      </div>
      {active && (
        <ProgressBar
          part={total ? (document.pages_done + document.pages_failed) / total : status === "queued" ? 0 : null}
          label="Progress"
        />
      )}
      {deleting && (
        <Confirm
          title="Delete this document?"
          text={`“${nameOf(document)}”, its pages and their text are gone for good.`}
          action="Delete"
          onConfirm={() => void remove()}
          onClose={() => setDeleting(false)}
        />
      )}
    </Header>
  );
}
