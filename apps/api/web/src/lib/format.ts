/** Numbers and times as people read them. */

import type { QuireDocument, DocumentStatus } from "./api";

const BYTES = ["B", "kB", "MB", "GB"];

export function formatBytes(bytes: number | null): string {
  if (bytes === null) return "";
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < BYTES.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ${BYTES[unit]}`;
}

/** "40 s", "3 min", "2 h 10 min". */
export function formatDuration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const TIMES = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAYS = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DATES = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** "just now", "5 min ago", "14:05", "12 Mar, 14:05", "12 Mar 2023": as exact as it matters. */
export function formatWhen(iso: string, now: Date): string {
  const then = new Date(iso);
  const minutes = (now.getTime() - then.getTime()) / 60_000;
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${Math.floor(minutes)} min ago`;
  if (then.toDateString() === now.toDateString()) return TIMES.format(then);
  if (then.getFullYear() === now.getFullYear()) return `${DAYS.format(then)}, ${TIMES.format(then)}`;
  return DATES.format(then);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-GB")} ${count === 1 ? one : many}`;
}

export function percent(part: number): string {
  // Rounded down: what is not certain does not say 100 %.
  return `${Math.floor(part * 100 + 1e-9)}%`;
}

export const STATUS_NAMES: Record<DocumentStatus, string> = {
  queued: "Waiting",
  running: "Reading",
  completed: "Done",
  partial: "Partly read",
  failed: "Failed",
  cancelled: "Cancelled",
};

export function isActive(status: DocumentStatus): boolean {
  return status === "queued" || status === "running";
}

export function nameOf(document: Pick<QuireDocument, "filename" | "id">): string {
  return document.filename || `Document ${document.id.slice(0, 8)}`;
}

/** How far a document is, in words: for people and for screen readers. */
export function progressText(document: QuireDocument): string {
  const { status, pages_total: total, pages_done: done, pages_failed: failed, queue_position, eta_seconds } = document;
  const eta = eta_seconds !== null && isActive(status) ? ` · about ${formatDuration(eta_seconds)} left` : "";
  if (status === "queued") {
    if (queue_position === null) return `Waiting for a worker${eta}`;
    return queue_position === 0 ? `Next in the queue${eta}` : `${plural(queue_position, "document")} ahead${eta}`;
  }
  if (status === "running" && total === null) return "Opening the file";
  if (status === "running") return `${done + failed} of ${plural(total ?? 0, "page")}${eta}`;
  if (status === "completed") return plural(done, "page");
  if (status === "partial") return `${done} of ${plural(total ?? done + failed, "page")} read, ${failed} failed`;
  if (status === "cancelled" && total) return `${done} of ${plural(total, "page")} read`;
  return "";
}

/** Without case and accents, and as long as it was: what is found in it is at the same place in the text. */
function fold(text: string): string {
  return Array.from({ length: text.length }, (_, index) => {
    const plain = text.charAt(index).normalize("NFD").charAt(0).toLowerCase();
    return plain.length === 1 ? plain : text.charAt(index);
  }).join("");
}

/** The parts of a text, those that match the query marked. Case and accents do not matter, as in the API's search. */
export function marked(text: string, query: string): { text: string; match: boolean }[] {
  const needle = fold(query.trim());
  if (!needle) return [{ text, match: false }];
  const pattern = new RegExp(needle.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+"), "g");
  const parts: { text: string; match: boolean }[] = [];
  let end = 0;
  for (const found of fold(text).matchAll(pattern)) {
    if (found.index > end) parts.push({ text: text.slice(end, found.index), match: false });
    parts.push({ text: text.slice(found.index, found.index + found[0].length), match: true });
    end = found.index + found[0].length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), match: false });
  return parts;
}
