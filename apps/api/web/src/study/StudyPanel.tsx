import { useEffect, useRef, useState } from "react";
import { plural } from "../lib/format";
import { isUnfinished, KIND_NAMES, optionsText, partMade, stateText, type StudyAid } from "../lib/studyAids";
import { Icon, type IconName } from "../ui/Icon";
import { Link } from "../ui/Link";
import { Notice } from "../ui/Notice";
import { ProgressBar } from "../ui/ProgressBar";
import { StudyAidView } from "./StudyAidView";
import { StudyBadge } from "./StudyBadge";
import { StudyForm } from "./StudyForm";
import { useNews, useStudyAids } from "./useStudyAids";

const ICONS: Record<StudyAid["kind"], IconName> = { summary: "summary", flashcards: "cards", quiz: "quiz" };

interface Props {
  id: string;
  /** Not in sight it keeps what somebody has got to, and asks for nothing. */
  shown: boolean;
  /** The study aid that is open. */
  aid: string | null;
  /** Where a study aid is opened; null closes it. */
  hrefOf: (aid: string) => string;
  onOpen: (aid: string | null) => void;
  /** Whether the document is still being read. */
  unfinished: boolean;
}

/** The study aids of a document, or one of them. */
export function StudyPanel({ id, shown, aid, hrefOf, onOpen, unfinished }: Props) {
  const { items, error, refresh, put } = useStudyAids(id, shown);
  const news = useNews(items);
  const [asking, setAsking] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const opened = useRef(aid);

  // What is opened begins at its title, for keyboards and screen readers, too.
  useEffect(() => {
    if (opened.current === aid) return;
    opened.current = aid;
    heading.current?.focus();
  }, [aid]);

  return (
    <div className="study" hidden={!shown}>
      <p className="visually-hidden" role="status">
        {news}
      </p>
      {aid !== null && (items !== null || error === null) ? (
        <StudyAidView
          key={aid}
          id={id}
          aidId={aid}
          listed={items?.find((one) => one.id === aid)}
          ready={items !== null}
          heading={heading}
          onBack={() => onOpen(null)}
          onUpdate={put}
        />
      ) : (
        <>
          <div className="panel-bar study-bar">
            <div className="study-title">
              <h2 ref={heading} tabIndex={-1}>
                Study aids
              </h2>
              {items !== null && items.length > 0 && <p>{plural(items.length, "study aid")}</p>}
            </div>
            {items !== null && items.length > 0 && (
              <button type="button" className="button small" aria-expanded={asking} onClick={() => setAsking(!asking)}>
                <Icon name={asking ? "close" : "plus"} /> {asking ? "Close" : "New"}
              </button>
            )}
          </div>
          <div className="study-body">
            {error !== null && (
              <Notice error={error} title="The study aids could not be loaded">
                <button type="button" className="button" onClick={refresh}>
                  Try again
                </button>
              </Notice>
            )}
            {items?.length === 0 && <p className="study-intro">A language model makes them of the text. Each item leads to the words it is taken from.</p>}
            {items !== null && (asking || items.length === 0) && (
              <StudyForm
                id={id}
                unfinished={unfinished}
                onAsked={(made) => {
                  put(made);
                  setAsking(false);
                  onOpen(made.id);
                }}
              />
            )}
            {items === null && error === null && <span className="skeleton text" aria-label="Loading" />}
            {items !== null && items.length > 0 && (
              <ul className="aids" aria-label="Study aids">
                {items.map((one) => (
                  <li key={one.id}>
                    <AidRow aid={one} href={hrefOf(one.id)} />
                  </li>
                ))}
              </ul>
            )}
          </div>
        </>
      )}
    </div>
  );
}

function AidRow({ aid, href }: { aid: StudyAid; href: string }) {
  const working = isUnfinished(aid.status);
  return (
    <>
      <Link href={href} className="aid">
        <Icon name={ICONS[aid.kind]} />
        <span className="aid-main">
          <span className="aid-name">{KIND_NAMES[aid.kind]}</span>
          <span className="aid-facts">{optionsText(aid)}</span>
          {working && <span className="aid-facts">{stateText(aid)}</span>}
          {aid.error && <span className="aid-facts aid-error">{aid.error.message}</span>}
        </span>
        <StudyBadge status={aid.status} />
      </Link>
      {aid.status === "running" && <ProgressBar part={partMade(aid)} label={`Progress of the ${aid.kind}`} />}
    </>
  );
}
