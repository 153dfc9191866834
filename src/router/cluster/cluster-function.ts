/** A function whose calls go to pods: finds an endpoint, or waits for one and says that it does. */
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';

import { FissiumError } from '../../errors.ts';
import { CallAbort } from '../../executors/call-abort.ts';
import type {
  AnswerReceiver,
  InvokeReceipt,
  InvokeRequest,
  InvokeResponse,
  Invoker,
} from '../../executors/executor.ts';
import { failingWith, proxy, type ProxyTarget } from '../../executors/http-proxy.ts';
import type { FunctionLoadReport } from '../../executors/loads.ts';
import { isRefusal } from '../headers.ts';
import type { Endpoint } from './endpoint.ts';
import type { EndpointGroup } from './endpoint-group.ts';
import type { Lines } from './relay/lines.ts';
import { isRelayable, RelayedCall, type RelayedRequest } from './relay/relayed-call.ts';

/** Who is called, both ways: over lines where the body is there, else over the pool. */
export interface CallTarget extends ProxyTarget {
  readonly lines: Lines;
}

export interface ClusterFunctionParts {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly strategy: FunctionLoadReport['strategy'];
  readonly group: EndpointGroup;
  /** Before the path at the endpoint: hosts of several functions are called by name. */
  readonly pathPrefix: string;
  /** Whether connections to it may be upgraded; Wasm hosts take none. */
  readonly upgrades: boolean;
  /** Whether endpoints are Wasm hosts, which say where they have refused a function. */
  readonly hosts: boolean;
  /** Headers that show a Wasm host who calls; undefined where none asks. */
  readonly sign: ProxyTarget['sign'];
  /** Called when a call begins to wait, and told again when one has ended: `waiting` says how many there are. */
  readonly onWaiting: (fn: ClusterFunction) => void;
  /** The other router that has this function's endpoints; null where this one has. */
  readonly owner: (() => CallTarget | null) | null;
  /** Why the function is not ready, as its status says; null where it is, or nothing is known. */
  readonly trouble: () => string | null;
}

/** How long a call waits for an endpoint of a function whose status says that it is not ready. */
const TROUBLED_WAIT_MS = 10_000;
/** For how long a call tries endpoints that take no connection before it is given up. */
const REFUSED_MS = 30_000;
/** As long as it takes to learn that connections were closed. */
const BROKEN_REST_MS = 50;

/** What of a function may change while calls of it run. */
export interface StartTimes {
  /** `SpecializationTimeout`: until it has an endpoint, where it has none. */
  readonly startTimeoutMs: number;
  /** `functionTimeout` */
  readonly firstByteTimeoutMs: number;
}

export class ClusterFunction implements Invoker {
  readonly parts: ClusterFunctionParts;
  readonly upgrades: boolean;
  times: StartTimes;
  /** Calls it by this router's own endpoints, for calls that another router has handed on. */
  readonly local: Invoker;
  #running = 0;
  #waiting = 0;
  #lastEndedMs = performance.now();

