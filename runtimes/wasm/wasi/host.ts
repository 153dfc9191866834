/** The WASI 0.2 host of one invocation. */
import { FissiumError } from '../../../src/errors.ts';
import type { GuestGrants, GuestLimits, InvocationContext } from '../engine.ts';
import { Egress } from './egress.ts';
import type { ErrorCode } from './http/error-codes.ts';
import { IncomingRequest } from './http/incoming.ts';
import { ResponseOutparam } from './http/outgoing.ts';
import { createImports, type WasiImports } from './imports.ts';
import { GuestState } from './state.ts';

export interface WasiHostOptions {
  readonly context: InvocationContext;
  readonly grants: GuestGrants;
  readonly limits: GuestLimits;
  /**
   * The function's way out, kept over its invocations so that connections are used again. Without one the
   * invocation gets its own, from its grants, which is closed with it.
   */
  readonly egress?: Egress;
}

/** What an invocation came to. */
export interface Outcome {
  readonly headSent: boolean;
  /** The answer was given whole, trailers and all. */
  readonly ended: boolean;
  /** What the guest called exit with, or null. */
  readonly exitCode: number | null;
  /** What the guest answered instead of a response, or null. */
  readonly errorCode: ErrorCode | null;
}

export interface WasiHost {
  /** For generated code, keyed by interface without version. */
  readonly imports: WasiImports;
  /** The arguments of the guest's `handle`; each may be asked for once. */
  incomingRequest(): IncomingRequest;
  responseOutparam(): ResponseOutparam;
  /**
   * After `handle` returned: gives the turn back, and waits until the sink has taken the whole answer. Rejects
   * with a FissiumError where the guest left none or a broken one, or ended in another way than it seemed.
   */
  finish(): Promise<void>;
  /**
   * Why the invocation failed, where the host knows it better than whatever was thrown: exit, end, no answer or
   * a bad one. Null otherwise; a trap is then what it is.
   */
  failure(): FissiumError | null;
  outcome(): Outcome;
  /** Ends everything that the guest left: outbound requests, the request body, timers. May be called twice. */
  close(): void;
}

/** Call once for each invocation, and `close` whatever becomes of it. */
export function createWasiHost(options: WasiHostOptions): WasiHost {
  const { context, grants, limits } = options;
  const ownEgress = options.egress ? null : new Egress(grants.allowedOutboundHosts);
  const egress = options.egress ?? ownEgress;
  if (!egress) throw new FissiumError('INTERNAL', 'an invocation without a way out');
  const state = new GuestState({ context, grants, limits, egress });
  let finished = false;

  const failure = (): FissiumError | null => {
    if (state.stop?.kind === 'ended' && !finished) return endedFailure(context.signal);
    if (state.stop?.kind === 'exit' && !(state.stop.exitCode === 0 && state.answer.ended)) {
      const when = state.answer.ended ? 'after its answer' : 'before it had answered';
      return new FissiumError('GUEST_EXITED', `${state.stop.message} ${when}`);
    }
    return state.stop?.kind === 'trap' ? null : state.answer.failure;
  };

  return {
    imports: createImports(state),
    incomingRequest: () => new IncomingRequest(state),
    responseOutparam: () => new ResponseOutparam(state),
    finish: async () => {
      if (!state.stop) {
        // Nothing of the guest runs any more; its neighbours need not wait for its client.
        context.turn.release();
        await state.answer.finish();
      }
      if (state.stop) throw failure() ?? state.stop;
      finished = true;
    },
    failure,
    outcome: () => ({
      headSent: state.answer.headSent,
      ended: state.answer.ended,
      exitCode: state.stop?.kind === 'exit' ? state.stop.exitCode : null,
      errorCode: state.answer.errorCode,
    }),
    close: () => {
      state.close();
      context.request.body?.cancel();
      if (ownEgress) void ownEgress.close();
    },
  };
}

function endedFailure(signal: AbortSignal): FissiumError {
  if (signal.reason instanceof FissiumError) return signal.reason;
  return new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more');
}
