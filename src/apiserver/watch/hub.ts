/** All watches of the server: who hears of which change, and when they end. */
import type { Change } from '../store/revision.ts';
import type { Store } from '../store/store.ts';
import type { Watcher } from './watcher.ts';

export interface WatchHubOptions {
  /** @default one minute, as Kubernetes */
  readonly bookmarkIntervalMs?: number;
  /** A client that takes nothing for so long is dropped. @default 60 s */
  readonly slowLimitMs?: number;
}

export class WatchHub {
  readonly #watchers = new Map<Watcher, { drop: () => void }>();
  readonly #stopListening: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #slowLimitMs: number;
  #sinceBookmarkMs = 0;

  constructor(store: Store, options: WatchHubOptions = {}) {
    this.#slowLimitMs = options.slowLimitMs ?? 60_000;
    this.#stopListening = store.onChanges((changes) => this.#deliver(changes));
    const bookmarkIntervalMs = options.bookmarkIntervalMs ?? 60_000;
    const tickMs = Math.min(bookmarkIntervalMs, this.#slowLimitMs);
    this.#timer = setInterval(() => this.#tick(tickMs, bookmarkIntervalMs), tickMs);
    this.#timer.unref();
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Starts a watch; `drop` cuts its connection. Returns the way to forget it. */
  add(watcher: Watcher, drop: () => void): () => void {
    this.#watchers.set(watcher, { drop });
    watcher.pump();
    return () => this.#watchers.delete(watcher);
  }

  /** Ends every watch. */
  close(): void {
    clearInterval(this.#timer);
    this.#stopListening();
    for (const watcher of this.#watchers.keys()) watcher.end();
    this.#watchers.clear();
  }

  #deliver(changes: readonly Change[]): void {
    const [first] = changes;
    if (first === undefined) return;
    for (const watcher of this.#watchers.keys()) watcher.deliver(changes, first.current.rv - 1);
  }

  #tick(elapsedMs: number, bookmarkIntervalMs: number): void {
    const nowMs = Date.now();
    for (const [watcher, { drop }] of this.#watchers) {
      const { blockedSinceMs } = watcher;
      if (blockedSinceMs === undefined || nowMs - blockedSinceMs < this.#slowLimitMs) continue;
      this.#watchers.delete(watcher);
      drop();
    }
    this.#sinceBookmarkMs += elapsedMs;
    if (this.#sinceBookmarkMs < bookmarkIntervalMs) return;
    this.#sinceBookmarkMs = 0;
    for (const watcher of this.#watchers.keys()) watcher.bookmark();
  }
}
