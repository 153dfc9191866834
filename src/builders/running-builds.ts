import { FissiumError } from '../errors.ts';

/** What a builder has under way: it ends when the builder is closed, which waits for that. */
export class RunningBuilds {
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  /** @param build gets a signal that is also aborted when the builder is closed */
  async run<T>(signal: AbortSignal, build: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = build(AbortSignal.any([signal, this.#stop.signal]));
    this.add(running);
    return running;
  }

  /** Something that is to be over before the builder is, whatever comes of it. */
  add(work: Promise<unknown>): void {
    this.#running.add(work);
    const over = (): void => {
      this.#running.delete(work);
    };
    work.then(over, over);
  }

  /** Ends every build. */
  async close(): Promise<void> {
    this.#stop.abort(new FissiumError('SHUTTING_DOWN', 'The platform is shutting down.'));
    await Promise.allSettled(this.#running);
  }
}
