import { type RefObject, useLayoutEffect, useState } from "react";
import type { Size } from "./geometry";

/** The inner size of an element in CSS pixels, kept up to date; zero before the first layout. */
export function useSize(element: RefObject<HTMLElement | null>): Size {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const observed = element.current;
    if (!observed) return;
    const measure = (): void =>
      setSize((old) => {
        const now = { width: observed.clientWidth, height: observed.clientHeight };
        return old.width === now.width && old.height === now.height ? old : now;
      });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(observed);
    return () => observer.disconnect();
  }, [element]);
  return size;
}
