import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { useLatest } from "../lib/useLatest";
import { Icon } from "../ui/Icon";

const ACCEPTED = ".pdf,.png,.jpg,.jpeg,.webp,.bmp,.tif,.tiff,.heic,.heif,application/pdf,image/*";

/** Takes files: dropped anywhere on the window, picked, or pasted. `children` are the options below. */
export function DropZone({ onFiles, children }: { onFiles: (files: File[]) => void; children: ReactNode }) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const latest = useLatest(onFiles);
  const hint = useId();

  useEffect(() => {
    let depth = 0;
    const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth += 1;
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      depth -= 1;
      if (depth <= 0) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length > 0) latest.current(files);
    };
    const allow = (event: DragEvent): void => {
      if (hasFiles(event)) event.preventDefault();
    };
    const paste = (event: ClipboardEvent): void => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length > 0) latest.current(files);
    };
    const listeners = { dragenter: enter, dragleave: leave, dragover: allow, drop, paste } as Record<string, (event: never) => void>;
    for (const [name, listener] of Object.entries(listeners)) window.addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) window.removeEventListener(name, listener as EventListener);
    };
  }, [latest]);

  return (
    <section className={over ? "drop-zone over" : "drop-zone"} aria-label="Add documents">
      <input
        ref={input}
        type="file"
        multiple
        accept={ACCEPTED}
        className="visually-hidden"
        tabIndex={-1}
        aria-hidden="true"
        onChange={(event) => {
          const files = [...(event.target.files ?? [])];
          // So that the same file can be picked again.
          event.target.value = "";
          if (files.length > 0) onFiles(files);
        }}
      />
      <div className="drop-zone-text">
        <p className="drop-zone-title">{over ? "Let go to read it" : "Drop a document to read it"}</p>
        <p id={hint} className="quiet">
          PDF, PNG, JPEG, WebP, BMP, TIFF or HEIC
        </p>
      </div>
      <button type="button" className="button primary" aria-describedby={hint} onClick={() => input.current?.click()}>
        <Icon name="upload" />
        Choose files
      </button>
      {children}
    </section>
  );
}
