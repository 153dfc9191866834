/** `wasi:http/types`: requests that a guest sends, and their options. */
import type { BodyWriter } from '../body-writer.ts';
import { OUTBOUND_PART_CHARS_CAP, OUTBOUND_PATH_BYTES_CAP } from '../limits.ts';
import { Resource } from '../resource.ts';
import { err, ok, type Result } from '../result.ts';
import type { GuestState } from '../state.ts';
import { Fields, type FieldStore } from './fields.ts';
import {
  isAuthority,
  isMethod,
  isPathWithQuery,
  isScheme,
  type Method,
  type Scheme,
} from './message-parts.ts';
import { OutgoingBody } from './outgoing.ts';

/**
 * HTTP/1.1 carries trailers only behind a body of no announced length (RFC 9112, section 7.1.2); who sends some
 * says so first (RFC 9110, section 6.6.2), and is sent by other means then.
 */
const NO_TRAILERS =
  'a request has trailers only if it has a Trailer header field that names them, and no Content-Length';

type SetResult = Result<undefined, undefined>;

export class OutgoingRequest extends Resource {
  readonly #headers: FieldStore;
  #method: Method = { tag: 'get' };
  #pathWithQuery: string | undefined;
  #scheme: Scheme | undefined;
  #authority: string | undefined;
  #body: BodyWriter | null = null;

  constructor(headers: Fields) {
    const { state } = headers;
    state.check();
    super(state, 'outgoing-request');
    this.#headers = headers.give();
  }

  /** Fails the second time, and where the Content-Length is not one number. */
  body(): Result<OutgoingBody, undefined> {
    this.state.check();
    const contentLength = this.#headers.contentLength();
    if (this.#body || contentLength === undefined) return err();
    const body = new OutgoingBody(this.state, {
      contentLength,
      mayBeShort: false,
      sizeError: 'HTTP-request-body-size',
      ...(this.#announcesTrailers() && contentLength === null ? {} : { refuseTrailers: NO_TRAILERS }),
    });
    this.#body = body.writer;
    return ok(body);
  }

  method(): Method {
    this.state.check();
    return this.#method;
  }

  setMethod(method: Method): SetResult {
    this.state.check();
    if (isTooLong(method.tag === 'other' ? method.val : '') || !isMethod(method)) return err();
    this.#method = method;
    return ok();
  }

  pathWithQuery(): string | undefined {
    this.state.check();
    return this.#pathWithQuery;
  }

  setPathWithQuery(pathWithQuery: string | undefined): SetResult {
    this.state.check();
    if (pathWithQuery !== undefined) {
      if (pathWithQuery.length > OUTBOUND_PATH_BYTES_CAP || !isPathWithQuery(pathWithQuery)) return err();
    }
    // JavaScript keeps two bytes for each character once one of them is not Latin.
    this.state.hold(2 * ((pathWithQuery?.length ?? 0) - (this.#pathWithQuery?.length ?? 0)));
    this.#pathWithQuery = pathWithQuery;
    return ok();
  }

  scheme(): Scheme | undefined {
    this.state.check();
    return this.#scheme;
  }

  setScheme(scheme: Scheme | undefined): SetResult {
    this.state.check();
    if (scheme?.tag === 'other' && isTooLong(scheme.val)) return err();
    if (scheme !== undefined && !isScheme(scheme)) return err();
    this.#scheme = scheme;
    return ok();
  }

  authority(): string | undefined {
    this.state.check();
    return this.#authority;
  }

  setAuthority(authority: string | undefined): SetResult {
    this.state.check();
    if (authority !== undefined && (isTooLong(authority) || !isAuthority(authority))) return err();
    this.#authority = authority;
    return ok();
  }

  headers(): Fields {
    return new Fields(this.state, { store: this.#headers, immutable: true, parent: this });
  }

  /** The guest gives it to the outgoing handler. */
  give(): { headers: FieldStore; body: BodyWriter | null; mayHaveTrailers: boolean } {
    this.giveAway();
    this.state.hold(-2 * (this.#pathWithQuery?.length ?? 0));
    const mayHaveTrailers =
      this.#body !== null && this.#announcesTrailers() && this.#headers.contentLength() === null;
    return { headers: this.#headers, body: this.#body, mayHaveTrailers };
  }

  #announcesTrailers(): boolean {
    return this.#headers.values('trailer').length > 0;
  }

  protected override dropped(): void {
    this.#headers.free();
    // One that was finished waits to be sent, which will never be.
    this.#body?.close();
    this.state.hold(-2 * (this.#pathWithQuery?.length ?? 0));
  }
}

function isTooLong(part: string): boolean {
  return part.length > OUTBOUND_PART_CHARS_CAP;
}

/** Timeouts in nanoseconds, as `wasi:clocks` counts. */
export class RequestOptions extends Resource {
  #connectNs: bigint | undefined;
  #firstByteNs: bigint | undefined;
  #betweenBytesNs: bigint | undefined;

  constructor(state: GuestState) {
    state.check();
    super(state, 'request-options');
  }

  connectTimeout(): bigint | undefined {
    this.state.check();
    return this.#connectNs;
  }

  setConnectTimeout(duration: bigint | undefined): SetResult {
    this.state.check();
    this.#connectNs = duration;
    return ok();
  }

  firstByteTimeout(): bigint | undefined {
    this.state.check();
    return this.#firstByteNs;
  }

  setFirstByteTimeout(duration: bigint | undefined): SetResult {
    this.state.check();
    this.#firstByteNs = duration;
    return ok();
  }

  betweenBytesTimeout(): bigint | undefined {
    this.state.check();
    return this.#betweenBytesNs;
  }

  setBetweenBytesTimeout(duration: bigint | undefined): SetResult {
    this.state.check();
    this.#betweenBytesNs = duration;
    return ok();
  }
}
