/** Copying text and saving files. */

/** Put text on the clipboard. Throws where the browser does not allow it. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // The clipboard API is for https and localhost only; the older way also works over plain http.
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  const focused = document.activeElement;
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  if (!done) throw new Error("The browser did not allow copying. Select the text and copy it yourself.");
}

/** The file name a response suggests. */
export function filenameOf(response: Response, otherwise: string): string {
  const header = response.headers.get("Content-Disposition") ?? "";
  const encoded = /filename\*=(?:UTF-8|utf-8)''([^;]+)/.exec(header)?.[1];
  if (encoded) {
    try {
      return decodeURIComponent(encoded);
    } catch {
      // Not encoded after all.
    }
  }
  return /filename="?([^";]+)"?/.exec(header)?.[1] ?? otherwise;
}

/** Save a response as a file. */
export async function saveResponse(response: Response, otherwise: string): Promise<void> {
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = filenameOf(response, otherwise);
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
