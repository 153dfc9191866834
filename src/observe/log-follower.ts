import type { LogLine } from './log-line.ts';
import { matches, type LogQuery } from './log-query.ts';

/** Lines that wait for a reader who is slower than the function writes. */
const BACKLOG = 10_000;

/** One reader of a log's lines to come. */
export class LogFollower {
  readonly #query: LogQuery;
  readonly #signal: AbortSignal;
  #backlog: LogLine[] = [];
  #skipped = 0;
  #wake: (() => void) | null = null;
  #closed = false;

  constructor(query: LogQuery, signal: AbortSignal) {
    this.#query = query;
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  offer(line: LogLine): void {
    if (this.#closed || !matches(line, this.#query)) return;
    if (this.#backlog.length >= BACKLOG) this.#skipped += 1;
    else this.#backlog.push(line);
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#wake?.();
  }

  /** Ends when the follower is closed, after the lines that came before. */
  async *lines(): AsyncGenerator<LogLine> {
    for (;;) {
      const batch = this.#backlog;
      this.#backlog = [];
      yield* batch;
      if (this.#skipped > 0) yield this.#skippedNotice();
      if (this.#backlog.length > 0) continue;
      if (this.#closed) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = null;
    }
  }

  readonly #onAbort = (): void => this.close();

  #skippedNotice(): LogLine {
    const { namespace, function: name } = this.#query;
    const line = `${this.#skipped} lines were skipped here: the reader was slower than the function writes.`;
    this.#skipped = 0;
    return { namespace, function: name, requestId: '', stream: 'platform', line, timeMs: Date.now() };
  }
}
