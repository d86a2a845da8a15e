import { useEffect, useState } from "react";
import { api, send } from "../lib/api";
import { isAbort } from "../lib/problem";

export interface PageImage {
  /** Address of an image in memory; that of a smaller one until the right one is there. */
  url: string | null;
  error: unknown;
}

interface Held extends PageImage {
  page: string;
}

/**
 * The image of a page, at least `width` pixels wide where the page is. It is fetched and not left to `<img>`: so the
 * key can be sent, and what scrolls out of sight is not waited for. `number` null asks for nothing.
 */
export function useImage(id: string, number: number | null, width: number, delay = 0): PageImage {
  const page = `${id}/${number}`;
  const [held, setHeld] = useState<Held>({ page, url: null, error: null });

  useEffect(() => {
    if (number === null || width <= 0) return;
    const controller = new AbortController();
    const load = async (): Promise<void> => {
      try {
        const response = await send(api.imagePath(id, number, width), { signal: controller.signal });
        const url = URL.createObjectURL(await response.blob());
        if (controller.signal.aborted) URL.revokeObjectURL(url);
        else setHeld({ page: `${id}/${number}`, url, error: null });
      } catch (error) {
        if (!isAbort(error)) setHeld({ page: `${id}/${number}`, url: null, error });
      }
    };
    const timer = setTimeout(load, delay);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [id, number, width, delay]);

  // An image is given back when another one has taken its place, or nobody shows it any more.
  const { url } = held;
  useEffect(() => () => void (url && URL.revokeObjectURL(url)), [url]);

  return held.page === page ? held : { url: null, error: null };
}
