import { useEffect, useState } from "react";
import { send } from "../lib/api";
import { isAbort } from "../lib/problem";

interface BlockImage {
  /** Address of an image in memory. */
  url: string | null;
  failed: boolean;
}

/** The picture of a block; fetched, so that the key can be sent. */
export function useBlockImage(id: string, number: number, index: number): BlockImage {
  const path = `/documents/${encodeURIComponent(id)}/pages/${number}/blocks/${index}/image`;
  const [held, setHeld] = useState<BlockImage & { path: string }>({ path, url: null, failed: false });

  useEffect(() => {
    const controller = new AbortController();
    let url: string | null = null;
    const load = async (): Promise<void> => {
      try {
        const response = await send(path, { signal: controller.signal });
        const content = await response.blob();
        if (controller.signal.aborted) return;
        url = URL.createObjectURL(content);
        setHeld({ path, url, failed: false });
      } catch (error) {
        if (!isAbort(error)) setHeld({ path, url: null, failed: true });
      }
    };
    void load();
    return () => {
      controller.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [path]);

  return held.path === path ? held : { url: null, failed: false };
}
