import { Icon } from "../ui/Icon";

interface Props {
  /** What there are several of. */
  what: string;
  /** Counts from 0. */
  at: number;
  count: number;
  onStep: (at: number) => void;
}

/** To the next of several, or back. */
export function Stepper({ what, at, count, onStep }: Props) {
  return (
    <nav className="stepper" aria-label={`${what}s`}>
      <button type="button" className="button" aria-label={`Previous ${what}`} disabled={at === 0} onClick={() => onStep(at - 1)}>
        <Icon name="left" />
      </button>
      <span className="stepper-place">
        {at + 1} of {count}
      </span>
      <button type="button" className="button" aria-label={`Next ${what}`} disabled={at === count - 1} onClick={() => onStep(at + 1)}>
        <Icon name="right" />
      </button>
    </nav>
  );
}
