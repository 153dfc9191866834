/** One call of a specialised function, in the way in which a thread that owns connections makes it. */
import type { InvocationContext, Specialised, Turn } from '../../runtimes/wasm/engine.ts';
import type { Turns } from '../../runtimes/wasm/turns.worker.ts';

/**
 * On the caller's stack where the function is one that answers without waiting, else (or where it waited after all) on
 * its own: `guest-thread.worker.ts` has the same choice.
 * @param contextOf made once for each run; what a run wrote that was given up is nobody's answer
 */
export async function callOnce(
  specialised: Specialised,
  turns: Turns,
  contextOf: (turn: Turn) => InvocationContext,
): Promise<void> {
  if (specialised.atOnce === true && specialised.handleAtOnce) {
    const turn = turns.for(turns.nextLife(), { atOnce: true });
    const done = turn.takeNow() && specialised.handleAtOnce({ ...contextOf(turn), commit: () => undefined });
    turn.close();
    if (done) return;
  }
  const turn = turns.for(turns.nextLife());
  await specialised.handle(contextOf(turn));
  turn.close();
}
