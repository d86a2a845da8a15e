import { describe, expect, it } from "vitest";
import { documentPath, parseRoute } from "../src/lib/router";
import { droppedCount, isRight, optionsText, partMade, sizeText, stateText, type StudyAid } from "../src/lib/studyAids";

const AID: StudyAid = {
  id: "a",
  kind: "quiz",
  options: { count: 3, kinds: ["single_choice", "true_false"], language: null },
  status: "running",
  windows_done: 2,
  windows_total: 8,
  result: null,
  model: null,
  error: null,
  created_at: "2026-03-12T14:30:00Z",
  finished_at: null,
};

describe("study aids", () => {
  it("says what was asked for", () => {
    expect(optionsText(AID)).toBe("At most 3 questions · one answer, true or false");
    expect(optionsText({ kind: "flashcards", options: { count: 1, difficulty: "mixed", language: "German" } })).toBe("At most 1 card · German");
    expect(optionsText({ kind: "summary", options: { style: "sections" } })).toBe("Points for each section");
  });

  it("says how far one is, and never more than all", () => {
    expect([stateText(AID), partMade(AID)]).toEqual(["2 of 8 parts asked about", 0.25]);
    // Some are asked about again.
    const again = { ...AID, windows_done: 9 };
    expect([stateText(again), partMade(again)]).toEqual(["8 of 8 parts asked about", 1]);
    expect(partMade({ ...AID, windows_total: null })).toBeNull();
    const alone = { ...AID, windows_done: 0, windows_total: 1 };
    expect([stateText(alone), partMade(alone)]).toEqual(["The language model is at work", null]);
    expect(partMade({ ...AID, status: "waiting" })).toBe(0);
  });

  it("counts what there is and what was left out", () => {
    const dropped = { quote_not_found: 2, duplicate: 1, asked_again: 5 };
    expect(droppedCount({ kind: "quiz", questions: [], dropped })).toBe(3);
    const point = { text: "", citations: [] };
    const sections = [1, 2].map((page) => ({ heading: null, first_page: page, last_page: page, points: [point] }));
    expect(sizeText({ kind: "summary", sections, dropped })).toBe("2 points");
  });

  it("takes an answer for right when every right option was chosen and no other", () => {
    const options = [true, false, true].map((correct) => ({ text: "", explanation: "", correct }));
    expect([[0, 2], [2, 0], [0], [0, 1, 2], []].map((chosen) => isRight({ options }, chosen))).toEqual([true, true, false, false, false]);
  });

  it("has an address", () => {
    const path = documentPath("d", 2, null, "", "a-1");
    expect(path).toBe("/documents/d?page=2&aid=a-1");
    expect(parseRoute("/documents/d", path.slice(path.indexOf("?")))).toMatchObject({ page: 2, aid: "a-1" });
  });
});
