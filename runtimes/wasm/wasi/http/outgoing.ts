/** `wasi:http/types`: the guest's answer, and bodies that a guest writes. */
import { BodyWriter, type BodyWriterOptions } from '../body-writer.ts';
import { Resource } from '../resource.ts';
import { err, ok, type Result } from '../result.ts';
import type { GuestState } from '../state.ts';
import { OutputStream } from '../streams.ts';
import type { ErrorCode } from './error-codes.ts';
import { Fields, type FieldStore } from './fields.ts';

export class OutgoingResponse extends Resource {
  readonly #headers: FieldStore;
  #status = 200;
  #body: BodyWriter | null = null;

  constructor(headers: Fields) {
    const { state } = headers;
    state.check();
    super(state, 'outgoing-response');
    this.#headers = headers.give();
  }

  statusCode(): number {
    this.state.check();
    return this.#status;
  }

  /** Fails outside 200 to 999: what is under 200 is not an answer but a word before one. */
  setStatusCode(status: number): Result<undefined, undefined> {
    this.state.check();
    if (status < 200 || status > 999) return err();
    this.#status = status;
    return ok();
  }

  headers(): Fields {
    return new Fields(this.state, { store: this.#headers, immutable: true, parent: this });
  }

  /** Fails the second time, and where the Content-Length is not one number. */
  body(): Result<OutgoingBody, undefined> {
    this.state.check();
    const contentLength = this.#headers.contentLength();
    if (this.#body || contentLength === undefined) return err();
    const body = new OutgoingBody(this.state, {
      contentLength,
      mayBeShort: this.#hasNoBody(),
      sizeError: 'HTTP-response-body-size',
    });
    this.#body = body.writer;
    return ok(body);
  }

  /** The guest gave it to the outparam: the head goes out. */
  send(): void {
    this.giveAway();
    const { answer } = this.state;
    const contentLength = this.#headers.contentLength();
    if (contentLength === undefined) {
      answer.reject('the function answered with a Content-Length that is not one number');
    } else if (contentLength && !this.#body && !this.#hasNoBody()) {
      answer.reject(`the function answered with a Content-Length of ${contentLength} and no body`);
    } else {
      answer.send(this.#status, this.#headers.toHeaderList(), this.#body);
    }
    this.#headers.free();
  }

  protected override dropped(): void {
    this.#headers.free();
    // One that was finished waits to be sent, which will never be.
    this.#body?.close();
  }

  /** Whether the message may name a length without carrying it (RFC 9110, section 8.6). */
  #hasNoBody(): boolean {
    return this.#status === 304 || this.state.context.request.method === 'HEAD';
  }
}

export class OutgoingBody extends Resource {
  readonly writer: BodyWriter;
  #streamed = false;

  constructor(state: GuestState, options: BodyWriterOptions) {
    super(state, 'outgoing-body');
    this.writer = new BodyWriter(state, options);
  }

  write(): Result<OutputStream, undefined> {
    this.state.check();
    if (this.#streamed) return err();
    this.#streamed = true;
    return ok(new OutputStream(this.state, this.writer, this));
  }

  static finish(body: OutgoingBody, trailers: Fields | undefined): Result<undefined, ErrorCode> {
    body.state.check();
    body.giveAway();
    const store = trailers?.give();
    const finished = body.writer.finish(store?.toHeaderList() ?? []);
    store?.free();
    return finished;
  }

  protected override dropped(): void {
    this.writer.break({
      message: 'it dropped the body without finishing it',
      httpErrorCode: { tag: 'HTTP-protocol-error' },
    });
  }
}

export class ResponseOutparam extends Resource {
  constructor(state: GuestState) {
    super(state, 'response-outparam');
  }

  /** Informational answers (an unstable feature) are not sent. */
  sendInformational(status: number, headers: Fields): Result<undefined, ErrorCode> {
    this.state.check();
    headers.give().free();
    if (status < 100 || status > 199) return err({ tag: 'HTTP-protocol-error' });
    return err({ tag: 'internal-error', val: 'informational responses are not supported' });
  }

  static set(outparam: ResponseOutparam, response: Result<OutgoingResponse, ErrorCode>): void {
    outparam.state.check();
    outparam.giveAway();
    if (response.tag === 'ok') response.val.send();
    else outparam.state.answer.refuse(response.val);
  }
}
