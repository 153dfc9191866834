/** What every component engine does around a guest's run: its turn, its WASI host, and what its end means. */
import { FissiumError } from '../../src/errors.ts';
import type { EngineReceipt, GuestGrants, GuestLimits, InvocationContext, Turn } from './engine.ts';
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
  /** Last of all, whether it returned or failed, once `enter` has begun: with the memories that `enter` named. */
  readonly ended?: (memories: readonly WebAssembly.Memory[]) => void;
}

/** Resolves when the guest has answered, rejects with the FissiumError that its caller is to see. */
export async function runGuest(run: GuestRun): Promise<void> {
  const { context, grants, limits, egress } = run;
  const host = createWasiHost({ context, grants, limits, egress });
  const memories: WebAssembly.Memory[] = [];
  let entered = false;
  // Without a step of the microtask queue where that can be: what follows then answers before the caller goes on.
  if (context.turn.takeNow?.() !== true) await context.turn.take();
  try {
    if (context.signal.aborted)
      throw new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more');
    entered = true;
    await run.enter(host, memories);
    const finished = host.finish();
    run.left?.();
    await finished;
  } catch (error) {
    const { ended, exitCode } = host.outcome();
    // `exit(0)` after a whole answer is just another way to return.
    if (ended && exitCode === 0) return;
    throw host.failure() ?? failureOf(error, context.turn, memories, limits.memoryBytes);
  } finally {
    context.turn.release();
    if (context.receipt) noteRun(context.receipt, context.turn, memories);
    if (entered) run.ended?.(memories);
    host.close();
  }
}

/** A guest that fails after the platform refused it memory, which its own limit would have allowed, is not to blame. */
function failureOf(
  error: unknown,
  turn: Turn,
  memories: readonly WebAssembly.Memory[],
  limitBytes: number,
): FissiumError {
  const failure = guestFailure(error, memories, limitBytes);
  if (turn.outOfRoom !== true || failure.fault !== 'function') return failure;
  return new FissiumError(
    'PLATFORM_BUSY',
    `the platform had no memory left for guests when the function asked for more; then ${failure.message}`,
    { cause: failure },
  );
}

/** What every engine's receipt says. A guest's own time is never more than it was charged. */
export function noteRun(receipt: EngineReceipt, turn: Turn, memories: readonly WebAssembly.Memory[]): void {
  const held = memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  receipt.peakMemoryBytes = Math.max(receipt.peakMemoryBytes, held);
  const chargedMs = (turn.usedUs ?? 0) / 1000;
  receipt.guestMs =
    receipt.guestMs > 0
      ? Math.min(receipt.guestMs, chargedMs)
      : Math.max(0, chargedMs - receipt.instantiateMs - receipt.hostMs);
}
