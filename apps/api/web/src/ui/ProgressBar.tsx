/** `part` is 0 to 1, or null while nobody can say. */
export function ProgressBar({ part, label }: { part: number | null; label: string }) {
  const now = part === null ? null : Math.round(part * 100);
  return (
    <div
      className={now === null ? "progress unknown" : "progress"}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={now ?? undefined}
    >
      <div style={now === null ? undefined : { transform: `scaleX(${part})` }} />
    </div>
  );
}
