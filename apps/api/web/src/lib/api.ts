/** The API as the viewer uses it: typed calls, the key in a header, every refusal as a `Problem`. */

import type { Block } from "../structure/blocks";
import { isActive } from "./format";
import { NETWORK_PROBLEM, Problem, problemOf } from "./problem";
import { key, forgetKey } from "./session";
import type { StudyAid, StudyRequest } from "./studyAids";

export type DocumentStatus = "queued" | "running" | "completed" | "partial" | "failed" | "cancelled";
export type PageStatus = "pending" | "running" | "done" | "failed";
/** In pixels of the page image, clockwise from the text's own top left. */
export type Box = readonly (readonly [number, number])[];

export interface Failure {
  code: string;
  message: string;
}

export interface Options {
  pages: string | null;
  lang_hints: string[];
  text_layer: "auto" | "never" | "only";
  dpi: number | null;
  min_confidence: number | null;
}

export interface QuireDocument {
  id: string;
  status: DocumentStatus;
  filename: string | null;
  media_type: string | null;
  bytes: number | null;
  page_count: number | null;
  pages_total: number | null;
  pages_done: number;
  pages_failed: number;
  options: Options;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  error: Failure | null;
  queue_position: number | null;
  eta_seconds: number | null;
}

export interface Detection {
  text: string;
  box: Box;
  confidence: number;
}

export interface Word extends Detection {
  line: number;
}

export interface Page {
  page_number: number;
  status: PageStatus;
  width?: number | null;
  height?: number | null;
  dpi?: number | null;
  source?: "ocr" | "text_layer" | "mixed" | null;
  text?: string | null;
  detections?: Detection[] | null;
  words?: Word[] | null;
  blocks?: Block[] | null;
  confidence?: number | null;
  error?: Failure | null;
}

export interface Found {
  page_number: number;
  line: number;
  text: string;
  box: Box;
}

export interface List<Item> {
  items: Item[];
  next_cursor: string | null;
}

export interface Me {
  owner: string | null;
  scopes: string[];
  auth: boolean;
}

export const EXPORT_FORMATS = ["txt", "json", "md", "tables-html", "tables-csv", "tables-xlsx", "hocr", "alto", "pdf", "overlay"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
/** The last two are for flashcards alone. */
export type StudyFormat = "md" | "json" | "csv" | "apkg";

const ROOT = "/api/v1";

type Parameters = Record<string, string | number | boolean | null | undefined>;

/** The query string of the parameters that have a value, with its question mark; "" where none has. */
export function query(parameters: Parameters): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

/** Headers that say who is asking. */
export function credentials(): Record<string, string> {
  const known = key();
  return known ? { Authorization: `Bearer ${known}` } : {};
}

/** The response to a request, whatever its body is. Throws a `Problem` for every status from 400, and for none at all. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(ROOT + path, { ...init, headers: { ...credentials(), ...init.headers } });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem(NETWORK_PROBLEM);
  }
  if (response.ok) return response;
  if (response.status === 401) forgetKey();
  throw await problemOf(response);
}

async function json<Body>(path: string, init?: RequestInit): Promise<Body> {
  return (await (await send(path, init)).json()) as Body;
}

const of = (id: string): string => `/documents/${encodeURIComponent(id)}`;
const aidOf = (id: string, aid: string): string => `${of(id)}/artifacts/${encodeURIComponent(aid)}`;

export interface DocumentFilter {
  status?: string;
  filename?: string;
}

/** What an upload asks for besides the file; empty values are left out. */
export type UploadForm = Partial<Record<"pages" | "lang_hints" | "mode" | "doc_orientation" | "text_layer" | "dpi" | "min_confidence" | "priority" | "follow_ups", string>>;

// Fields with several values, which are written one after another.
const LISTS: ReadonlySet<string> = new Set<keyof UploadForm>(["lang_hints", "follow_ups"]);

export const api = {
  me: (signal?: AbortSignal) => json<Me>("/me", signal ? { signal } : {}),
  documents: (filter: DocumentFilter, cursor: string | null, signal?: AbortSignal, limit = 50) =>
    json<List<QuireDocument>>(`/documents${query({ ...filter, limit, cursor })}`, signal ? { signal } : {}),
  document: (id: string, signal?: AbortSignal) => json<QuireDocument>(of(id), signal ? { signal } : {}),
  page: (id: string, number: number) => json<Page>(`${of(id)}/pages/${number}`),
  pages: (id: string, parameters: { limit?: number; cursor?: string | null; status?: PageStatus; text_only?: boolean }) =>
    json<List<Page>>(`${of(id)}/pages${query(parameters)}`),
  search: (id: string, q: string, cursor: string | null, signal?: AbortSignal) =>
    json<List<Found>>(`${of(id)}/search${query({ q, limit: 50, cursor })}`, signal ? { signal } : {}),
  cancel: (id: string) => json<QuireDocument>(`${of(id)}/cancel`, { method: "POST" }),
  retry: (id: string) => json<QuireDocument>(`${of(id)}/retry`, { method: "POST" }),
  delete: async (id: string): Promise<void> => void (await send(of(id), { method: "DELETE" })),
  /** Of a document that is still being read: what there is. */
  export: ({ id, status }: Pick<QuireDocument, "id" | "status">, format: ExportFormat, page?: number) =>
    send(`${of(id)}/export/${format}${query({ page, partial: isActive(status) || undefined })}`),
  studyAids: (id: string, cursor: string | null, signal?: AbortSignal) =>
    json<List<StudyAid>>(`${of(id)}/artifacts${query({ limit: 200, cursor })}`, signal ? { signal } : {}),
  studyAid: (id: string, aid: string, signal?: AbortSignal) => json<StudyAid>(aidOf(id, aid), signal ? { signal } : {}),
  askForStudyAid: (id: string, request: StudyRequest) =>
    json<StudyAid>(`${of(id)}/artifacts`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) }),
  makeStudyAidAgain: (id: string, aid: string) => json<StudyAid>(`${aidOf(id, aid)}/rerun`, { method: "POST" }),
  exportStudyAid: (id: string, aid: string, format: StudyFormat) => send(`${aidOf(id, aid)}/export/${format}`),
  imagePath: (id: string, number: number, width: number) => `${of(id)}/pages/${number}/image${query({ width })}`,
};

/**
 * Send a file. `onProgress` hears the part that has been sent, 0 to 1. `fetch` cannot tell that, so this is an
 * XMLHttpRequest.
 */
export function upload(
  file: File,
  form: UploadForm,
  onProgress: (part: number) => void,
  signal: AbortSignal,
): Promise<QuireDocument> {
  const body = new FormData();
  for (const [name, value] of Object.entries(form)) {
    for (const one of LISTS.has(name) ? value.split(/[\s,]+/) : [value.trim()]) if (one) body.append(name, one);
  }
  body.append("file", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${ROOT}/documents`);
    for (const [name, value] of Object.entries(credentials())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(NETWORK_PROBLEM));
    request.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
    request.onload = () => {
      const response = new Response(request.responseText || null, {
        status: request.status,
        headers: { "Content-Type": request.getResponseHeader("Content-Type") ?? "" },
      });
      if (response.ok) return void response.json().then(resolve, reject);
      if (response.status === 401) forgetKey();
      problemOf(response).then(reject, reject);
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}
