/** Who may run now, who waits, and who is told to come back later. */
import type { ResolvedFunction } from '../api/index.ts';
import { FissiumError } from '../errors.ts';

export type AdmissionLimits = Pick<ResolvedFunction['limits'], 'concurrency' | 'queue'>;

export interface AdmissionSettings {
  /** Requests, running and waiting, over all functions. @default 20000 */
  readonly maxRequests: number;
}

export const DEFAULT_ADMISSION: AdmissionSettings = { maxRequests: 20_000 };

/** Seconds that a refused client is asked to wait. */
export const RETRY_AFTER_S = 1;

/** Ends a request's stay; later calls do nothing. */
export type Release = () => void;

interface Waiter {
  admit(): void;
  refuse(reason: unknown): void;
}

interface FunctionQueue {
  readonly namespace: string;
  readonly name: string;
  limits: AdmissionLimits;
  running: number;
  /** In order of arrival. */
  readonly waiting: Set<Waiter>;
}

export interface FunctionLoad {
  readonly namespace: string;
  readonly name: string;
  readonly running: number;
  readonly queued: number;
}

/**
 * Bounds the requests of each function, over all threads (`limits.concurrency` run, `limits.queue` wait, first
 * come first served), and those of the platform as a whole.
 */
export class Admission {
  readonly #settings: AdmissionSettings;
  readonly #queues = new Map<string, FunctionQueue>();
  #requests = 0;

  constructor(settings: AdmissionSettings = DEFAULT_ADMISSION) {
    this.#settings = settings;
  }

  /** Requests that run or wait now. */
  get requests(): number {
    return this.#requests;
  }

  /** Functions that have requests now. */
  *loads(): Generator<FunctionLoad> {
    for (const { namespace, name, running, waiting } of this.#queues.values()) {
      yield { namespace, name, running, queued: waiting.size };
    }
  }

  /**
   * Resolves when the request may run. Rejects at once with FUNCTION_BUSY when the function's queue is full and
   * with PLATFORM_BUSY when the platform is, and with the signal's reason when that aborts while it waits.
   */
  async acquire(
    namespace: string,
    name: string,
    limits: AdmissionLimits,
    signal: AbortSignal,
  ): Promise<Release> {
    signal.throwIfAborted();
    if (this.#requests >= this.#settings.maxRequests) {
      throw new FissiumError(
        'PLATFORM_BUSY',
        `The platform has ${this.#requests} requests, which is all it takes at once. Try again later.`,
      );
    }
    const key = `${namespace}/${name}`;
    const queue = this.#queues.get(key) ?? {
      namespace,
      name,
      limits,
      running: 0,
      waiting: new Set<Waiter>(),
    };
    queue.limits = limits;
    if (queue.running < limits.concurrency && queue.waiting.size === 0) {
      this.#queues.set(key, queue);
      this.#requests += 1;
      queue.running += 1;
      return this.#release(key, queue);
    }
    if (queue.waiting.size >= limits.queue) {
      throw new FissiumError(
        'FUNCTION_BUSY',
        `Function ${key} runs ${queue.running} requests and has ${queue.waiting.size} waiting; it may run ` +
          `${limits.concurrency} and have ${limits.queue} waiting. Try again later, or raise its concurrency or queue.`,
      );
    }
    this.#queues.set(key, queue);
    this.#requests += 1;
    return this.#wait(key, queue, signal);
  }

  /** Takes over limits that changed; whoever may run by the new ones starts now. */
  update(namespace: string, name: string, limits: AdmissionLimits): void {
    const queue = this.#queues.get(`${namespace}/${name}`);
    if (queue === undefined) return;
    queue.limits = limits;
    this.#startNext(queue);
  }

  /** Refuses everybody who waits for the function. */
  refuseAll(namespace: string, name: string, reason: FissiumError): void {
    const queue = this.#queues.get(`${namespace}/${name}`);
    for (const waiter of queue?.waiting ?? []) waiter.refuse(reason);
  }

  async #wait(key: string, queue: FunctionQueue, signal: AbortSignal): Promise<Release> {
    const { promise, resolve, reject } = Promise.withResolvers<Release>();
    const waiter: Waiter = {
      admit: () => {
        queue.waiting.delete(waiter);
        queue.running += 1;
        resolve(this.#release(key, queue));
      },
      refuse: (reason) => {
        if (!queue.waiting.delete(waiter)) return;
        this.#requests -= 1;
        this.#forgetIfIdle(key, queue);
        reject(reason);
      },
    };
    const abort = (): void => waiter.refuse(signal.reason);
    queue.waiting.add(waiter);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  #release(key: string, queue: FunctionQueue): Release {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      queue.running -= 1;
      this.#requests -= 1;
      this.#startNext(queue);
      this.#forgetIfIdle(key, queue);
    };
  }

  #startNext(queue: FunctionQueue): void {
    for (const waiter of queue.waiting) {
      if (queue.running >= queue.limits.concurrency) return;
      waiter.admit();
    }
  }

  #forgetIfIdle(key: string, queue: FunctionQueue): void {
    if (queue.running === 0 && queue.waiting.size === 0 && this.#queues.get(key) === queue)
      this.#queues.delete(key);
  }
}
