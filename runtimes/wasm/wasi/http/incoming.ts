/** `wasi:http/types`: messages that a guest receives, and their bodies. */
import type { HeaderList } from '../../../../src/executors/executor.ts';
import type { GuestBodySource } from '../../engine.ts';
import { BodyFailed, BodyReader } from '../body-reader.ts';
import type { StreamFailure } from '../io-error.ts';
import { Pollable } from '../poll.ts';
import { NOTHING_TO_DISARM, WakeList, type Disarm, type Readiness } from '../readiness.ts';
import { Resource } from '../resource.ts';
import { err, ok, type Result } from '../result.ts';
import type { GuestState } from '../state.ts';
import { InputStream } from '../streams.ts';
import { errorCodeOf, type ErrorCode } from './error-codes.ts';
import { Fields, FieldStore } from './fields.ts';
import { methodFromName, schemeFromName, type Method, type Scheme } from './message-parts.ts';

export class IncomingRequest extends Resource {
  /** Made when the guest asks for them. */
  #headers: FieldStore | null = null;
  #consumed = false;

  constructor(state: GuestState) {
    super(state, 'incoming-request');
  }

  method(): Method {
    this.state.check();
    return methodFromName(this.state.context.request.method);
  }

  pathWithQuery(): string | undefined {
    this.state.check();
    return this.state.context.request.pathWithQuery;
  }

  scheme(): Scheme | undefined {
    this.state.check();
    return schemeFromName(this.state.context.request.scheme);
  }

  authority(): string | undefined {
    this.state.check();
    return this.state.context.request.authority;
  }

  headers(): Fields {
    this.#headers ??= FieldStore.received(this.state, this.state.context.request.headers);
    return new Fields(this.state, { store: this.#headers, immutable: true, parent: this });
  }

  consume(): Result<IncomingBody, undefined> {
    this.state.check();
    if (this.#consumed) return err();
    this.#consumed = true;
    return ok(new IncomingBody(this.state, this.state.context.request.body));
  }

  protected override dropped(): void {
    if (!this.#consumed) this.state.context.request.body?.cancel();
  }
}

export interface ReceivedResponse {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: GuestBodySource;
  /** What the host was counted to hold for the guest with it; whoever drops it gives it back. */
  readonly heldBytes: number;
}

export class IncomingResponse extends Resource {
  readonly #response: ReceivedResponse;
  /** Made when the guest asks for them. */
  #headers: FieldStore | null = null;
  #consumed = false;

  constructor(state: GuestState, response: ReceivedResponse) {
    super(state, 'incoming-response');
    this.#response = response;
  }

  status(): number {
    this.state.check();
    return this.#response.status;
  }

  headers(): Fields {
    this.#headers ??= FieldStore.received(this.state, this.#response.headers);
    return new Fields(this.state, { store: this.#headers, immutable: true, parent: this });
  }

  consume(): Result<IncomingBody, undefined> {
    this.state.check();
    if (this.#consumed) return err();
    this.#consumed = true;
    return ok(new IncomingBody(this.state, this.#response.body));
  }

  protected override dropped(): void {
    if (!this.#consumed) this.#response.body.cancel();
    this.#headers?.free();
    this.state.hold(-this.#response.heldBytes);
  }
}

export class IncomingBody extends Resource {
  readonly #reader: BodyReader;
  #streamed = false;

  constructor(state: GuestState, source: GuestBodySource | null) {
    super(state, 'incoming-body');
    this.#reader = new BodyReader(source, describeBodyError);
  }

  stream(): Result<InputStream, undefined> {
    this.state.check();
    if (this.#streamed) return err();
    this.#streamed = true;
    return ok(new InputStream(this.state, this.#reader, this));
  }

  static finish(body: IncomingBody): FutureTrailers {
    body.state.check();
    body.giveAway();
    return new FutureTrailers(body.state, body.#reader);
  }

  protected override dropped(): void {
    this.#reader.cancel();
  }
}

function describeBodyError(error: unknown): StreamFailure {
  const httpErrorCode = errorCodeOf(error);
  return { message: error instanceof Error ? error.message : String(error), httpErrorCode };
}

type TrailersResult = Result<Result<Fields | undefined, ErrorCode>, undefined>;

/** Reads what is left of the body once somebody asks, then has the trailers. */
export class FutureTrailers extends Resource implements Readiness {
  readonly #reader: BodyReader;
  readonly #wakes = new WakeList();
  #outcome: Result<HeaderList, ErrorCode> | null = null;
  #fields: FieldStore | null = null;
  #started = false;
  #taken = false;

  constructor(state: GuestState, reader: BodyReader) {
    super(state, 'future-trailers');
    this.#reader = reader;
  }

  subscribe(): Pollable {
    this.state.check();
    return new Pollable(this.state, this, this);
  }

  get(): TrailersResult | undefined {
    this.state.check();
    if (!this.isReady() || !this.#outcome) return undefined;
    if (this.#taken) return err();
    this.#taken = true;
    const outcome = this.#outcome;
    if (outcome.tag === 'err') return ok(outcome);
    if (outcome.val.length === 0) return ok(ok(undefined));
    const store = FieldStore.received(this.state, outcome.val);
    this.#fields = store;
    return ok(ok(new Fields(this.state, { store, immutable: true, parent: this })));
  }

  isReady(): boolean {
    if (!this.#started) {
      this.#started = true;
      this.#reader.rest().then(
        (trailers) => this.#settle(ok(trailers)),
        (error: unknown) => this.#settle(err(trailersErrorCode(error))),
      );
    }
    return this.#outcome !== null;
  }

  arm(wake: () => void): Disarm {
    if (!this.isReady()) return this.#wakes.arm(wake);
    wake();
    return NOTHING_TO_DISARM;
  }

  protected override dropped(): void {
    this.#reader.cancel();
    this.#fields?.free();
  }

  #settle(outcome: Result<HeaderList, ErrorCode>): void {
    this.#outcome = outcome;
    this.#wakes.notify();
  }
}

function trailersErrorCode(error: unknown): ErrorCode {
  return (error instanceof BodyFailed && error.failure.httpErrorCode) || errorCodeOf(error);
}
