import type { Logger } from 'pino';
import type { KubeObject } from '../object.ts';
import { RESOURCES } from '../resources.ts';
import type { Store } from '../store/store.ts';

const INTERVAL_MS = 5 * 60 * 1000;
const CHUNK = 500;

/** Removes objects of kinds with a lifetime (events) some minutes after it has passed. */
export class Expiry {
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;

  constructor(store: Store, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
    this.#timer = setInterval(() => void this.run(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Removes what has expired by now. Never rejects. */
  async run(nowMs = Date.now()): Promise<void> {
    try {
      for (const { id, ttlMs } of RESOURCES) {
        if (ttlMs !== undefined) await this.#removeBefore(id, nowMs - ttlMs);
      }
    } catch (error) {
      this.#logger.warn({ err: error }, 'removing expired objects failed and is tried again');
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #removeBefore(resource: string, limitMs: number): Promise<void> {
    const expired = this.#store.list({ resource }).filter(({ object }) => lastChangeMs(object) < limitMs);
    for (let at = 0; at < expired.length; at += CHUNK) {
      await this.#store.write((transaction) => {
        for (const { key, rv } of expired.slice(at, at + CHUNK)) {
          // Counted up in the meantime: alive again.
          if (transaction.get(key)?.rv === rv) transaction.remove(key);
        }
      });
    }
  }
}

function lastChangeMs(object: KubeObject): number {
  const times = [object['lastTimestamp'], object['eventTime'], object.metadata.creationTimestamp];
  return Math.max(0, ...times.map((time) => (typeof time === 'string' ? Date.parse(time) || 0 : 0)));
}
