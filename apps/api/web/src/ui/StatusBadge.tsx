import type { DocumentStatus } from "../lib/api";
import { STATUS_NAMES } from "../lib/format";

export function StatusBadge({ status }: { status: DocumentStatus }) {
  return <span className={`badge ${status}`}>{STATUS_NAMES[status]}</span>;
}
