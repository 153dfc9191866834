/** `wasi:http/outgoing-handler`. */
import type { Dispatcher } from 'undici';
import type { Destination } from '../egress.ts';
import { OUTBOUND_REQUESTS_CAP } from '../limits.ts';
import { Pollable } from '../poll.ts';
import { NOTHING_TO_DISARM, WakeList, type Disarm, type Readiness } from '../readiness.ts';
import { Resource } from '../resource.ts';
import { err, ok, type Result } from '../result.ts';
import type { GuestState } from '../state.ts';
import type { ErrorCode } from './error-codes.ts';
import { Exchange, type ExchangeTimeouts } from './exchange.ts';
import type { FieldStore } from './fields.ts';
import { IncomingResponse, type ReceivedResponse } from './incoming.ts';
import { methodName, parseAuthority } from './message-parts.ts';
import type { OutgoingRequest, RequestOptions } from './outgoing-request.ts';

/** Where a guest sets none; the function's own deadline is usually far shorter. */
const DEFAULT_CONNECT_MS = 30_000;
const DEFAULT_RESPONSE_MS = 600_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

type Outcome = Result<ReceivedResponse, ErrorCode>;
const TAKEN: Outcome = { tag: 'err', val: { tag: 'internal-error', val: 'the response was taken' } };

export class FutureIncomingResponse extends Resource implements Readiness {
  readonly #wakes = new WakeList();
  #exchange: Exchange | null = null;
  #outcome: Outcome | null = null;
  #taken = false;

  constructor(state: GuestState) {
    super(state, 'future-incoming-response');
  }

  /** Starts the request; its outcome is this future's. */
  start(exchange: Exchange): void {
    this.#exchange = exchange;
  }

  settle(outcome: Outcome): void {
    this.#outcome = outcome;
    this.#wakes.notify();
  }

  subscribe(): Pollable {
    this.state.check();
    return new Pollable(this.state, this, this);
  }

