import { createContext, type ReactNode, useCallback, useContext, useRef, useState } from "react";
import { describe } from "../lib/problem";

interface Toast {
  text: string;
  code?: string;
}

interface Teller {
  /** Say that something was done. */
  say: (text: string) => void;
  /** Say that something went wrong. */
  fail: (error: unknown) => void;
}

const Context = createContext<Teller>({ say: () => undefined, fail: () => undefined });

export const useToasts = (): Teller => useContext(Context);

/** One short message at a time at the foot of the window; screen readers read it out. */
export function Toasts({ children }: { children: ReactNode }) {
  const [toast, setToast] = useState<Toast | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const show = useCallback((next: Toast, milliseconds: number) => {
    clearTimeout(timer.current);
    setToast(next);
    timer.current = setTimeout(() => setToast(null), milliseconds);
  }, []);
  const [teller] = useState<Teller>(() => ({
    say: (text) => show({ text }, 2500),
    fail: (error) => {
      const { code, message } = describe(error);
      show({ text: message, code }, 9000);
    },
  }));
  return (
    <Context.Provider value={teller}>
      {children}
      <div className="toasts" role="status" aria-live="polite">
        {toast && (
          <p className={toast.code ? "toast failed" : "toast"}>
            {toast.text} {toast.code && <code>{toast.code}</code>}
          </p>
        )}
      </div>
    </Context.Provider>
  );
}
