import { type RefObject, useState } from "react";
import { api } from "../lib/api";
import { plural } from "../lib/format";
import { droppedCount, isUnfinished, KIND_NAMES, optionsText, partMade, sizeText, stateText, type StudyAid, type StudyResult } from "../lib/studyAids";
import { Confirm } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { IconButton } from "../ui/IconButton";
import { Notice } from "../ui/Notice";
import { ProgressBar } from "../ui/ProgressBar";
import { useToasts } from "../ui/Toasts";
import { FlashcardsView } from "./FlashcardsView";
import { QuizView } from "./QuizView";
import { StudyBadge } from "./StudyBadge";
import { StudyExportMenu } from "./StudyExportMenu";
import { SummaryView } from "./SummaryView";
import { useStudyAid } from "./useStudyAids";

interface Props {
  id: string;
  aidId: string;
  /** What the list of study aids says about it. */
  listed: StudyAid | undefined;
  /** Whether there is a list. */
  ready: boolean;
  heading: RefObject<HTMLHeadingElement | null>;
  onBack: () => void;
  onUpdate: (aid: StudyAid) => void;
}

/** One study aid: what is in it, how far it is, or why there is none. */
export function StudyAidView({ id, aidId, listed, ready, heading, onBack, onUpdate }: Props) {
  const { aid, error, reload } = useStudyAid(id, aidId, listed, ready);
  const [asking, setAsking] = useState(false);
  const { fail } = useToasts();
  const known = aid ?? listed;

  const again = (): void => {
    setAsking(false);
    api.makeStudyAidAgain(id, aidId).then((asked) => {
      onUpdate(asked);
      // The button is gone.
      heading.current?.focus();
    }, fail);
  };

  return (
    <>
      <div className="panel-bar study-bar">
        <IconButton icon="left" label="All study aids" onClick={onBack} />
        <div className="study-title">
          <h2 ref={heading} tabIndex={-1}>
            {known ? KIND_NAMES[known.kind] : "Study aid"}
          </h2>
          {known && <p>{aid?.result ? sizeText(aid.result) : optionsText(known)}</p>}
        </div>
        {aid?.result && (
          <>
            <IconButton icon="retry" label="Make it again" onClick={() => setAsking(true)} />
            <StudyExportMenu id={id} aid={aid} />
          </>
        )}
      </div>
      {error !== null && (
        <div className="study-body">
          <Notice error={error} title="This study aid could not be loaded">
            <button type="button" className="button" onClick={reload}>
              Try again
            </button>
          </Notice>
        </div>
      )}
      {!aid && error === null && (
        <div className="line-skeletons" aria-label="Loading">
          {Array.from({ length: 5 }, (_, index) => (
            <span key={index} className="skeleton text" />
          ))}
        </div>
      )}
      {aid && (
        <div className="study-body">
          {isUnfinished(aid.status) && <Unfinished aid={aid} />}
          {aid.error && (
            <Notice error={aid.error} title={aid.status === "unavailable" ? "There is no language model to make this" : "This could not be made"}>
              <button type="button" className="button" onClick={again}>
                <Icon name="retry" /> Make it again
              </button>
            </Notice>
          )}
          {aid.result && <Result key={aid.finished_at} result={aid.result} aid={aid} />}
        </div>
      )}
      {asking && known && (
        <Confirm
          title={`Make the ${known.kind} again?`}
          text="What is here is replaced, and the language model is asked anew."
          action="Make it again"
          onConfirm={again}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

function Unfinished({ aid }: { aid: StudyAid }) {
  return (
    <div className="unfinished">
      <StudyBadge status={aid.status} />
      <p role="status">{stateText(aid)}</p>
      <ProgressBar part={partMade(aid)} label={`Progress of the ${aid.kind}`} />
      <p className="quiet">It appears here by itself.</p>
    </div>
  );
}

function Result({ result, aid }: { result: StudyResult; aid: StudyAid }) {
  const dropped = droppedCount(result);
  return (
    <>
      {result.kind === "summary" && <SummaryView sections={result.sections} style={aid.options.style} />}
      {result.kind === "flashcards" && <FlashcardsView cards={result.cards} />}
      {result.kind === "quiz" && <QuizView questions={result.questions} />}
      <footer className="study-foot">
        <p>
          Written by {aid.model ?? "a language model"}. The words cited are the document’s own; whether an item follows from them is for you to see.
        </p>
        {dropped > 0 && <p>{plural(dropped, "item")} left out: without such words, repeated or incomplete.</p>}
      </footer>
    </>
  );
}
