/** Who may run now, who waits, and who is told to come back later. */
import type { ResolvedFunction } from '../api/index.ts';
import { ByName } from '../by-name.ts';
import { FissiumError } from '../errors.ts';
import { throwIfAborted } from '../executors/call-abort.ts';
import type { CallSignal } from '../executors/executor.ts';
import { SharedCounts } from './shared-counts.ts';

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
  /** In the shared counts. */
  readonly slot: number;
  limits: AdmissionLimits;
  /** Of this thread. */
  running: number;
  /** In order of arrival. */
  readonly waiting: Set<Waiter>;
  /** Whether somebody listens for what other threads give back. */
  listening: boolean;
}

export interface FunctionLoad {
  readonly namespace: string;
  readonly name: string;
  readonly running: number;
  readonly queued: number;
}

export interface AdmissionOptions {
  /** @default {@link DEFAULT_ADMISSION} */
  readonly settings?: AdmissionSettings;
  /** @default counts of this thread alone */
  readonly counts?: SharedCounts;
  /** Each function's slot in the counts. @default the next that is free */
  readonly slotOf?: (key: string) => number;
}

/**
 * Bounds the requests of each function, over all threads (`limits.concurrency` run, `limits.queue` wait; in each
 * thread first come first served), and those of the platform as a whole.
 */
export class Admission {
  readonly #settings: AdmissionSettings;
  readonly #counts: SharedCounts;
  readonly #slotOf: (key: string) => number;
  readonly #queues = new ByName<FunctionQueue>();

  constructor(options: AdmissionOptions = {}) {
    this.#settings = options.settings ?? DEFAULT_ADMISSION;
    this.#counts = options.counts ?? new SharedCounts();
    this.#slotOf = options.slotOf ?? slotsInOrder();
  }

  /** Requests that run or wait now, in all threads. */
  get requests(): number {
    return this.#counts.total;
  }

  /** Functions that have requests in this thread now. */
  *loads(): Generator<FunctionLoad> {
    for (const { namespace, name, running, waiting } of this.#queues.values()) {
      if (running > 0 || waiting.size > 0) yield { namespace, name, running, queued: waiting.size };
    }
  }

  /**
   * Admits the request at once if it may run at once; null where it has to wait.
   * @throws FissiumError PLATFORM_BUSY where the platform has all the requests that it takes
   */
  tryAcquire(namespace: string, name: string, limits: AdmissionLimits): Release | null {
    const queue = this.#enter(namespace, name, limits);
    if (queue.waiting.size === 0 && this.#counts.tryRun(queue.slot, limits.concurrency)) {
      queue.running += 1;
      return this.#release(queue);
    }
    this.#counts.uncount();
    return null;
  }

  /**
   * Resolves when the request may run. Rejects at once with FUNCTION_BUSY when the function's queue is full and
   * with PLATFORM_BUSY when the platform is, and with the signal's reason when that aborts while it waits.
   */
  async acquire(
    namespace: string,
    name: string,
    limits: AdmissionLimits,
    signal: CallSignal,
  ): Promise<Release> {
    throwIfAborted(signal);
    const queue = this.#enter(namespace, name, limits);
    const { slot } = queue;
    if (queue.waiting.size === 0 && this.#counts.tryRun(slot, limits.concurrency)) {
      queue.running += 1;
      return this.#release(queue);
    }
    if (!this.#counts.tryWait(slot, limits.queue)) {
      this.#counts.uncount();
      throw new FissiumError(
        'FUNCTION_BUSY',
        `Function ${namespace}/${name} runs ${this.#counts.running(slot)} requests and has ` +
          `${this.#counts.waiting(slot)} waiting; it may run ${limits.concurrency} and have ${limits.queue} waiting. ` +
          'Try again later, or raise its concurrency or queue.',
      );
    }
    return this.#wait(queue, signal);
  }

  /** Takes over limits that changed; whoever may run by the new ones starts now. */
  update(namespace: string, name: string, limits: AdmissionLimits): void {
    const queue = this.#queues.get(namespace, name);
    if (queue === undefined) return;
    queue.limits = limits;
    this.#startNext(queue);
  }

  /** Refuses everybody who waits for the function in this thread. */
  refuseAll(namespace: string, name: string, reason: FissiumError): void {
    const queue = this.#queues.get(namespace, name);
    for (const waiter of queue?.waiting ?? []) waiter.refuse(reason);
    // Its slot may be another's from now on; what still runs gives back what it took.
    this.#queues.delete(namespace, name);
  }

  /** The request counts from here on. */
  #enter(namespace: string, name: string, limits: AdmissionLimits): FunctionQueue {
    if (!this.#counts.tryCount(this.#settings.maxRequests)) {
      throw new FissiumError(
        'PLATFORM_BUSY',
        `The platform has ${this.#counts.total} requests, which is all it takes at once. Try again later.`,
      );
    }
    let queue = this.#queues.get(namespace, name);
    if (queue === undefined) {
      const slot = this.#slotOf(`${namespace}/${name}`);
      queue = { namespace, name, slot, limits, running: 0, waiting: new Set(), listening: false };
      this.#queues.set(namespace, name, queue);
    }
    queue.limits = limits;
    return queue;
  }

  async #wait(queue: FunctionQueue, signal: CallSignal): Promise<Release> {
    const { promise, resolve, reject } = Promise.withResolvers<Release>();
    const waiter: Waiter = {
      admit: () => {
        queue.waiting.delete(waiter);
        this.#counts.unwait(queue.slot);
        queue.running += 1;
        resolve(this.#release(queue));
      },
      refuse: (reason) => {
        if (!queue.waiting.delete(waiter)) return;
        this.#counts.unwait(queue.slot);
        this.#counts.uncount();
        reject(reason);
      },
    };
    const abort = (): void => waiter.refuse(signal.reason);
    queue.waiting.add(waiter);
    signal.addEventListener('abort', abort, { once: true });
    void this.#listen(queue);
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Looks again whenever another thread has given something back, for as long as somebody waits here. */
  async #listen(queue: FunctionQueue): Promise<void> {
    if (queue.listening) return;
    queue.listening = true;
    while (queue.waiting.size > 0) {
      // Read first: what is given back after this is not missed.
      const changes = this.#counts.changes(queue.slot);
      this.#startNext(queue);
      if (queue.waiting.size > 0) await this.#counts.whenTold(queue.slot, changes);
    }
    queue.listening = false;
  }

  #release(queue: FunctionQueue): Release {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      queue.running -= 1;
      this.#counts.uncount();
      this.#counts.unrun(queue.slot);
      this.#startNext(queue);
      // Those who wait here have had their chance; also wakes the listener here, which then looks in vain.
      if (this.#counts.waiting(queue.slot) > 0) this.#counts.tell(queue.slot);
    };
  }

  #startNext(queue: FunctionQueue): void {
    for (const waiter of queue.waiting) {
      if (!this.#counts.tryRun(queue.slot, queue.limits.concurrency)) return;
      waiter.admit();
    }
  }
}

function slotsInOrder(): (key: string) => number {
  const slots = new Map<string, number>();
  return (key) => {
    const slot = slots.get(key) ?? slots.size;
    slots.set(key, slot);
    return slot;
  };
}
