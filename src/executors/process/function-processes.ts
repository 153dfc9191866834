/** The processes of one function: as many as its calls need, none when it has had none for a while. */
import type { Logger } from 'pino';

import { FissiumError, toErrorData } from '../../errors.ts';
import type { InvokeRequest, InvokeResponse, Invoker, StartClock } from '../executor.ts';
import { proxy } from '../http-proxy.ts';
import type { RuntimeProcess } from './runtime-process.ts';

export interface FunctionProcessesOptions {
  /** `namespace/name`, for messages. */
  readonly label: string;
  readonly requestsPerPod: number;
  readonly maxProcesses: number;
  readonly idleTimeoutMs: number;
  /** How long a call waits for a process where there is none, before its own time begins. */
  readonly startTimeoutMs: number;
  /** How long a call that nobody waits for may keep its place before its process is ended. */
  readonly abandonedMs: number;
  /** Starts and specialises one; null where the platform has no room for another now. */
  readonly start: () => Promise<RuntimeProcess> | null;
  readonly logger: Logger;
}

interface Slot {
  readonly process: RuntimeProcess;
  active: number;
  /** Whether it was there before its first call. */
  used: boolean;
  /** Takes no more calls. */
  retired: boolean;
  idleTimer: NodeJS.Timeout | null;
}

interface Waiter {
  readonly take: (slot: Slot) => void;
  readonly fail: (error: unknown) => void;
  /** Of a call that came when there was no process, until there is one; null else. */
  clock: StartClock | null;
}

export class FunctionProcesses implements Invoker {
  readonly #options: FunctionProcessesOptions;
  readonly #slots = new Set<Slot>();
  readonly #waiters: Waiter[] = [];
  #starting = 0;
  #closed = false;
  #closing: Promise<void> | null = null;
  #quiet: () => void = () => {};
  /** Ends connections that would go on for as long as their clients like. */
  readonly #goAways = new Set<() => void>();
  readonly upgrades = true;

  constructor(options: FunctionProcessesOptions) {
    this.#options = options;
  }

  get processes(): number {
    return this.#slots.size + this.#starting;
  }

