import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import { plural } from "../lib/format";
import { isRight, QUESTION_NAMES, type QuizOption, type QuizQuestion } from "../lib/studyAids";
import { Icon } from "../ui/Icon";
import { Citations } from "./Citations";
import { Stepper } from "./Stepper";

/** What somebody has made of a question. Answers in one's own words are right when their writer says so. */
interface Attempt {
  chosen: number[];
  revealed: boolean;
  right: boolean | null;
}

const FRESH: Attempt = { chosen: [], revealed: false, right: null };

/** Questions, one at a time; after the last one the score. */
export function QuizView({ questions }: { questions: QuizQuestion[] }) {
  const [attempts, setAttempts] = useState<Record<number, Attempt>>({});
  const [at, setAt] = useState(0);
  const [scored, setScored] = useState(false);
  const [round, setRound] = useState(0);
  const question = questions[at];
  const score = Object.values(attempts).filter(({ right }) => right).length;

  const goTo = (next: number): void => {
    setScored(false);
    setAt(next);
  };
  if (scored) {
    return (
      <Score
        questions={questions}
        rights={questions.map((_, index) => attempts[index]?.right ?? null)}
        onQuestion={goTo}
        onAgain={() => {
          setAttempts({});
          setRound(round + 1);
          goTo(0);
        }}
      />
    );
  }
  if (!question) return null;
  const last = at === questions.length - 1;
  return (
    <div className="quiz">
      <p className="quiz-facts">
        <span>{QUESTION_NAMES[question.kind]}</span>
        <span>{score} right</span>
      </p>
      <Question
        key={`${round}/${at}`}
        number={at + 1}
        question={question}
        // Those who come from another question go on with this one; those who open the quiz stay where they are.
        focused={at > 0 || Object.keys(attempts).length > 0 || round > 0}
        attempt={attempts[at] ?? FRESH}
        onAttempt={(attempt) => setAttempts({ ...attempts, [at]: attempt })}
        nextLabel={last ? "Show the score" : "Go on"}
        onNext={() => (last ? setScored(true) : goTo(at + 1))}
      />
      <Stepper what="question" at={at} count={questions.length} onStep={goTo} />
    </div>
  );
}

interface QuestionProps {
  number: number;
  question: QuizQuestion;
  focused: boolean;
  attempt: Attempt;
  onAttempt: (attempt: Attempt) => void;
  nextLabel: string;
  onNext: () => void;
}

function Question({ number, question, focused, attempt, onAttempt, nextLabel, onNext }: QuestionProps) {
  const { chosen, revealed, right } = attempt;
  const written = question.kind === "short_answer";
  const several = question.kind === "multiple_choice";
  const name = useId();
  const box = useRef<HTMLFieldSetElement>(null);
  useEffect(() => {
    if (focused) box.current?.focus({ preventScroll: true });
  }, [focused]);

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (revealed) onNext();
    else if (written) onAttempt({ ...attempt, revealed: true });
    else if (chosen.length > 0) onAttempt({ chosen, revealed: true, right: isRight(question, chosen) });
  };
  const choose = (index: number, wanted: boolean): void => {
    const others = several ? chosen.filter((one) => one !== index) : [];
    onAttempt({ ...attempt, chosen: wanted ? [...others, index] : others });
  };

  return (
    <form className="question" onSubmit={submit}>
      <fieldset ref={box} tabIndex={-1}>
        <legend>{question.question}</legend>
        {several && !revealed && <p className="quiet">Choose every right answer.</p>}
        {question.options.map((option, index) => (
          <Option
            key={index}
            option={option}
            type={several ? "checkbox" : "radio"}
            name={name}
            chosen={chosen.includes(index)}
            revealed={revealed}
            onChoose={(wanted) => choose(index, wanted)}
          />
        ))}
        {written && !revealed && (
          <label className="own-words">
            <span className="visually-hidden">Your answer</span>
            <textarea rows={3} placeholder="Write an answer, or think of one" />
          </label>
        )}
      </fieldset>
      {written && revealed && (
        <div className="own-answer">
          <p className="own-answer-text">{question.answer}</p>
          {question.explanation && <p className="explanation">{question.explanation}</p>}
          <div className="verdicts" role="group" aria-label="Was your answer right?">
            <button type="button" className="button small" aria-pressed={right === true} onClick={() => onAttempt({ ...attempt, right: true })}>
              <Icon name="check" /> I had it
            </button>
            <button type="button" className="button small" aria-pressed={right === false} onClick={() => onAttempt({ ...attempt, right: false })}>
              <Icon name="close" /> I did not
            </button>
          </div>
        </div>
      )}
      <p className={right ? "verdict right" : "verdict"} role="status">
        {revealed && right !== null && (right ? "Right." : "Not right.")}
      </p>
      <Citations citations={question.citations} of={`question ${number}`} />
      <button type="submit" className="button primary" disabled={!revealed && !written && chosen.length === 0}>
        {revealed ? nextLabel : written ? "Show the answer" : "Check"}
      </button>
    </form>
  );
}

interface OptionProps {
  option: QuizOption;
  type: "radio" | "checkbox";
  name: string;
  chosen: boolean;
  revealed: boolean;
  onChoose: (wanted: boolean) => void;
}

function Option({ option, type, name, chosen, revealed, onChoose }: OptionProps) {
  const state = !revealed ? "" : option.correct ? "right" : chosen ? "wrong" : "other";
  return (
    <label className={["option", state, chosen && "chosen"].filter(Boolean).join(" ")}>
      <input type={type} name={name} checked={chosen} disabled={revealed} onChange={(event) => onChoose(event.target.checked)} />
      <span className="option-text">
        <span>{option.text}</span>
        {revealed && (
          <span className="explanation">
            <strong>{option.correct ? "Right" : "Wrong"}.</strong> {option.explanation}
          </span>
        )}
      </span>
      {revealed && (option.correct || chosen) && <Icon name={option.correct ? "check" : "close"} />}
    </label>
  );
}

interface ScoreProps {
  questions: QuizQuestion[];
  /** Null for a question that was left out. */
  rights: (boolean | null)[];
  onQuestion: (at: number) => void;
  onAgain: () => void;
}

function Score({ questions, rights, onQuestion, onAgain }: ScoreProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const right = rights.filter(Boolean).length;
  const open = rights.filter((one) => one === null).length;
  return (
    <div className="score">
      <h3 ref={heading} tabIndex={-1}>
        {right} of {questions.length} right
      </h3>
      {open > 0 && <p className="quiet">{plural(open, "question")} without an answer</p>}
      <ol>
        {questions.map((question, index) => (
          <li key={index}>
            <button type="button" className={rights[index] ? "score-row right" : "score-row"} onClick={() => onQuestion(index)}>
              {rights[index] === null ? <span className="icon" /> : <Icon name={rights[index] ? "check" : "close"} />}
              <span className="visually-hidden">{rights[index] === null ? "Not answered: " : rights[index] ? "Right: " : "Not right: "}</span>
              <span>{question.question}</span>
            </button>
          </li>
        ))}
      </ol>
      <button type="button" className="button" onClick={onAgain}>
        <Icon name="retry" /> Start again
      </button>
    </div>
  );
}
