import { useCallback, useRef, useState } from "react";
import { type QuireDocument, upload, type UploadForm } from "../lib/api";
import { isAbort } from "../lib/problem";

export interface Upload {
  number: number;
  name: string;
  bytes: number;
  /** 0 to 1. */
  part: number;
  error: unknown;
  stop: () => void;
}

/** Files on their way, one after another; `onDone` hears of each that was accepted, and of how many were sent with it. */
export function useUploads(onDone: (document: QuireDocument, together: number) => void) {
  const [uploads, setUploads] = useState<Upload[]>([]);
  const next = useRef(0);
  const queue = useRef<Promise<void>>(Promise.resolve());

  const change = (number: number, news: Partial<Upload>): void =>
    setUploads((all) => all.map((one) => (one.number === number ? { ...one, ...news } : one)));
  const remove = useCallback((number: number) => setUploads((all) => all.filter((one) => one.number !== number)), []);

  const add = useCallback(
    (files: File[], form: UploadForm) => {
      for (const file of files) {
        const number = (next.current += 1);
        const controller = new AbortController();
        const stop = (): void => {
          controller.abort();
          remove(number);
        };
        setUploads((all) => [...all, { number, name: file.name, bytes: file.size, part: 0, error: null, stop }]);
        queue.current = queue.current.then(async () => {
          if (controller.signal.aborted) return;
          try {
            const document = await upload(file, form, (part) => change(number, { part }), controller.signal);
            remove(number);
            onDone(document, files.length);
          } catch (error) {
            if (!isAbort(error)) change(number, { error });
          }
        });
      }
    },
    [onDone, remove],
  );

  return { uploads, add };
}