  /** Adds a process that is ready; `used` where no call waited for it. */
  adopt(process: RuntimeProcess, used = true): void {
    const slot: Slot = { process, active: 0, used, retired: false, idleTimer: null };
    this.#slots.add(slot);
    void process.ended.then(() => this.#forget(slot));
    // From now on a call waits for others to end, which its own time is for.
    for (const waiter of this.#waiters) {
      waiter.clock?.started();
      waiter.clock = null;
    }
    this.#offer(slot);
  }

  async invoke(request: InvokeRequest): Promise<InvokeResponse> {
    const askedMs = performance.now();
    const slot = this.#take() ?? (await this.#wait(request));
    const coldStart = !slot.used;
    slot.used = true;
    const takenMs = performance.now();
    const call = proxy(slot.process, request, { coldStart });
    if (request.upgrade !== undefined) this.#goAways.add(call.goAway);
    let isOver = false;
    void call.done.then(() => {
      isOver = true;
      this.#goAways.delete(call.goAway);
      this.#release(slot);
    });
    try {
      const response = await call.response;
      const waitedMs = takenMs - askedMs;
      // A process says nothing of itself: what is known is how long it took to begin its answer.
      request.onReceipt?.({
        queueMs: coldStart ? 0 : waitedMs,
        specialiseMs: 0,
        instantiateMs: coldStart ? waitedMs : 0,
        guestMs: performance.now() - takenMs,
        hostMs: 0,
        waitingMs: 0,
        peakMemoryBytes: 0,
        instance: coldStart ? 'new' : 'reused',
      });
      return response;
    } catch (error) {
      if (request.signal.aborted) {
        setTimeout(() => {
          if (isOver) return;
          this.#options.logger.warn(
            { function: this.#options.label },
            'a process is ended whose call went on unheard',
          );
          call.cancel();
          void this.#retire(slot);
        }, this.#options.abandonedMs);
      }
      throw error;
    }
  }

  /** Ends the process that has been idle, to make room for another function's; false where none is. */
  yieldIdle(): boolean {
    const slot = [...this.#slots].find(({ active, retired }) => active === 0 && !retired);
    if (slot === undefined) return false;
    void this.#retire(slot);
    return true;
  }

  /** There may be room now. */
  poke(): void {
    this.#startMissing();
  }

  /** Takes no more calls, waits for those it has, and ends its processes. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#quiet = resolve;
    this.#closed = true;
    for (const goAway of this.#goAways) goAway();
    this.#checkQuiet();
    await promise;
    await Promise.all([...this.#slots].map((slot) => this.#retire(slot)));
  }

  #take(): Slot | null {
    if (this.#closed) {
      throw new FissiumError(
        'FUNCTION_NOT_READY',
        `Function ${this.#options.label} is being replaced. Call it again.`,
      );
    }
    if (this.#waiters.length > 0) return null;
    // The one that was used last: the others may become idle.
    const slot = [...this.#slots].findLast((candidate) => this.#isFree(candidate));
    if (slot !== undefined) this.#occupy(slot);
    return slot ?? null;
  }

  #isFree(slot: Slot): boolean {
    return !slot.retired && slot.process.isAlive && slot.active < this.#options.requestsPerPod;
  }

  #occupy(slot: Slot): void {
    slot.active += 1;
    if (slot.idleTimer !== null) clearTimeout(slot.idleTimer);
    slot.idleTimer = null;
  }

  async #wait({ signal, clock }: InvokeRequest): Promise<Slot> {
    if (signal.aborted) throw signal.reason;
    const isCold = ![...this.#slots].some(({ retired, process }) => !retired && process.isAlive);
    if (isCold) clock?.starting(this.#options.startTimeoutMs);
    const { promise, resolve, reject } = Promise.withResolvers<Slot>();
    const waiter: Waiter = { take: resolve, fail: reject, clock: isCold ? (clock ?? null) : null };
    const onAbort = (): void => {
      const at = this.#waiters.indexOf(waiter);
      if (at === -1) return;
      this.#waiters.splice(at, 1);
      reject(signal.reason);
      this.#checkQuiet();
    };
    this.#waiters.push(waiter);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#startMissing();
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** As many as the waiting calls need, not one for each call. */
  #startMissing(): void {
    const { requestsPerPod, maxProcesses, start } = this.#options;
    while (this.#waiters.length > this.#starting * requestsPerPod && this.processes < maxProcesses) {
      const starting = start();
      if (starting === null) return;
      this.#starting += 1;
      starting.then(
        (process) => {
          this.#starting -= 1;
          this.adopt(process, false);
        },
        (error: unknown) => {
          this.#starting -= 1;
          this.#startFailed(error);
        },
      );
    }
  }

  /** Calls that another process may still take go on waiting. */
  #startFailed(error: unknown): void {
    const { logger, label } = this.#options;
    logger.warn({ function: label, reason: toErrorData(error).message }, 'a process could not be started');
    if (this.#starting > 0 || this.#slots.size > 0) return;
    for (const waiter of this.#waiters.splice(0)) waiter.fail(error);
    this.#checkQuiet();
  }

  #release(slot: Slot): void {
    slot.active -= 1;
    this.#offer(slot);
    this.#checkQuiet();
  }

  #offer(slot: Slot): void {
    while (this.#waiters.length > 0 && this.#isFree(slot)) {
      this.#occupy(slot);
      this.#waiters.shift()?.take(slot);
    }
    if (slot.active > 0 || slot.retired || slot.idleTimer !== null) return;
    // Last in the set is the one used last.
    if (this.#slots.delete(slot)) this.#slots.add(slot);
    slot.idleTimer = setTimeout(() => void this.#retire(slot), this.#options.idleTimeoutMs).unref();
  }

  #retire(slot: Slot): Promise<void> {
    slot.retired = true;
    if (slot.idleTimer !== null) clearTimeout(slot.idleTimer);
    return slot.process.stop();
  }

  #forget(slot: Slot): void {
    slot.retired = true;
    if (slot.idleTimer !== null) clearTimeout(slot.idleTimer);
    this.#slots.delete(slot);
    this.#startMissing();
  }

  #checkQuiet(): void {
    if (!this.#closed || this.#waiters.length > 0) return;
    if ([...this.#slots].every(({ active }) => active === 0)) this.#quiet();
  }
}
