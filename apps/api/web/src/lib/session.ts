/** The API key of this tab, and who wants to know when it is no longer taken. */

const NAME = "quire.key";
const listeners = new Set<() => void>();
// What storage forgets where it is switched off.
let inMemory: string | null = null;

/** The key, or null. */
export function key(): string | null {
  try {
    return sessionStorage.getItem(NAME) ?? inMemory;
  } catch {
    return inMemory;
  }
}

/** Keep a key until the tab is closed. */
export function rememberKey(value: string): void {
  inMemory = value;
  try {
    sessionStorage.setItem(NAME, value);
  } catch {
    // In memory only.
  }
}

/** Forget the key: it was refused, or the user signs out. */
export function forgetKey(): void {
  inMemory = null;
  try {
    sessionStorage.removeItem(NAME);
  } catch {
    // It was not stored.
  }
  listeners.forEach((listener) => listener());
}

/** Hear of `forgetKey`; the answer ends that. */
export function onKeyForgotten(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}
