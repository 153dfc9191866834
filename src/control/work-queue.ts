import type { Logger } from 'pino';

import { Backoff } from '../kube/index.ts';

export interface WorkQueueOptions {
  readonly name: string;
  /**
   * Brings the object of a key to where it should be. A rejection means: try again, later and later. Aborted by
   * the signal when the queue is closed.
   */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<void>;
  /** Keys worked on at once. */
  readonly concurrency: number;
  readonly logger: Logger;
  /** @default 200 */
  readonly retryBaseMs?: number;
  /** @default 300000 */
  readonly retryCapMs?: number;
}

/**
 * Keys to be reconciled. A key is in the queue once at most and is never worked on twice at the same time; one
 * that is added while it is worked on comes again afterwards.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #logger: Logger;
  readonly #queued = new Set<string>();
  /** Of those that are preferred, the ones that wait. */
  readonly #urgent = new Set<string>();
  readonly #preferred = new Set<string>();
  readonly #running = new Map<string, { again: boolean }>();
  readonly #retries = new Map<string, { backoff: Backoff; timer?: NodeJS.Timeout }>();
  readonly #watchers = new Set<{ remaining: Set<string>; done: () => void }>();
  readonly #stop = new AbortController();
  #isPumpScheduled = false;
  #idle = Promise.withResolvers<void>();

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ component: options.name });
    this.#idle.resolve();
  }

  /** Keys waiting or being worked on. */
  get depth(): number {
    return this.#queued.size + this.#urgent.size + this.#running.size;
  }

  /** From now on the key goes before others whenever it waits, until {@link preferNone}. */
  prefer(key: string): void {
    this.#preferred.add(key);
  }

  preferNone(): void {
    this.#preferred.clear();
  }

  /** Has the key reconciled soon; a retry that it waits for is brought forward. */
  add(key: string): void {
    if (this.#stop.signal.aborted) return;
    clearTimeout(this.#retries.get(key)?.timer);
    const running = this.#running.get(key);
    if (running === undefined) this.#enqueue(key);
    else running.again = true;
    this.#schedulePump();
  }

  /**
   * Resolves when each of the keys is neither waiting nor being worked on; one that failed and will be tried
   * again counts as done.
   */
  async settled(keys: Iterable<string>): Promise<void> {
    const remaining = new Set<string>();
    for (const key of keys)
      if (this.#queued.has(key) || this.#urgent.has(key) || this.#running.has(key)) remaining.add(key);
    if (remaining.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#watchers.add({ remaining, done: resolve });
    await promise;
  }

  /** Takes no more keys, and waits for those being worked on. */
  async close(): Promise<void> {
    this.#stop.abort();
    for (const { timer } of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
    this.#queued.clear();
    this.#urgent.clear();
    if (this.#running.size > 0) {
      this.#idle = Promise.withResolvers<void>();
      await this.#idle.promise;
    }
    for (const { done } of this.#watchers) done();
    this.#watchers.clear();
  }

  #enqueue(key: string): void {
    if (this.#preferred.has(key)) {
      // It may have waited before it was preferred, and waits once.
      this.#queued.delete(key);
      this.#urgent.add(key);
    } else if (!this.#urgent.has(key)) this.#queued.add(key);
  }

  /** Work starts after what adds keys is done adding, so that a burst of changes to one key is one. */
  #schedulePump(): void {
    if (this.#isPumpScheduled) return;
    this.#isPumpScheduled = true;
    queueMicrotask(() => {
      this.#isPumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    for (const queued of [this.#urgent, this.#queued]) {
      for (const key of queued) {
        if (this.#running.size >= this.#options.concurrency) return;
        queued.delete(key);
        void this.#work(key);
      }
    }
  }

  async #work(key: string): Promise<void> {
    const running = { again: false };
    this.#running.set(key, running);
    let failed = false;
    try {
      await this.#options.reconcile(key, this.#stop.signal);
      this.#retries.delete(key);
    } catch (error) {
      failed = true;
      if (!this.#stop.signal.aborted)
        this.#logger.warn({ err: error, key }, 'reconciling failed, will try again');
    }
    this.#running.delete(key);
    if (this.#stop.signal.aborted) {
      if (this.#running.size === 0) this.#idle.resolve();
      return;
    }
    if (running.again) this.#enqueue(key);
    else if (failed) this.#retry(key);
    if (!running.again) this.#tellWatchers(key);
    this.#pump();
  }

  #retry(key: string): void {
    const { retryBaseMs = 200, retryCapMs = 300_000 } = this.#options;
    const retry = this.#retries.get(key) ?? { backoff: new Backoff(retryBaseMs, retryCapMs) };
    retry.timer = setTimeout(() => this.add(key), retry.backoff.next());
    retry.timer.unref();
    this.#retries.set(key, retry);
  }

  #tellWatchers(key: string): void {
    for (const watcher of this.#watchers) {
      watcher.remaining.delete(key);
      if (watcher.remaining.size > 0) continue;
      this.#watchers.delete(watcher);
      watcher.done();
    }
  }
}