  /** Undefined until there is an outcome; the outcome once; then an error. */
  get(): Result<Result<IncomingResponse, ErrorCode>, undefined> | undefined {
    this.state.check();
    if (!this.#outcome) return undefined;
    if (this.#taken) return err();
    this.#taken = true;
    const outcome = this.#outcome;
    // Not kept: the response is the guest's from now on, with what it holds.
    this.#outcome = TAKEN;
    return ok(outcome.tag === 'ok' ? ok(new IncomingResponse(this.state, outcome.val)) : outcome);
  }

  isReady(): boolean {
    return this.#outcome !== null;
  }

  arm(wake: () => void): Disarm {
    if (!this.isReady()) return this.#wakes.arm(wake);
    wake();
    return NOTHING_TO_DISARM;
  }

  protected override dropped(): void {
    if (this.#taken) return;
    this.#exchange?.cancel();
    if (this.#outcome?.tag === 'ok') this.state.hold(-this.#outcome.val.heldBytes);
  }
}

/** Sends a request, if the function's spec allows it. */
export function handle(
  state: GuestState,
  request: OutgoingRequest,
  options: RequestOptions | undefined,
): Result<FutureIncomingResponse, ErrorCode> {
  state.check();
  state.takeTime();
  const timeouts = timeoutsOf(options);
  options?.[Symbol.dispose]();
  const [method, path] = [methodName(request.method()), request.pathWithQuery() ?? ''];
  const destination = destinationOf(request);
  const { headers, body, mayHaveTrailers } = request.give();
  const refusal = 'tag' in destination ? destination : refusalOf(state, method, destination);
  if (refusal) {
    body?.break({ message: 'the request was refused', httpErrorCode: refusal });
    headers.free();
    return err(refusal);
  }
  if ('tag' in destination) return err(destination);
  const future = new FutureIncomingResponse(state);
  const exchange = new Exchange(state, body, timeouts, (outcome) => {
    if (outcome.tag === 'err' && outcome.val.tag === 'destination-IP-prohibited')
      notePrivate(state, destination);
    future.settle(outcome);
  });
  future.start(exchange);
  const origin = originOf(destination);
  void send(state, exchange, { origin, method, path: requestPath(path), headers, mayHaveTrailers });
  return ok(future);
}

interface Sending {
  readonly origin: string;
  readonly method: string;
  readonly path: string;
  readonly headers: FieldStore;
  readonly mayHaveTrailers: boolean;
}

async function send(
  state: GuestState,
  exchange: Exchange,
  { headers, mayHaveTrailers, ...options }: Sending,
): Promise<void> {
  // undici's own 100-continue handling is for HTTP/2 only; without the field a server just reads on.
  const fields = headers.toHeaderList().filter(([name]) => name !== 'expect');
  headers.free();
  try {
    const client = await state.egress.client();
    if (state.stop) return;
    const { body } = exchange;
    if (mayHaveTrailers && body) {
      client.dispatchWithTrailers({ ...options, headers: fields.flat(), body }, exchange);
      return;
    }
    const request = { ...options, headers: fields.flat(), body };
    // undici's type for methods leaves out the ones that it sends all the same.
    client.dispatch(request as Dispatcher.DispatchOptions, exchange);
  } catch (error) {
    exchange.abort(error instanceof Error ? error : new Error(String(error)));
  }
}

function destinationOf(request: OutgoingRequest): Destination | ErrorCode {
  const scheme = request.scheme();
  if (scheme?.tag === 'other') return { tag: 'HTTP-protocol-error' };
  const authority = parseAuthority(request.authority() ?? '');
  if (!authority) return { tag: 'HTTP-request-URI-invalid' };
  const secure = scheme?.tag !== 'HTTP';
  return {
    scheme: secure ? 'https' : 'http',
    host: authority.host,
    port: authority.port ?? (secure ? 443 : 80),
  };
}

function refusalOf(state: GuestState, method: string, destination: Destination): ErrorCode | null {
  if (method === 'CONNECT') return { tag: 'HTTP-request-method-invalid' };
  if (state.egress.policy.reach(destination) === null) {
    const origin = originOf(destination);
    state.note(`a request to ${origin} was denied; spec.wasm.allowedOutboundHosts would need "${origin}"`);
    return { tag: 'HTTP-request-denied' };
  }
  if (state.outboundRequests >= OUTBOUND_REQUESTS_CAP) {
    state.note(
      `a request was refused: ${OUTBOUND_REQUESTS_CAP} outbound requests are under way, the most allowed`,
    );
    return { tag: 'connection-limit-reached' };
  }
  return null;
}

function notePrivate(state: GuestState, destination: Destination): void {
  if (state.stop) return;
  state.note(
    `a request to ${originOf(destination)} was refused: the name does not lead to the public internet; ` +
      'name the address itself in spec.wasm.allowedOutboundHosts to allow it',
  );
}

function originOf({ scheme, host, port }: Destination): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Non-ASCII is sent as its UTF-8 bytes, as it was given. */
function requestPath(path: string): string {
  const bytes = Buffer.from(path, 'utf8').toString('latin1');
  if (bytes === '') return '/';
  return bytes.startsWith('/') || bytes === '*' ? bytes : `/${bytes}`;
}

function timeoutsOf(options: RequestOptions | undefined): ExchangeTimeouts {
  return {
    connectMs: milliseconds(options?.connectTimeout(), DEFAULT_CONNECT_MS),
    firstByteMs: milliseconds(options?.firstByteTimeout(), DEFAULT_RESPONSE_MS),
    betweenBytesMs: milliseconds(options?.betweenBytesTimeout(), DEFAULT_RESPONSE_MS),
  };
}

function milliseconds(durationNs: bigint | undefined, defaultMs: number): number {
  if (durationNs === undefined) return defaultMs;
  const ms = (durationNs + 999_999n) / 1_000_000n;
  return ms > BigInt(LONGEST_TIMER_MS) ? LONGEST_TIMER_MS : Math.max(1, Number(ms));
}
