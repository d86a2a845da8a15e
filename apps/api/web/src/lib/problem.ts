/** Refusals (RFC 9457) as errors with a sentence and a code. */

export interface ProblemDetails {
  code: string;
  detail: string;
  status: number;
}

export const NETWORK_PROBLEM: ProblemDetails = {
  code: "network",
  detail: "The server did not answer. Check that it runs and that you are connected, then try again.",
  status: 0,
};

export class Problem extends Error {
  readonly code: string;
  readonly status: number;

  constructor({ code, detail, status }: ProblemDetails) {
    super(detail);
    this.name = "Problem";
    this.code = code;
    this.status = status;
  }
}

/** The problem in a response; one is made up for a response that has none, as a proxy's may. */
export async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  const { code, detail } = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  return new Problem({
    code: typeof code === "string" ? code : `http_${response.status}`,
    detail: typeof detail === "string" && detail ? detail : `The server answered with status ${response.status}.`,
    status: response.status,
  });
}

/** Anything thrown as what people are shown. */
export function describe(error: unknown): { code: string; message: string } {
  if (error instanceof Problem) return { code: error.code, message: error.message };
  return { code: "viewer", message: error instanceof Error ? error.message : String(error) };
}

/** Whether it only says that nobody waits for the answer any more. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
