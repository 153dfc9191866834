/** What every component engine does around a guest's run: its turn, its WASI host, and what its end means. */
import { FissiumError } from '../../src/errors.ts';
import type { GuestGrants, GuestLimits, InvocationContext } from './engine.ts';
import { guestFailure } from './guest-failure.ts';
import { createWasiHost, type Egress, type WasiHost } from './wasi/index.ts';

export interface GuestRun {
  readonly context: InvocationContext;
  readonly grants: GuestGrants;
  readonly limits: GuestLimits;
  readonly egress: Egress;
  /** Instantiates and calls the guest; adds its memories to the list as they come into being. */
  readonly enter: (host: WasiHost, memories: WebAssembly.Memory[]) => Promise<void>;
  /** The guest has returned, and the answer is on its way: what is done here keeps nobody waiting for it. */
  readonly left?: () => void;
}

/** Resolves when the guest has answered, rejects with the FissiumError that its caller is to see. */
export async function runGuest(run: GuestRun): Promise<void> {
  const { context, grants, limits, egress } = run;
  const host = createWasiHost({ context, grants, limits, egress });
  const memories: WebAssembly.Memory[] = [];
  await context.turn.take();
  try {
    if (context.signal.aborted)
      throw new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more');
    await run.enter(host, memories);
    const finished = host.finish();
    run.left?.();
    await finished;
  } catch (error) {
    const { ended, exitCode } = host.outcome();
    // `exit(0)` after a whole answer is just another way to return.
    if (ended && exitCode === 0) return;
    throw host.failure() ?? guestFailure(error, memories, limits.memoryBytes);
  } finally {
    context.turn.release();
    host.close();
  }
}
