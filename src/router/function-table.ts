import type { ResolvedFunction } from '../api/index.ts';
import type { FissiumError } from '../errors.ts';
import { throwIfAborted } from '../executors/call-abort.ts';
import type { CallSignal, Invoker } from '../executors/executor.ts';
import { ByName } from '../by-name.ts';

export type FunctionState =
  | { readonly phase: 'preparing' }
  | { readonly phase: 'ready'; readonly invoker: Invoker }
  | { readonly phase: 'refused'; readonly error: FissiumError };

export interface FunctionEntry {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** For `X-Fission-Function-ResourceVersion`; the header is not sent without it. */
  readonly resourceVersion?: string;
  readonly limits: ResolvedFunction['limits'];
  /** How long calls wait while it is being prepared. @default that counts in `firstByteTimeoutMs` */
  readonly startTimeoutMs?: number;
  readonly state: FunctionState;
}

interface Waiter {
  settle(entry: FunctionEntry | undefined): void;
}

export interface FunctionTableListener {
  set(entry: FunctionEntry): void;
  deleted(namespace: string, name: string): void;
}

/**
 * The functions that can be called, by name. A new version replaces its entry; requests that began on the old
 * one's invoker end there.
 */
export class FunctionTable {
  readonly #entries = new ByName<FunctionEntry>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #listeners = new Set<FunctionTableListener>();

  set(entry: FunctionEntry): void {
    const { namespace, name } = entry;
    this.#entries.set(namespace, name, entry);
    for (const listener of this.#listeners) listener.set(entry);
    if (entry.state.phase !== 'preparing') this.#settle(keyOf(namespace, name), entry);
  }

  delete(namespace: string, name: string): void {
    if (!this.#entries.delete(namespace, name)) return;
    for (const listener of this.#listeners) listener.deleted(namespace, name);
    this.#settle(keyOf(namespace, name), undefined);
  }

  get(namespace: string, name: string): FunctionEntry | undefined {
    return this.#entries.get(namespace, name);
  }

  list(): Iterable<FunctionEntry> {
    return this.#entries.values();
  }

  /** Told of every change after it is made. Returns what ends it. */
  subscribe(listener: FunctionTableListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Resolves with the entry once it is no longer `preparing`, or with undefined where there is none or it is
   * deleted meanwhile; rejects with the signal's reason when that aborts.
   */
  async whenSettled(namespace: string, name: string, signal: CallSignal): Promise<FunctionEntry | undefined> {
    throwIfAborted(signal);
    const now = this.get(namespace, name);
    if (now?.state.phase !== 'preparing') return now;
    const key = keyOf(namespace, name);
    const { promise, resolve, reject } = Promise.withResolvers<FunctionEntry | undefined>();
    const waiter: Waiter = { settle: resolve };
    const waiters = this.#waiters.get(key) ?? new Set();
    waiters.add(waiter);
    this.#waiters.set(key, waiters);
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
      waiters.delete(waiter);
      if (waiters.size === 0 && this.#waiters.get(key) === waiters) this.#waiters.delete(key);
    }
  }

  #settle(key: string, entry: FunctionEntry | undefined): void {
    const waiters = this.#waiters.get(key);
    this.#waiters.delete(key);
    for (const waiter of waiters ?? []) waiter.settle(entry);
  }
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
