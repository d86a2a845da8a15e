import { type KeyboardEvent, useState } from "react";
import { DIFFICULTY_NAMES, type Flashcard } from "../lib/studyAids";
import { Icon } from "../ui/Icon";
import { Citations } from "./Citations";
import { Stepper } from "./Stepper";

/** Cards, one at a time: a click turns a card, arrows lead to the next and the one before. */
export function FlashcardsView({ cards }: { cards: Flashcard[] }) {
  const [at, setAt] = useState(0);
  const [turned, setTurned] = useState(false);
  const card = cards[at];
  if (!card) return null;

  const goTo = (next: number): void => {
    if (!cards[next]) return;
    setAt(next);
    setTurned(false);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    goTo(at + step);
  };

  return (
    <div className="cards" onKeyDown={onKeyDown}>
      <section className={turned ? "flashcard turned" : "flashcard"} aria-label={`Card ${at + 1} of ${cards.length}`}>
        {/* The button below does the same for those who do not point. */}
        <div className="flashcard-face" onClick={() => setTurned(!turned)}>
          <p className="flashcard-side">
            <span>{turned ? "Answer" : "Question"}</span>
            <span className={`difficulty ${card.difficulty}`}>{DIFFICULTY_NAMES[card.difficulty]}</span>
          </p>
          <div aria-live="polite">
            {turned && <p className="flashcard-question">{card.front}</p>}
            <p className="flashcard-text">{turned ? card.back : card.front}</p>
          </div>
        </div>
        <button type="button" className="button small turn-button" onClick={() => setTurned(!turned)}>
          <Icon name="rotate" /> {turned ? "Show the question" : "Show the answer"}
        </button>
      </section>
      <Citations citations={card.citations} of={`card ${at + 1}`} />
      <Stepper what="card" at={at} count={cards.length} onStep={goTo} />
    </div>
  );
}
