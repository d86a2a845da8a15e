/** Study aids: what they are made of, what they are called, and what is right in a quiz. */

import type { Box, Failure } from "./api";
import { plural } from "./format";

export type StudyKind = "summary" | "flashcards" | "quiz";
export type StudyStatus = "waiting" | "queued" | "running" | "completed" | "failed" | "unavailable";
export type SummaryStyle = "short" | "bullets" | "sections";
export type Difficulty = "easy" | "medium" | "hard" | "mixed";
export type QuestionKind = "single_choice" | "multiple_choice" | "true_false" | "short_answer";

/** What a study aid was asked for; which of them there are depends on its kind. */
export interface StudyOptions {
  language?: string | null;
  style?: SummaryStyle;
  count?: number;
  difficulty?: Difficulty;
  kinds?: QuestionKind[];
}

export interface StudyRequest {
  kind: StudyKind;
  options: StudyOptions;
}

/** The document's own words, and where they are: boxes in pixels of the page image. */
export interface Citation {
  page_number: number;
  quote: string;
  boxes: Box[];
}

export interface SummaryPoint {
  text: string;
  citations: Citation[];
}

export interface SummarySection {
  heading: string | null;
  first_page: number;
  last_page: number;
  points: SummaryPoint[];
}

export interface Flashcard {
  front: string;
  back: string;
  difficulty: Exclude<Difficulty, "mixed">;
  citations: Citation[];
}

export interface QuizOption {
  text: string;
  correct: boolean;
  explanation: string;
}

/** One of the kind `short_answer` has an answer and no options. */
export interface QuizQuestion {
  kind: QuestionKind;
  question: string;
  options: QuizOption[];
  answer: string | null;
  explanation: string | null;
  citations: Citation[];
}

/** Items that are not shown, by reason. `asked_again` counts requests, not items. */
export type Dropped = Record<string, number>;

export type StudyResult =
  | { kind: "summary"; sections: SummarySection[]; dropped: Dropped }
  | { kind: "flashcards"; cards: Flashcard[]; dropped: Dropped }
  | { kind: "quiz"; questions: QuizQuestion[]; dropped: Dropped };

export interface StudyAid {
  id: string;
  kind: StudyKind;
  options: StudyOptions;
  status: StudyStatus;
  windows_done: number;
  windows_total: number | null;
  /** Null in lists, and until it is made. */
  result: StudyResult | null;
  model: string | null;
  error: Failure | null;
  created_at: string;
  finished_at: string | null;
}

export const STUDY_KINDS = ["summary", "flashcards", "quiz"] as const;
export const KIND_NAMES: Record<StudyKind, string> = { summary: "Summary", flashcards: "Flashcards", quiz: "Quiz" };
export const STUDY_STATUS_NAMES: Record<StudyStatus, string> = {
  waiting: "Waiting",
  queued: "Queued",
  running: "Being made",
  completed: "Ready",
  failed: "Failed",
  unavailable: "Unavailable",
};
export const STYLE_NAMES: Record<SummaryStyle, string> = { short: "A few sentences", bullets: "Points", sections: "Points for each section" };
export const DIFFICULTY_NAMES: Record<Difficulty, string> = { mixed: "Mixed", easy: "Easy", medium: "Medium", hard: "Hard" };
export const QUESTION_NAMES: Record<QuestionKind, string> = {
  single_choice: "One answer",
  multiple_choice: "Several answers",
  true_false: "True or false",
  short_answer: "Own words",
};

/** How many items may be asked for, and how many are unless somebody says otherwise. */
export const COUNTS = { flashcards: { most: 200, usual: 20 }, quiz: { most: 100, usual: 10 } } as const;

/** Whether there is something to wait for. */
export function isUnfinished(status: StudyStatus): boolean {
  return status === "waiting" || status === "queued" || status === "running";
}

/** What was asked for, in a few words. */
export function optionsText({ kind, options }: StudyRequest): string {
  const { style, count, difficulty, kinds, language } = options;
  const facts = [
    style && STYLE_NAMES[style],
    count && `At most ${plural(count, kind === "quiz" ? "question" : "card")}`,
    difficulty && difficulty !== "mixed" && DIFFICULTY_NAMES[difficulty].toLowerCase(),
    kinds && kinds.map((one) => QUESTION_NAMES[one].toLowerCase()).join(", "),
    language,
  ];
  return facts.filter(Boolean).join(" · ");
}

/** How far a study aid is that is not made yet. */
export function stateText({ status, windows_done: done, windows_total: total }: StudyAid): string {
  if (status === "waiting") return "Begins when the document has been read";
  if (status === "queued") return "Begins as soon as a worker is free";
  if (total === null || total === 1) return "The language model is at work";
  return `${Math.min(done, total)} of ${plural(total, "part")} asked about`;
}

/** The part of it that is made, 0 to 1; null while nobody can say. */
export function partMade({ status, windows_done: done, windows_total: total }: StudyAid): number | null {
  if (status !== "running") return 0;
  return total && done ? Math.min(1, done / total) : null;
}

/** How much there is in a study aid. */
export function sizeText(result: StudyResult): string {
  if (result.kind === "flashcards") return plural(result.cards.length, "card");
  if (result.kind === "quiz") return plural(result.questions.length, "question");
  return plural(
    result.sections.reduce((sum, { points }) => sum + points.length, 0),
    "point",
  );
}

/** How many items the model gave that are not shown. */
export function droppedCount({ dropped }: StudyResult): number {
  return Object.entries(dropped).reduce((sum, [reason, count]) => (reason === "asked_again" ? sum : sum + count), 0);
}

/** "Page 3", "Pages 3–5". */
export function pagesText(first: number, last: number): string {
  return first === last ? `Page ${first}` : `Pages ${first}–${last}`;
}

/** Whether the chosen options, by their indices, are the right ones and all of them. */
export function isRight({ options }: Pick<QuizQuestion, "options">, chosen: readonly number[]): boolean {
  return options.every(({ correct }, index) => correct === chosen.includes(index));
}
