/** Pages that were fetched, each once while it is wanted, the least recently used forgotten first. */

export class PageCache<Value> {
  private readonly entries = new Map<number, Promise<Value>>();
  private readonly values = new Map<number, Value>();

  constructor(
    private readonly fetchPage: (number: number) => Promise<Value>,
    private readonly capacity = 80,
  ) {}

  /** The page if it is here already. */
  peek(number: number): Value | undefined {
    return this.values.get(number);
  }

  /** The page; what is on its way is not asked for again. A failed request is forgotten. */
  get(number: number): Promise<Value> {
    const known = this.entries.get(number);
    if (known) {
      this.entries.delete(number);
      this.entries.set(number, known);
      return known;
    }
    const asked = this.fetchPage(number);
    this.entries.set(number, asked);
    asked.then(
      (value) => this.entries.get(number) === asked && this.values.set(number, value),
      () => this.entries.get(number) === asked && this.entries.delete(number),
    );
    this.trim();
    return asked;
  }

  /** Forget a page that has changed. */
  forget(number: number): void {
    this.entries.delete(number);
    this.values.delete(number);
  }

  private trim(): void {
    for (const number of this.entries.keys()) {
      if (this.entries.size <= this.capacity) return;
      this.forget(number);
    }
  }
}
