import { type FormEvent, useId, useState } from "react";
import { api } from "../lib/api";
import {
  COUNTS,
  DIFFICULTY_NAMES,
  type Difficulty,
  KIND_NAMES,
  QUESTION_NAMES,
  type QuestionKind,
  STUDY_KINDS,
  STYLE_NAMES,
  type StudyAid,
  type StudyKind,
  type StudyOptions,
  type SummaryStyle,
} from "../lib/studyAids";
import { Notice } from "../ui/Notice";

interface Props {
  id: string;
  /** Whether the document is still being read. */
  unfinished: boolean;
  onAsked: (aid: StudyAid) => void;
}

/** Asks for a study aid. */
export function StudyForm({ id, unfinished, onAsked }: Props) {
  const [kind, setKind] = useState<StudyKind>("summary");
  const [style, setStyle] = useState<SummaryStyle>("bullets");
  const [counts, setCounts] = useState<Record<string, string>>({});
  const [difficulty, setDifficulty] = useState<Difficulty>("mixed");
  const [kinds, setKinds] = useState<QuestionKind[]>(["single_choice"]);
  const [language, setLanguage] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const field = useId();

  const limits = kind === "summary" ? null : COUNTS[kind];
  const options = (): StudyOptions => ({
    ...(kind === "summary" && { style }),
    ...(limits && { count: Number(counts[kind] || limits.usual) }),
    ...(kind === "flashcards" && { difficulty }),
    ...(kind === "quiz" && { kinds }),
    ...(language.trim() && { language: language.trim() }),
  });
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      onAsked(await api.askForStudyAid(id, { kind, options: options() }));
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };

  return (
    <form className="study-form" onSubmit={(event) => void submit(event)} aria-label="New study aid">
      <fieldset className="segments">
        <legend className="visually-hidden">Kind</legend>
        {STUDY_KINDS.map((one) => (
          <label key={one}>
            <input type="radio" name={`${field}-kind`} checked={one === kind} onChange={() => setKind(one)} />
            <span>{KIND_NAMES[one]}</span>
          </label>
        ))}
      </fieldset>
      <div className="study-fields">
        {kind === "summary" && <Choice id={`${field}-style`} label="Form" names={STYLE_NAMES} value={style} onChange={setStyle} />}
        {limits && (
          <div className="field">
            <label htmlFor={`${field}-count`}>At most</label>
            <input
              id={`${field}-count`}
              type="number"
              required
              min={1}
              max={limits.most}
              value={counts[kind] ?? limits.usual}
              onChange={(event) => setCounts({ ...counts, [kind]: event.target.value })}
            />
          </div>
        )}
        {kind === "flashcards" && (
          <Choice id={`${field}-difficulty`} label="Difficulty" names={DIFFICULTY_NAMES} value={difficulty} onChange={setDifficulty} />
        )}
        <div className="field whole">
          <label htmlFor={`${field}-language`}>Language</label>
          <input
            id={`${field}-language`}
            value={language}
            maxLength={40}
            placeholder="The document’s own"
            autoComplete="off"
            onChange={(event) => setLanguage(event.target.value)}
          />
        </div>
        {kind === "quiz" && <QuestionKinds kinds={kinds} onChange={setKinds} />}
      </div>
      {unfinished && <p className="quiet">The document is still being read. This begins when that is done.</p>}
      {error !== null && <Notice error={error} title="It could not be asked for" />}
      <button type="submit" className="button primary" disabled={busy || (kind === "quiz" && kinds.length === 0)}>
        {kind === "flashcards" ? "Make flashcards" : `Make a ${KIND_NAMES[kind].toLowerCase()}`}
      </button>
    </form>
  );
}

interface ChoiceProps<Value extends string> {
  id: string;
  label: string;
  names: Record<Value, string>;
  value: Value;
  onChange: (value: Value) => void;
}

function Choice<Value extends string>({ id, label, names, value, onChange }: ChoiceProps<Value>) {
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <span className="select-field">
        <select id={id} value={value} onChange={(event) => onChange(event.target.value as Value)}>
          {Object.entries<string>(names).map(([one, name]) => (
            <option key={one} value={one}>
              {name}
            </option>
          ))}
        </select>
      </span>
    </div>
  );
}

const QUESTION_KINDS = Object.keys(QUESTION_NAMES) as QuestionKind[];

function QuestionKinds({ kinds, onChange }: { kinds: QuestionKind[]; onChange: (kinds: QuestionKind[]) => void }) {
  return (
    <fieldset className="field question-kinds">
      <legend>Questions</legend>
      <div className="choices">
        {QUESTION_KINDS.map((kind) => (
          <label key={kind} className="checkbox">
            <input
              type="checkbox"
              checked={kinds.includes(kind)}
              onChange={(event) => onChange(QUESTION_KINDS.filter((one) => (one === kind ? event.target.checked : kinds.includes(one))))}
            />
            {QUESTION_NAMES[kind]}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
