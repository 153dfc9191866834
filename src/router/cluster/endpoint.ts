import { Pool } from 'undici';

import { Lines } from './relay/lines.ts';

/** Connections to one pod. Deadlines are the call's: the pool has none of its own but for connecting. */
const POOL = {
  connections: 512,
  pipelining: 1,
  connectTimeout: 3_000,
  headersTimeout: 0,
  bodyTimeout: 0,
  // Shorter than servers keep theirs, so that no call meets a connection that is just being closed.
  keepAliveTimeout: 3_000,
  keepAliveMaxTimeout: 60_000,
} as const;

/** For how long a host is passed over for a function that it has refused, where others may serve that. */
const REFUSED_MS = 5_000;
/** The same for calls whose bodies stream: those cannot be sent again. */
const REFUSED_TO_STREAMS_MS = 60_000;

/** One pod that takes calls. */
export class Endpoint {
  /** `namespace/pod`, as loads name it. */
  readonly key: string;
  readonly origin: string;
  /** Ends connections that were upgraded and go on for as long as their clients like. */
  readonly goAways = new Set<() => void>();
  /** For calls whose bodies are there; the others go over the pool. */
  readonly lines: Lines;
  readonly #pool: Pool;
  #running = 0;
  #lastEndedMs = performance.now();
  #restsUntilMs = 0;
  /** When a function (by its uid) was refused; null where none was. */
  #refusals: Map<string, number> | null = null;

  constructor(key: string, origin: string) {
    this.key = key;
    this.origin = origin;
    this.lines = new Lines({ origin, connectTimeoutMs: POOL.connectTimeout });
    this.#pool = new Pool(origin, POOL);
  }

  get pool(): Pool {
    return this.#pool;
  }

  /** Calls of this router that it has now. */
  get running(): number {
    return this.#running;
  }

  /** Since the last call ended; 0 while one runs. */
  idleMs(nowMs: number): number {
    return this.#running > 0 ? 0 : nowMs - this.#lastEndedMs;
  }

  begin(): void {
    this.#running += 1;
  }

  end(): void {
    this.#running -= 1;
    this.#lastEndedMs = performance.now();
  }

  /** Passes it over for a while. */
  rest(durationMs: number): void {
    this.#restsUntilMs = performance.now() + durationMs;
  }

  isResting(nowMs: number): boolean {
    return nowMs < this.#restsUntilMs;
  }

  /** It has refused a function, since what others may go on with it cannot begin to serve. */
  refused(uid: string): void {
    const nowMs = performance.now();
    this.#refusals ??= new Map();
    // A function that is gone is never served again.
    for (const [other, refusedMs] of this.#refusals)
      if (nowMs >= refusedMs + REFUSED_TO_STREAMS_MS) this.#refusals.delete(other);
    this.#refusals.set(uid, nowMs);
  }

  /** It has called a function. */
  served(uid: string): void {
    if (this.#refusals === null) return;
    this.#refusals.delete(uid);
    if (this.#refusals.size === 0) this.#refusals = null;
  }

  /** Functions whose refusals are remembered. */
  get refusalCount(): number {
    return this.#refusals?.size ?? 0;
  }

  /** Whether it would probably refuse a function. @param once whether the call cannot be sent again */
  refuses(uid: string, once: boolean, nowMs: number): boolean {
    const refusedMs = this.#refusals?.get(uid);
    return refusedMs !== undefined && nowMs < refusedMs + (once ? REFUSED_TO_STREAMS_MS : REFUSED_MS);
  }

  /** Calls that it has may end; it gets no more. */
  close(): void {
    this.lines.close();
    void this.#pool.close();
  }
}
