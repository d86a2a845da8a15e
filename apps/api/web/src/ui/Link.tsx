import type { AnchorHTMLAttributes } from "react";
import { navigate } from "../lib/router";

/** A link inside the viewer: an ordinary one, but that the page is not loaded anew. */
export function Link({ href, onClick, ...more }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  return (
    <a
      href={href}
      onClick={(event) => {
        onClick?.(event);
        if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(href);
      }}
      {...more}
    />
  );
}
