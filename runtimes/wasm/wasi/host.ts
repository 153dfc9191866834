/** The WASI 0.2 host of one invocation. */
import { FissiumError } from '../../../src/errors.ts';
import type { GuestGrants, GuestLimits, InvocationContext } from '../engine.ts';
import { Egress } from './egress.ts';
import type { ErrorCode } from './http/error-codes.ts';
import { IncomingRequest } from './http/incoming.ts';
import { ResponseOutparam } from './http/outgoing.ts';
import { createImports, type WasiImports } from './imports.ts';
import { GuestState } from './state.ts';
import type { GuestEnded } from './stops.ts';

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
  /** For generated code, keyed by interface without version; made when they are asked for. */
  readonly imports: WasiImports;
  /** For an instance that keeps imports of its own. */
  readonly state: GuestState;
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
  return new InvocationHost(options);
}

class InvocationHost implements WasiHost {
  readonly state: GuestState;
  readonly #ownEgress: Egress | null;
  #imports: WasiImports | null = null;
  #finished = false;

  constructor({ context, grants, limits, egress }: WasiHostOptions) {
    this.#ownEgress = egress ? null : new Egress(grants.allowedOutboundHosts);
    const wayOut = egress ?? this.#ownEgress;
    if (!wayOut) throw new FissiumError('INTERNAL', 'an invocation without a way out');
    this.state = new GuestState({ context, grants, limits, egress: wayOut });
  }

  get imports(): WasiImports {
    this.#imports ??= createImports(this.state);
    return this.#imports;
  }

  incomingRequest(): IncomingRequest {
    return new IncomingRequest(this.state);
  }

  responseOutparam(): ResponseOutparam {
    return new ResponseOutparam(this.state);
  }

  async finish(): Promise<void> {
    const { state } = this;
    if (!state.stop) {
      // Nothing of the guest runs any more; its neighbours need not wait for its client.
      state.context.turn.release();
      const wait = state.answer.finish();
      if (wait) await wait;
    }
    if (state.stop) throw this.failure() ?? state.stop;
    this.#finished = true;
  }

  failure(): FissiumError | null {
    const { stop, answer } = this.state;
    if (stop?.kind === 'ended' && !this.#finished) return endedFailure(stop);
    if (stop?.kind === 'exit' && !(stop.exitCode === 0 && answer.ended)) {
      const when = answer.ended ? 'after its answer' : 'before it had answered';
      return new FissiumError('GUEST_EXITED', `${stop.message} ${when}`);
    }
    return stop?.kind === 'trap' ? null : answer.failure;
  }

  outcome(): Outcome {
    const { stop, answer } = this.state;
    return {
      headSent: answer.headSent,
      ended: answer.ended,
      exitCode: stop?.kind === 'exit' ? stop.exitCode : null,
      errorCode: answer.errorCode,
    };
  }

  close(): void {
    this.state.close();
    this.state.context.request.body?.cancel();
    if (this.#ownEgress) void this.#ownEgress.close();
  }
}

function endedFailure({ cause }: GuestEnded): FissiumError {
  if (cause instanceof FissiumError) return cause;
  return new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more');
}
