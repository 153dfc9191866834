/** Ends a call: a CallSignal with the hand that aborts it. */
import type { CallSignal } from './executor.ts';

export class CallAbort implements CallSignal {
  #aborted = false;
  #reason: unknown = undefined;
  /** Made when somebody listens. */
  #listeners: Set<() => void> | null = null;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  addEventListener(_: 'abort', listener: () => void): void {
    (this.#listeners ??= new Set()).add(listener);
  }

  removeEventListener(_: 'abort', listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  /** Tells whoever listens, once; the first reason stays. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const listeners = this.#listeners;
    this.#listeners = null;
    for (const listener of listeners ?? []) listener();
  }
}

/** @throws the signal's reason where it has aborted */
export function throwIfAborted(signal: CallSignal): void {
  if (signal.aborted) throw signal.reason;
}
