import type { QuireDocument } from "../lib/api";
import { formatBytes, formatWhen, isActive, nameOf, progressText } from "../lib/format";
import { documentPath } from "../lib/router";
import { Icon } from "../ui/Icon";
import { Link } from "../ui/Link";
import { ProgressBar } from "../ui/ProgressBar";
import { StatusBadge } from "../ui/StatusBadge";

export function DocumentRow({ document, now }: { document: QuireDocument; now: Date }) {
  const { status, pages_total: total, pages_done, pages_failed, error } = document;
  const name = nameOf(document);
  const facts = [status === "failed" ? error?.message : progressText(document), formatBytes(document.bytes)].filter(Boolean);
  return (
    <li className="row">
      <Link href={documentPath(document.id)} className="row-link">
        <span className="row-icon">
          <Icon name="file" />
        </span>
        <span className="row-main">
          <span className="row-name" title={name}>
            {name}
          </span>
          <span className="row-facts">{facts.join(" · ")}</span>
        </span>
        <StatusBadge status={status} />
        <time className="row-time" dateTime={document.created_at} title={new Date(document.created_at).toLocaleString()}>
          {formatWhen(document.created_at, now)}
        </time>
      </Link>
      {isActive(status) && (
        <ProgressBar part={total ? (pages_done + pages_failed) / total : status === "running" ? null : 0} label={`Progress of ${name}`} />
      )}
    </li>
  );
}
