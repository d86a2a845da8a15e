import { useEffect, useRef } from "react";

/** The newest value in a ref: for listeners that are set up once. */
export function useLatest<Value>(value: Value): { readonly current: Value } {
  const ref = useRef(value);
  useEffect(() => {
    ref.current = value;
  });
  return ref;
}