  constructor(parts: ClusterFunctionParts, times: StartTimes) {
    this.parts = parts;
    this.times = times;
    this.upgrades = parts.upgrades;
    this.local = {
      upgrades: parts.upgrades,
      invoke: (request) => this.#invokeHere(request),
      start: (request, receiver) => {
        if (isRelayable(request) && this.#relayHere(request, receiver)) return;
        settle(this.#invokeHere(request), receiver);
      },
    };
  }

  /** Calls at endpoints. */
  get running(): number {
    return this.#running;
  }

  /** Calls that wait for an endpoint. */
  get waiting(): number {
    return this.#waiting;
  }

  idleMs(nowMs: number): number {
    return this.#running + this.#waiting > 0 ? 0 : nowMs - this.#lastEndedMs;
  }

  /** A call whose body is there, to an endpoint with room, costs a fraction of what the others do. */
  start(request: InvokeRequest, receiver: AnswerReceiver): void {
    const owner = this.parts.owner?.() ?? null;
    if (isRelayable(request)) {
      const isOnItsWay =
        owner === null ? this.#relayHere(request, receiver) : this.#relayTo(owner, request, receiver);
      if (isOnItsWay) return;
    }
    settle(this.invoke(request), receiver);
  }

  async invoke(request: InvokeRequest): Promise<InvokeResponse> {
    const owner = this.parts.owner?.() ?? null;
    if (owner === null) return this.#invokeHere(request);
    const pathPrefix = this.#pathAtOwner;
    // Whether it has to be started, that router knows, and keeps to the times.
    request.clock?.starting(this.times.startTimeoutMs + this.times.firstByteTimeoutMs);
    try {
      return await proxy(owner, request, { coldStart: false, pathPrefix }).response;
    } catch (error) {
      // The other router is gone: its pods are this one's soon, and taking them a moment early does little harm.
      if (!wasNotSent(error)) throw error;
      request.clock?.started();
      return this.#invokeHere(request);
    }
  }

  async #invokeHere(request: InvokeRequest): Promise<InvokeResponse> {
    const { group, uid, pathPrefix } = this.parts;
    const beganMs = performance.now();
    for (;;) {
      const ready = group.tryTake(uid, request.body instanceof Readable);
      const endpoint = ready ?? (await this.#wait(request));
      const coldStart = ready === null;
      const waitedMs = performance.now() - beganMs;
      this.#running += 1;
      const call = proxy(targetOf(endpoint, this.parts.sign), request, { coldStart, pathPrefix });
      if (request.upgrade !== undefined) endpoint.goAways.add(call.goAway);
      const leave = (): void => {
        endpoint.goAways.delete(call.goAway);
        this.#ended(endpoint);
      };
      const ended = (): void => {
        leave();
        request.onReceipt?.(receiptOf(waitedMs, coldStart, performance.now() - beganMs - waitedMs));
      };
      try {
        const response = await call.response;
        if (!this.#isRefused(endpoint, response)) {
          void call.done.then(ended);
          return response;
        }
        void call.done.then(leave);
        // Of a body that streams nothing is left to be sent again.
        if (!(request.body instanceof Readable) && group.mayBeServed(uid)) {
          discard(response);
          continue;
        }
        // Nothing ran.
        request.onReceipt?.(null);
        return response;
      } catch (error) {
        if (!request.signal.aborted && wasNotSent(error)) {
          // Before its place is another's.
          group.rest(endpoint);
          leave();
          if (performance.now() < beganMs + REFUSED_MS) continue;
          request.onReceipt?.(null);
          throw error;
        }
        // Before the head only a pod that is in trouble ends the connection: its others are about to be found dead too.
        if (!request.signal.aborted && wasBrokenOff(error)) group.rest(endpoint, BROKEN_REST_MS);
        // A call that nobody waits for must not keep its place.
        call.cancel();
        void call.done.then(ended);
        throw error;
      }
    }
  }

  get #pathAtOwner(): string {
    const { namespace, name } = this.parts;
    return `/fission-function/${namespace}/${name}`;
  }

  /** @returns whether the call is on its way to the other router */
  #relayTo(owner: CallTarget, request: RelayedRequest, receiver: AnswerReceiver): boolean {
    const head = RelayedCall.headOf(request, this.#pathAtOwner + request.pathWithQuery, owner.sign);
    if (head === null) return false;
    // Whether it has to be started, that router knows, and keeps to the times.
    request.clock?.starting(this.times.startTimeoutMs + this.times.firstByteTimeoutMs);
    const call = new RelayedCall(request, {
      answered: (response) => receiver.answered(relayed(response, owner)),
      failed: (cause, sent) => {
        if (!sent) {
          request.clock?.started();
          settle(this.#invokeHere(request), receiver);
        } else void owner.failure(cause).then((error) => receiver.failed(Object.assign(error, { cause })));
      },
      done: () => undefined,
    });
    return call.send(owner.lines, head);
  }

  /** @returns whether the call is on its way to an endpoint; if not, none had room, or its head is not plain */
  #relayHere(request: RelayedRequest, receiver: AnswerReceiver): boolean {
    const { group, uid, pathPrefix, sign } = this.parts;
    const head = RelayedCall.headOf(request, pathPrefix + request.pathWithQuery, sign);
    if (head === null) return false;
    const endpoint = group.tryTake(uid);
    if (endpoint === null) return false;
    const beganMs = performance.now();
    let endedMs = 0;
    // Of what was refused or not sent there is no receipt; which it is may be known only when the pod is done.
    let outcome: 'unknown' | 'ran' | 'not run' = 'unknown';
    this.#running += 1;
    const call = new RelayedCall(request, {
      answered: (response) => {
        if (!this.#isRefused(endpoint, response)) {
          outcome = 'ran';
          if (endedMs > 0) request.onReceipt?.(receiptOf(0, false, endedMs - beganMs));
          receiver.answered(relayed(response, targetOf(endpoint)));
          return;
        }
        outcome = 'not run';
        if (group.mayBeServed(uid)) {
          discard(response);
          settle(this.#invokeHere(request), receiver);
        } else {
          request.onReceipt?.(null);
          receiver.answered(relayed(response, targetOf(endpoint)));
        }
      },
      failed: (cause, sent) => {
        outcome = sent ? 'ran' : 'not run';
        // Before the head only a pod that is in trouble ends the connection: its others are about to be found dead too.
        if (sent) group.rest(endpoint, BROKEN_REST_MS);
        else group.rest(endpoint);
        // When its place is free again, which it is not yet.
        if (!sent) queueMicrotask(() => settle(this.#invokeHere(request), receiver));
        else
          void targetOf(endpoint)
            .failure(cause)
            .then((error) => receiver.failed(Object.assign(error, { cause })));
      },
      done: () => {
        this.#ended(endpoint);
        endedMs = this.#lastEndedMs;
        if (outcome === 'ran' || (outcome === 'unknown' && request.signal.aborted))
          request.onReceipt?.(receiptOf(0, false, endedMs - beganMs));
      },
    });
    if (call.send(endpoint.lines, head)) return true;
    this.#ended(endpoint);
    return false;
  }

  /** Whether nothing ran, because the host has refused the function; another may serve it. */
  #isRefused(endpoint: Endpoint, response: Pick<InvokeResponse, 'status' | 'headers'>): boolean {
    const { hosts, uid } = this.parts;
    if (!hosts) return false;
    if (!isRefusal(response)) {
      endpoint.served(uid);
      return false;
    }
    endpoint.refused(uid);
    return true;
  }

  #ended(endpoint: Endpoint): void {
    this.#running -= 1;
    this.#lastEndedMs = performance.now();
    this.parts.group.release(endpoint);
  }

  async #wait({ signal, clock }: InvokeRequest): Promise<Endpoint> {
    const { group, uid, onWaiting } = this.parts;
    const isCold = group.size === 0;
    if (isCold) clock?.starting(this.times.startTimeoutMs);
    const either = new CallAbort();
    const abort = (): void => either.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    const timer = setTimeout(() => this.#giveUp(either), TROUBLED_WAIT_MS);
    this.#waiting += 1;
    onWaiting(this);
    try {
      // Its own time begins with the first endpoint, though that may be taken by those who came before.
      return await group.take(uid, either, isCold ? () => clock?.started() : null);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      this.#waiting -= 1;
    }
  }

  #giveUp(wait: CallAbort): void {
    const { namespace, name, trouble } = this.parts;
    const why = trouble();
    if (why === null) return;
    wait.abort(
      new FissiumError('FUNCTION_NOT_READY', `Function ${namespace}/${name} has nowhere to run: ${why}`),
    );
  }
}

function receiptOf(waitedMs: number, coldStart: boolean, guestMs: number): InvokeReceipt {
  return {
    queueMs: coldStart ? 0 : waitedMs,
    specialiseMs: coldStart ? waitedMs : 0,
    instantiateMs: 0,
    guestMs,
    hostMs: 0,
    waitingMs: 0,
    peakMemoryBytes: 0,
    instance: coldStart ? 'new' : 'ready',
  };
}

/** An answer that came over a line, as the router gets it. */
function relayed(response: Omit<InvokeResponse, 'coldStart'>, target: ProxyTarget): InvokeResponse {
  const { body } = response;
  if (!(body instanceof Readable)) return { ...response, coldStart: false };
  return { ...response, body: failingWith(body, target), coldStart: false };
}

/** Nobody is to have an answer. */
function discard({ body }: Pick<InvokeResponse, 'body'>): void {
  if (body instanceof Readable) body.on('error', () => undefined).destroy();
}

function settle(answer: Promise<InvokeResponse>, receiver: AnswerReceiver): void {
  answer.then(
    (response) => receiver.answered(response),
    (thrown: unknown) => receiver.failed(thrown),
  );
}

/** A failure of an endpoint that has seen nothing of the call. */
interface NotSent {
  readonly notSent?: boolean;
}

function wasBrokenOff(error: unknown): boolean {
  return error instanceof FissiumError && (error as FissiumError & NotSent).notSent === false;
}

function wasNotSent(error: unknown): boolean {
  return error instanceof FissiumError && (error as FissiumError & NotSent).notSent === true;
}

/** Codes of undici and the kernel for a connection that was never made. */
const NOT_CONNECTED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

function targetOf(endpoint: Endpoint, sign?: ProxyTarget['sign']): ProxyTarget {
  const target = proxyTarget(endpoint.pool, `pod ${endpoint.key}`);
  return sign === undefined ? target : { ...target, sign };
}

/** @param what named in messages */
export function proxyTarget(pool: Dispatcher, what: string): ProxyTarget {
  return {
    pool,
    failure: (cause) => {
      const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
      const why = cause instanceof Error ? cause.message : String(cause);
      const error = new FissiumError('FUNCTION_FAILED', `The function's ${what} broke the call off: ${why}.`);
      return Promise.resolve(Object.assign(error, { notSent: NOT_CONNECTED.has(code) } satisfies NotSent));
    },
  };
}
