import { type FormEvent, useEffect, useState } from "react";
import { api } from "./lib/api";
import { Problem } from "./lib/problem";
import { rememberKey } from "./lib/session";
import { Notice } from "./ui/Notice";
import { Header } from "./ui/Header";

/** Asks for the API key and tries it. */
export function SignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const [value, setValue] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  useEffect(() => {
    document.title = "Sign in – Quire";
  }, []);

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!value.trim()) return setError(new Problem({ code: "unauthorized", detail: "Enter a key first.", status: 401 }));
    setBusy(true);
    setError(null);
    rememberKey(value.trim());
    try {
      await api.me();
      onSignedIn();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };

  return (
    <>
      <Header />
      <main className="sign-in" id="main" tabIndex={-1}>
        <form className="card" onSubmit={submit}>
          <h1>Sign in</h1>
          <p>This Quire asks for an API key. It stays in this tab and is forgotten when you close it.</p>
          <label htmlFor="key">API key</label>
          <input
            id="key"
            type="password"
            autoComplete="off"
            autoFocus
            spellCheck={false}
            placeholder="qk_…"
            value={value}
            onChange={(event) => setValue(event.target.value)}
          />
          {error !== null && <Notice error={error} />}
          <button type="submit" className="button primary" disabled={busy}>
            {busy ? "Trying the key …" : "Sign in"}
          </button>
        </form>
      </main>
    </>
  );
}
