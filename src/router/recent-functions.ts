/**
 * Which functions were served last, kept over restarts: there may be thousands, and the ones that somebody uses are
 * to be there first when the platform comes back.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Logger } from 'pino';
import type { SharedCounts } from './shared-counts.ts';

export interface RecentFunctionsOptions {
  /** Where the list is kept. */
  readonly file: string;
  readonly counts: SharedCounts;
  /** All functions, from when `isComplete` on. */
  readonly functions: { list(): Iterable<{ readonly namespace: string; readonly name: string }> };
  /** Whether `functions` has all there are: only then is one that it does not have forgotten. */
  readonly isComplete: () => boolean;
  /** A function's slot in `counts`, by `namespace/name`. */
  readonly slotOf: (key: string) => number;
  readonly logger: Logger;
  /** Between two looks, ms: what was served between the same two counts as served at once. @default 30 s */
  readonly everyMs?: number;
  /** Functions that are remembered. @default 1000 */
  readonly most?: number;
}

export class RecentFunctions {
  readonly #options: RecentFunctionsOptions;
  readonly #most: number;
  readonly #timer: NodeJS.Timeout;
  #keys: readonly string[];

  constructor(options: RecentFunctionsOptions) {
    this.#options = options;
    this.#most = options.most ?? 1000;
    this.#keys = this.#read();
    this.#timer = setInterval(() => this.look(), options.everyMs ?? 30_000);
    this.#timer.unref();
  }

  /** As `namespace/name`, the one that was served last first. */
  get keys(): readonly string[] {
    return this.#keys;
  }

  /** Takes over what was served since the last look, forgets what is gone, and keeps that where it is a change. */
  look(): void {
    const { counts, functions, isComplete, slotOf } = this.#options;
    const now = counts.nextLook();
    const there = new Set<string>();
    const served: string[] = [];
    for (const { namespace, name } of functions.list()) {
      const key = `${namespace}/${name}`;
      there.add(key);
      if (counts.lastServed(slotOf(key)) === now) served.push(key);
    }
    const before = this.#keys;
    const kept = isComplete() ? before.filter((key) => there.has(key)) : before;
    if (served.length === 0 && kept.length === before.length) return;
    this.#keys = [...new Set([...served, ...kept])].slice(0, this.#most);
    if (this.#keys.length !== before.length || this.#keys.some((key, i) => key !== before[i])) this.#write();
  }

  close(): void {
    clearInterval(this.#timer);
    this.look();
  }

  #read(): readonly string[] {
    try {
      const keys = JSON.parse(readFileSync(this.#options.file, 'utf8')) as unknown;
      return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string').slice(0, this.#most) : [];
    } catch {
      // Not there yet, or damaged: then functions come back in the order of their names.
      return [];
    }
  }

  #write(): void {
    const { file, logger } = this.#options;
    try {
      writeFileSync(`${file}.new`, JSON.stringify(this.#keys), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (err) {
      logger.warn({ err, file }, 'the list of functions that were served last cannot be kept');
    }
  }
}
