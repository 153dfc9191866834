/**
 * Invocation receipts: where the time of one call went. A client asks for one with the request header
 * `X-Fissium-Receipt` (any value); the answer carries it in a header of that name, or in a trailer where the answer
 * began before the guest had ended. One call of a few dozen gets a receipt for the metrics, asked for or not.
 */
import type { InvokeReceipt } from '../executors/executor.ts';

export const RECEIPT_HEADER = 'X-Fissium-Receipt';

/** One of this many calls is measured for the metrics: to measure costs more than some functions do. */
const SAMPLE = 64;

/** A receipt that does not come is not waited for, ms: not every executor gives one. */
const PATIENCE_MS = 250;

/** Why a call was as cold as it was, coldest first. */
export type Coldness = 'preparing' | 'specialised' | 'new-instance' | 'warm';

/** One call's stages, ms. */
export interface Stages {
  /** From the arrival to the guest's turn: matching, admission, other guests. */
  readonly queueMs: number;
  readonly specialiseMs: number;
  readonly instantiateMs: number;
  readonly guestMs: number;
  readonly hostMs: number;
  readonly waitMs: number;
}

export interface CallReceipt extends Stages {
  readonly memoryBytes: number;
  readonly instance: InvokeReceipt['instance'];
  readonly cold: Coldness;
}

/** Says which calls are measured. */
export class ReceiptSampler {
  #calls = 0;

  /** Whether this call's receipt goes to the metrics. */
  next(): boolean {
    return this.#calls++ % SAMPLE === 0;
  }
}

/** The receipt of one call, from being asked for to being there. */
export class PendingReceipt {
  /** For `InvokeRequest.onReceipt`. */
  readonly receive: (receipt: InvokeReceipt | null) => void;
  readonly #made: Promise<InvokeReceipt | null>;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<InvokeReceipt | null>();
    this.#made = promise;
    this.receive = resolve;
  }

  /** The receipt, or null where none comes. */
  async wait(): Promise<InvokeReceipt | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), PATIENCE_MS)));
    try {
      return await Promise.race([this.#made, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * @param overheadMs from the arrival until the executor was asked
 * @param waited whether the call waited for its package
 */
export function callReceipt(receipt: InvokeReceipt, overheadMs: number, waited: boolean): CallReceipt {
  const { queueMs, specialiseMs, instantiateMs, guestMs, hostMs, waitingMs, instance } = receipt;
  const isNew = instance === 'new' ? 'new-instance' : 'warm';
  return {
    queueMs: overheadMs + queueMs,
    specialiseMs,
    instantiateMs,
    guestMs,
    hostMs,
    waitMs: waitingMs,
    memoryBytes: receipt.peakMemoryBytes,
    instance,
    cold: waited ? 'preparing' : specialiseMs > 0 ? 'specialised' : isNew,
  };
}

/** `queue=0.012; specialise=0; …; memory=1114112; instance=ready; cold=warm`: durations in ms, memory in bytes. */
export function formatReceipt(receipt: CallReceipt): string {
  const { queueMs, specialiseMs, instantiateMs, guestMs, hostMs, waitMs } = receipt;
  const stages = {
    queue: queueMs,
    specialise: specialiseMs,
    instantiate: instantiateMs,
    guest: guestMs,
    host: hostMs,
    wait: waitMs,
  };
  const times = Object.entries(stages).map(([name, ms]) => `${name}=${Number(ms.toFixed(4))}`);
  return [
    ...times,
    `memory=${receipt.memoryBytes}`,
    `instance=${receipt.instance}`,
    `cold=${receipt.cold}`,
  ].join('; ');
}
