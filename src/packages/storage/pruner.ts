/** Takes archives away that no Package names any more. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Logger } from 'pino';

import { formatArchiveId } from './archive-id.ts';
import type { ArchiveStorage } from './storage.ts';

export interface PrunerOptions {
  readonly storage: ArchiveStorage;
  /**
   * What Packages name: ids, and bare digests, which stand for every archive with that content. Asked after the
   * archives were listed; where it rejects, nothing is removed.
   */
  readonly named: () => Promise<ReadonlySet<string>>;
  readonly logger: Logger;
  /** @default an hour */
  readonly intervalMs?: number;
  /**
   * How long an archive must have been in the storage, and how long nothing may have named it: who uploads names
   * it only afterwards, and a Package that is exchanged is gone for a moment.
   * @default an hour
   */
  readonly graceMs?: number;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

const HOUR_MS = 3_600_000;

export class ArchivePruner {
  readonly #options: PrunerOptions;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  /** Since when nothing names an archive, by its id. */
  readonly #unnamedSince = new Map<string, number>();
  #running: Promise<void> | null = null;

  constructor(options: PrunerOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ component: 'archive-pruner' });
  }

  /** Looks now and from then on. */
  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Looks once; the ids that were removed. */
  async prune(): Promise<string[]> {
    const { storage, named, graceMs = HOUR_MS, now = Date.now } = this.#options;
    const startMs = now();
    const old: { id: string; name: string; remove: () => Promise<boolean> }[] = [];
    for await (const { id, storedMs } of storage.list()) {
      if (storedMs >= startMs - graceMs) continue;
      // Stored again since: then it has the grace of a fresh one.
      const remove = (): Promise<boolean> => storage.remove(id, startMs - graceMs);
      old.push({ id: formatArchiveId(id), name: id.name, remove });
    }
    const used = await named();
    const unnamed = old.filter(({ id, name }) => !used.has(id) && !used.has(name));
    const known = new Set(unnamed.map(({ id }) => id));
    for (const id of this.#unnamedSince.keys()) if (!known.has(id)) this.#unnamedSince.delete(id);
    const removed: string[] = [];
    for (const { id, remove } of unnamed) {
      const since = this.#unnamedSince.get(id) ?? startMs;
      this.#unnamedSince.set(id, since);
      if (startMs - since < graceMs) continue;
      if (await remove()) removed.push(id);
      this.#unnamedSince.delete(id);
    }
    return removed;
  }

  async #run(): Promise<void> {
    const { intervalMs = HOUR_MS } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        const removed = await this.prune();
        if (removed.length > 0) {
          this.#logger.info({ removed: removed.length, ids: removed.slice(0, 20) }, 'archives were pruned');
        }
      } catch (error) {
        this.#logger.warn({ err: error }, 'archives could not be pruned, will try again');
      }
      await delay(intervalMs, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {});
    }
  }
}
