import { useCallback, useEffect, useRef, useState } from "react";
import { DocumentPage } from "./document/DocumentPage";
import { DocumentsPage } from "./documents/DocumentsPage";
import { api } from "./lib/api";
import { Problem } from "./lib/problem";
import { parseRoute, useAddress } from "./lib/router";
import { forgetKey, onKeyForgotten } from "./lib/session";
import { SignIn } from "./SignIn";
import { Header } from "./ui/Header";
import { Link } from "./ui/Link";
import { Notice } from "./ui/Notice";
import { Toasts } from "./ui/Toasts";

type Session = { state: "asking" } | { state: "signed out" } | { state: "ready"; auth: boolean } | { state: "failed"; error: unknown };

/** Who is asking is settled first; then the address says what is shown. */
export function App() {
  const [session, setSession] = useState<Session>({ state: "asking" });

  const ask = useCallback(async () => {
    setSession({ state: "asking" });
    try {
      setSession({ state: "ready", auth: (await api.me()).auth });
    } catch (error) {
      const signedOut = error instanceof Problem && error.status === 401;
      setSession(signedOut ? { state: "signed out" } : { state: "failed", error });
    }
  }, []);

  useEffect(() => void ask(), [ask]);
  useEffect(() => onKeyForgotten(() => setSession({ state: "signed out" })), []);

  if (session.state === "asking") return <Header />;
  if (session.state === "signed out") return <SignIn onSignedIn={ask} />;
  if (session.state === "failed") {
    return (
      <>
        <Header />
        <main className="page" id="main" tabIndex={-1}>
          <Notice error={session.error} title="Quire cannot be reached">
            <button type="button" className="button" onClick={ask}>
              Try again
            </button>
          </Notice>
        </main>
      </>
    );
  }
  return (
    <Toasts>
      <Page onSignOut={session.auth ? forgetKey : undefined} />
    </Toasts>
  );
}

function Page({ onSignOut }: { onSignOut: (() => void) | undefined }) {
  const address = useAddress();
  const [path = "/", search = ""] = address.split(/(?=\?)/);
  const route = parseRoute(path, search);
  useFocusOnMain(route.name === "document" ? route.id : route.name);
  useNoStrayDrops();
  if (route.name === "document") return <DocumentPage key={route.id} route={route} onSignOut={onSignOut} />;
  if (route.name === "documents") return <DocumentsPage status={route.status} filename={route.filename} onSignOut={onSignOut} />;
  return (
    <>
      <Header onSignOut={onSignOut} />
      <main className="page" id="main" tabIndex={-1}>
        <div className="empty">
          <h1>Nothing here</h1>
          <p>This address leads nowhere.</p>
          <Link href="/" className="button">
            All documents
          </Link>
        </div>
      </main>
    </>
  );
}

/** Another page begins at its content, for keyboards and screen readers, too. */
function useFocusOnMain(page: string): void {
  const shown = useRef(page);
  useEffect(() => {
    if (shown.current === page) return;
    shown.current = page;
    document.getElementById("main")?.focus();
  }, [page]);
}

/** A file that is dropped where nobody takes it must not replace the viewer. */
function useNoStrayDrops(): void {
  useEffect(() => {
    const refuse = (event: DragEvent): void => event.preventDefault();
    window.addEventListener("dragover", refuse);
    window.addEventListener("drop", refuse);
    return () => {
      window.removeEventListener("dragover", refuse);
      window.removeEventListener("drop", refuse);
    };
  }, []);
}
