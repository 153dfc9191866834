/** The function that a rewritten guest calls where something is asked of it: one for each thread. */

/** `go`: as if nothing had been. `end`: trap. `wait`: call {@link Interrupted.wait}, suspended. */
export type Decision = 'go' | 'end' | 'wait';

export interface Interrupted {
  /** What the guest that runs now has to do. */
  decide(): Decision;
  /** Resolves when the guest may go on, with what it then has to do. Only where `decide` said so. */
  wait(): Promise<Exclude<Decision, 'wait'>>;
}

const ANSWER: Readonly<Record<Decision, number>> = { go: 0, end: 1, wait: 2 };

/**
 * `(module (import "host" "decide" (func $decide (result i32))) (import "host" "wait" (func $wait (result i32)))
 *   (func (export "yield") (result i32) (local i32)
 *     (if (i32.eq (local.tee 0 (call $decide)) (i32.const 2)) (then (return (call $wait)))) (local.get 0)))`:
 * an import that may suspend throws wherever the guest cannot be suspended, even if it never would; so whether
 * it is called at all is decided by another one.
 */
const TRAMPOLINE = Uint8Array.from(
  Buffer.from(
    '0061736d010000000105016000017f021b0204686f7374066465636964650000' +
      '04686f73740477616974000003020100070901057969656c6400020a1501130101' +
      '7f10002200410246044010010f0b20000b',
    'hex',
  ),
);

/** An exported Wasm function `() -> i32`, as rewritten modules import it. */
export type YieldFunction = () => number;

export function yieldFunction(interrupted: Interrupted): YieldFunction {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(TRAMPOLINE), {
    host: {
      decide: () => ANSWER[interrupted.decide()],
      wait: new WebAssembly.Suspending(
        async () => ANSWER[await interrupted.wait()],
      ) as unknown as WebAssembly.ImportValue,
    },
  });
  return exports['yield'] as YieldFunction;
}
