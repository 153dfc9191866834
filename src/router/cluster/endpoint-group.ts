import { throwIfAborted } from '../../executors/call-abort.ts';
import type { CallSignal } from '../../executors/executor.ts';
import { Endpoint } from './endpoint.ts';
import { rendezvous } from './rendezvous.ts';

export interface GroupOptions {
  /**
   * `affinity`: a function's calls go to the endpoint that it belongs to, unless that one is much busier than the
   * others. `least`: to the one with the fewest calls.
   */
  readonly choice: 'affinity' | 'least';
}

interface Waiter {
  readonly uid: string;
  readonly given: (endpoint: Endpoint) => void;
  /** Called once, when there is an endpoint that it may wait for; null where it was told, or does not ask. */
  present: (() => void) | null;
}

/** For how long an endpoint that took no connection is passed over: its pod is ending, or begins anew. */
const REST_MS = 250;

/** An endpoint is passed over when it has more than this times the mean, and one call more. */
const BOUND = 1.25;

/** The endpoints that serve the same functions, and the calls that wait for one of them. */
export class EndpointGroup {
  readonly #options: GroupOptions;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #waiting = new Set<Waiter>();
  /** Endpoints that have had their one call, until they are gone. */
  readonly #used = new Set<string>();
  readonly #past = new Set<Endpoint>();
  #limit = Infinity;
  #onceOnly = false;

  constructor(options: GroupOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#endpoints.size;
  }

  /** Those that take calls. */
  endpoints(): Iterable<Endpoint> {
    return this.#endpoints.values();
  }

  /** Those that take no more, but have calls or have had their one: what ends pods has to know of them. */
  past(): Iterable<Endpoint> {
    return this.#past;
  }

  /**
   * @param limit calls that one endpoint takes at once; Infinity before this is called
   * @param onceOnly whether an endpoint takes one call and never another
   */
  setLimit(limit: number, onceOnly: boolean): void {
    this.#limit = onceOnly ? 1 : limit;
    this.#onceOnly = onceOnly;
    this.#serveWaiting();
  }

  /** Adds an endpoint, or has another address stand for it. */
  set(key: string, origin: string): void {
    const before = this.#endpoints.get(key);
    if (before?.origin === origin || this.#used.has(key)) return;
    before?.close();
    this.#endpoints.set(key, new Endpoint(key, origin));
    this.#serveWaiting();
    // One that takes a single call is nobody else's.
    if (this.#onceOnly) return;
    for (const waiter of this.#waiting) {
      waiter.present?.();
      waiter.present = null;
    }
  }

  /** The same, for one that is to end: connections that were upgraded are closed as their clients understand. */
  retire(key: string): void {
    const ending = [this.#endpoints.get(key), ...this.#past].filter((endpoint) => endpoint?.key === key);
    for (const endpoint of ending) for (const goAway of endpoint?.goAways ?? []) goAway();
    this.delete(key);
  }

  /** Gives it no more calls; those that it has go on. */
  delete(key: string): void {
    const endpoint = this.#endpoints.get(key);
    endpoint?.close();
    if (endpoint !== undefined && endpoint.running > 0) this.#past.add(endpoint);
    this.#endpoints.delete(key);
    this.#used.delete(key);
    for (const one of this.#past) if (one.key === key && one.running === 0) this.#past.delete(one);
  }

  clear(): void {
    for (const key of this.#endpoints.keys()) this.delete(key);
  }

  /**
   * An endpoint with room, counted as taken; null where none has any, or others wait already.
   * @param once whether the call cannot be sent again where the endpoint refuses it
   */
  tryTake(uid: string, once = false): Endpoint | null {
    if (this.#waiting.size > 0 && this.#limit !== Infinity) return null;
    const endpoint = this.#choose(uid, once);
    if (endpoint !== null) this.#begin(endpoint);
    return endpoint;
  }

  /**
   * Waits for an endpoint with room, in order of arrival. Rejects with the signal's reason when that aborts.
   *
   * @param present called once when there is an endpoint, which may have no room yet
   */
  async take(uid: string, signal: CallSignal, present: (() => void) | null = null): Promise<Endpoint> {
    throwIfAborted(signal);
    const { promise, resolve, reject } = Promise.withResolvers<Endpoint>();
    const waiter: Waiter = { uid, given: resolve, present };
    const abort = (): void => {
      // At once: an endpoint that is given from now on must go to somebody who takes it.
      this.#waiting.delete(waiter);
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    this.#waiting.add(waiter);
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** It took no connection: calls go to others for a moment, or wait where there are none. */
  rest(endpoint: Endpoint, durationMs = REST_MS): void {
    endpoint.rest(durationMs);
    setTimeout(() => this.#serveWaiting(), durationMs + 1).unref();
  }

  /** Whether there is an endpoint that has not just refused the function, as that of the call has. */
  mayBeServed(uid: string): boolean {
    const nowMs = performance.now();
    for (const endpoint of this.#endpoints.values())
      if (!endpoint.isResting(nowMs) && !endpoint.refuses(uid, false, nowMs)) return true;
    return false;
  }

  release(endpoint: Endpoint): void {
    endpoint.end();
    if (this.#used.has(endpoint.key)) endpoint.close();
    else if (endpoint.running === 0) this.#past.delete(endpoint);
    if (this.#waiting.size > 0) this.#serveWaiting();
  }

  #begin(endpoint: Endpoint): void {
    endpoint.begin();
    if (!this.#onceOnly) return;
    this.#endpoints.delete(endpoint.key);
    this.#used.add(endpoint.key);
    this.#past.add(endpoint);
  }

  #serveWaiting(): void {
    for (const waiter of this.#waiting) {
      const endpoint = this.#choose(waiter.uid);
      if (endpoint === null) return;
      this.#begin(endpoint);
      this.#waiting.delete(waiter);
      waiter.present?.();
      waiter.given(endpoint);
    }
  }

  #choose(uid: string, once = false): Endpoint | null {
    const nowMs = performance.now();
    let least: Endpoint | null = null;
    /** Of those that refuse the function: better than nobody, who could not say why. */
    let refusing: Endpoint | null = null;
    let calls = 0;
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.isResting(nowMs)) continue;
      calls += endpoint.running;
      if (endpoint.running >= this.#limit) continue;
      if (endpoint.refuses(uid, once, nowMs)) refusing ??= endpoint;
      else if (least === null || endpoint.running < least.running) least = endpoint;
    }
    if (least === null) return refusing;
    if (this.#options.choice === 'least') return least;
    const own = rendezvous(uid, this.#endpoints.values(), ({ key }) => key);
    const bound = (calls / this.#endpoints.size) * BOUND + 1;
    const isPassedOver =
      own === undefined || own.isResting(nowMs) || own.running > bound || own.refuses(uid, once, nowMs);
    return isPassedOver ? least : own;
  }
}
