/** Ends a call: a CallSignal with the hand that aborts it. */
import type { CallSignal } from './executor.ts';

export class CallAbort implements CallSignal {
  #aborted = false;
  #reason: unknown = undefined;
  /** Most calls have one listener, and then another in its place. */
  #listener: (() => void) | null = null;
  /** Made when a second one listens. */
  #more: Set<() => void> | null = null;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  addEventListener(_: 'abort', listener: () => void): void {
    if (this.#listener === null || this.#listener === listener) this.#listener = listener;
    else (this.#more ??= new Set()).add(listener);
  }

  removeEventListener(_: 'abort', listener: () => void): void {
    if (this.#listener === listener) this.#listener = null;
    else this.#more?.delete(listener);
  }

  /** Tells whoever listens, once; the first reason stays. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const listener = this.#listener;
    const more = this.#more;
    this.#listener = null;
    this.#more = null;
    listener?.();
    for (const each of more ?? []) each();
  }
}

/** @throws the signal's reason where it has aborted */
export function throwIfAborted(signal: CallSignal): void {
  if (signal.aborted) throw signal.reason;
}
