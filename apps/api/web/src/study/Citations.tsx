import { createContext, useContext } from "react";
import type { Citation } from "../lib/studyAids";
import { IconButton } from "../ui/IconButton";

/** Evidence that is marked on its page. Shown once more it is another one: so the page is scrolled to it again. */
export interface Evidence {
  citation: Citation;
}

interface Shower {
  evidence: Evidence | null;
  onEvidence: (citation: Citation | null) => void;
}

/** What is marked, and how to have something marked. */
export const EvidenceContext = createContext<Shower>({ evidence: null, onEvidence: () => undefined });

/** The pages that an item is taken from; each leads to the words there. */
export function Citations({ citations, of }: { citations: Citation[]; of: string }) {
  const { evidence, onEvidence } = useContext(EvidenceContext);
  const shown = citations.find((one) => one === evidence?.citation);
  return (
    <div className="citations">
      <ul aria-label={`Evidence for ${of}`}>
        {citations.map((citation, index) => (
          <li key={index}>
            <button
              type="button"
              className="citation"
              title={`“${citation.quote}”`}
              aria-current={citation === shown ? "true" : undefined}
              onClick={(event) => {
                event.stopPropagation();
                onEvidence(citation);
              }}
            >
              <span aria-hidden="true">p. {citation.page_number}</span>
              <span className="visually-hidden">
                Show on page {citation.page_number}: “{citation.quote}”
              </span>
            </button>
          </li>
        ))}
      </ul>
      {shown && (
        <figure className="quote">
          <blockquote>{shown.quote}</blockquote>
          <IconButton
            icon="close"
            label="Hide the evidence"
            onClick={(event) => {
              event.stopPropagation();
              onEvidence(null);
            }}
          />
        </figure>
      )}
    </div>
  );
}
