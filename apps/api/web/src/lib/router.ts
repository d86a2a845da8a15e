/** Addresses: what is shown is in the URL, so that a link shows the same to somebody else. */

import { useSyncExternalStore } from "react";

export type Route =
  | { name: "documents"; status: string; filename: string }
  | { name: "document"; id: string; page: number | null; line: number | null; query: string; aid: string | null }
  | { name: "unknown" };

function positive(text: string | null): number | null {
  const number = Number(text);
  return text && Number.isInteger(number) && number > 0 ? number : null;
}

/** What an address asks for. `page` and `line` count from 1. */
export function parseRoute(path: string, search: string): Route {
  const parameters = new URLSearchParams(search);
  if (path === "/" || /^\/documents\/?$/.test(path)) {
    return { name: "documents", status: parameters.get("status") ?? "", filename: parameters.get("filename") ?? "" };
  }
  const id = /^\/documents\/([\w-]+)\/?$/.exec(path)?.[1];
  if (!id) return { name: "unknown" };
  return {
    name: "document",
    id,
    page: positive(parameters.get("page")),
    line: positive(parameters.get("line")),
    query: parameters.get("q") ?? "",
    aid: parameters.get("aid"),
  };
}

/** The address of a document, with a study aid open where `aid` names one. */
export function documentPath(id: string, page?: number | null, line?: number | null, query?: string, aid?: string | null): string {
  const parameters = new URLSearchParams();
  if (page) parameters.set("page", String(page));
  if (line) parameters.set("line", String(line));
  if (query) parameters.set("q", query);
  if (aid) parameters.set("aid", aid);
  const text = parameters.toString();
  return `/documents/${id}${text && `?${text}`}`;
}

const CHANGED = "quire:navigated";

/** Go to an address of the viewer. `replace` leaves no entry in the history. */
export function navigate(path: string, { replace = false } = {}): void {
  if (path === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", path);
  window.dispatchEvent(new Event(CHANGED));
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("popstate", listener);
  window.addEventListener(CHANGED, listener);
  return () => {
    window.removeEventListener("popstate", listener);
    window.removeEventListener(CHANGED, listener);
  };
}

const address = (): string => location.pathname + location.search;

export function useAddress(): string {
  return useSyncExternalStore(subscribe, address);
}
