/** Works keys off one after the other, each once however often it was added while it waited. */
export interface WorkQueueOptions<T> {
  keyOf(item: T): string;
  work(item: T): Promise<unknown>;
  onError(error: unknown, item: T): void;
}

/** First wait after a failure; doubled each time up to the limit. */
const RETRY_MS = 500;
const RETRY_LIMIT_MS = 30_000;

export class WorkQueue<T> {
  readonly #options: WorkQueueOptions<T>;
  readonly #waiting = new Map<string, T>();
  readonly #retries = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #running = false;
  #closed = false;

  constructor(options: WorkQueueOptions<T>) {
    this.#options = options;
  }

  add(item: T): void {
    if (this.#closed) return;
    this.#waiting.set(this.#options.keyOf(item), item);
    if (!this.#running) void this.#run();
  }

  close(): void {
    this.#closed = true;
    this.#waiting.clear();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (;;) {
      const next = this.#waiting.entries().next().value;
      if (next === undefined) break;
      const [key, item] = next;
      this.#waiting.delete(key);
      try {
        await this.#options.work(item);
        this.#retries.delete(key);
      } catch (error) {
        if (this.#closed) break;
        this.#options.onError(error, item);
        this.#retryLater(key, item);
      }
    }
    this.#running = false;
  }

  #retryLater(key: string, item: T): void {
    const failures = (this.#retries.get(key) ?? 0) + 1;
    this.#retries.set(key, failures);
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.add(item);
      },
      Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_LIMIT_MS),
    );
    timer.unref();
    this.#timers.add(timer);
  }
}
