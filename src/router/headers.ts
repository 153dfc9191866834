/** What the router takes out of headers, and what it puts in, both ways. */
import { randomFillSync } from 'node:crypto';
import type { HeaderList } from '../executors/executor.ts';

/** Of one connection, not of the message (RFC 9110 section 7.6.1), with those that proxies long treat so. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5: visible characters, obs-text, blanks and tabs. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const REQUEST_ID = /^[\x21-\x7e]{1,192}$/;

export const REQUEST_ID_HEADER = 'X-Fission-Request-ID';
/** In a Wasm host's answer to a router: the function was refused when it was deployed there, and nothing ran. */
export const REFUSED_HEADER = 'X-Fissium-Refused';

/** The client's request id if it is 1 to 192 visible ASCII characters (Fission's rule), else a new one. */
export function requestId(received: string | string[] | undefined): string {
  return typeof received === 'string' && REQUEST_ID.test(received) ? received : newRequestId();
}

/** Ids are written this many at a time. */
const IDS_AT_ONCE = 128;
const ID_BYTES = 36;
/** RFC 9562 section 5.4: which of the characters are random, and which bits of two of them. */
const UUID_FORM = 'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx';
const HEX = '0123456789abcdef';

const ids = Buffer.alloc(IDS_AT_ONCE * ID_BYTES);
let nextId = IDS_AT_ONCE;

/** A random UUID. Half as long to make as `crypto.randomUUID`, and a third of its garbage (measured). */
function newRequestId(): string {
  if (nextId === IDS_AT_ONCE) {
    randomFillSync(ids);
    for (let at = 0; at < ids.length; at++) {
      const form = UUID_FORM.charCodeAt(at % ID_BYTES);
      const random = (ids[at] ?? 0) & 15;
      // 'x' and 'y'; the rest stands as it is.
      const digit = form === 0x79 ? (random & 3) | 8 : random;
      ids[at] = form >= 0x78 ? HEX.charCodeAt(digit) : form;
    }
    nextId = 0;
  }
  const from = nextId++ * ID_BYTES;
  return ids.toString('latin1', from, from + ID_BYTES);
}

export function isFieldName(name: string): boolean {
  return TOKEN.test(name);
}

export function isFieldValue(value: string): boolean {
  return FIELD_VALUE.test(value);
}

/** Calls `visit` with each field of node's flat list, names in lower case. */
function eachField(raw: readonly string[], visit: (name: string, value: string) => void): void {
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at];
    const value = raw[at + 1];
    if (name !== undefined && value !== undefined) visit(name.toLowerCase(), value);
  }
}

/** Names that Connection fields nominate, in lower case. */
function nominated(values: Iterable<string>): Set<string> {
  const names = new Set<string>();
  for (const value of values) {
    for (const token of value.split(',')) {
      const name = token.trim().toLowerCase();
      if (name !== '') names.add(name);
    }
  }
  return names;
}

/**
 * A request's headers as the function gets them: names in lower case, order and repeats kept. Left out are
 * hop-by-hop fields, `host` (the authority says it), `expect` (the router answers it), and whatever would read
 * as Fission's own: `x-fission-*`, also with underscores, which are the same in CGI's environment.
 * @param fromRouter whether Fission's own are there because a router of ours put them in; then they stay
 */
export function requestHeaders(raw: readonly string[], fromRouter = false): [name: string, value: string][] {
  const connection: string[] = [];
  eachField(raw, (name, value) => {
    if (name === 'connection') connection.push(value);
  });
  const drop = connection.length === 0 ? null : nominated(connection);
  const kept: [string, string][] = [];
  eachField(raw, (name, value) => {
    if (name === 'host' || name === 'expect' || HOP_BY_HOP.has(name) || drop?.has(name) === true) return;
    if (name.charCodeAt(0) === 0x78) {
      const plain = name.replaceAll('_', '-');
      // Who signed it is between the sender and whoever checked it.
      if (fromRouter ? plain.startsWith('x-fission-auth-') : isOurs(plain)) return;
    }
    kept.push([name, value]);
  });
  return kept;
}

function isOurs(name: string): boolean {
  return name.startsWith('x-fission-') || name === 'x-fissium-receipt';
}

/** Trailers as the function gets them: without what steers the message (RFC 9110 section 6.5.1). */
export function requestTrailers(raw: readonly string[]): HeaderList {
  return requestHeaders(raw).filter(([name]) => !NOT_IN_TRAILERS.has(name));
}

const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'trailer',
  'host',
  'authorization',
  'set-cookie',
  'cache-control',
  'age',
  'expires',
  'date',
  'location',
  'retry-after',
  'vary',
  ...HOP_BY_HOP,
]);

export interface ForwardedFacts {
  readonly requestId: string;
  /** Path and query as the client sent them. */
  readonly fullUrl: string;
  readonly authority: string;
  /** '' where the connection is gone. */
  readonly clientAddress: string;
  readonly function: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion?: string;
  };
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** Adds what Fission's router adds to a request on its way to a function. */
export function addFissionHeaders(headers: [name: string, value: string][], facts: ForwardedFacts): void {
  let isForwarded = false;
  let forwardedFor: string[] | null = null;
  for (const [name, value] of headers) {
    if (name === 'forwarded' || name === 'x-forwarded-host') isForwarded = true;
    else if (name === 'x-forwarded-for') (forwardedFor ??= []).push(value);
  }
  for (const [name, value] of facts.parameters) {
    headers.push([`x-fission-params-${name.toLowerCase()}`, toFieldValue(value)]);
  }
  const { namespace, name, uid, resourceVersion } = facts.function;
  headers.push(
    ['x-fission-full-url', facts.fullUrl],
    ['x-fission-function-uid', uid],
    ['x-fission-function-name', name],
    ['x-fission-function-namespace', namespace],
  );
  if (resourceVersion !== undefined) headers.push(['x-fission-function-resourceversion', resourceVersion]);
  headers.push(['x-fission-request-id', facts.requestId]);
  if (facts.authority !== '' && !isForwarded) {
    headers.push(['forwarded', forwardedHost(facts.authority)], ['x-forwarded-host', facts.authority]);
  }
  if (facts.clientAddress === '') return;
  if (forwardedFor === null) {
    headers.push(['x-forwarded-for', facts.clientAddress]);
    return;
  }
  const others = headers.filter(([known]) => known !== 'x-forwarded-for');
  headers.length = 0;
  headers.push(...others, ['x-forwarded-for', [...forwardedFor, facts.clientAddress].join(', ')]);
}

/** Of the authority before: most requests come for the same. */
let lastForwarded = { authority: '', field: '' };

/** RFC 7239 section 4: what is not a plain token is quoted. */
function forwardedHost(authority: string): string {
  if (lastForwarded.authority === authority) return lastForwarded.field;
  const host = TOKEN.test(authority) ? authority : `"${authority.replaceAll(/["\\]/g, '')}"`;
  lastForwarded = { authority, field: `host=${host};` };
  return lastForwarded.field;
}

/** UTF-8, one character a byte, as node reads and writes header values. */
function toFieldValue(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

const REFUSED = REFUSED_HEADER.toLowerCase();

/** Whether a Wasm host's answer has {@link REFUSED_HEADER}. */
export function isRefusal({
  status,
  headers,
}: {
  readonly status: number;
  readonly headers: HeaderList;
}): boolean {
  return status >= 500 && headers.some(([name]) => name.toLowerCase() === REFUSED);
}

/** Fields (lower case) that only the platform may answer with. */
export function isOwnResponseField(name: string): boolean {
  return name === 'x-fission-request-id' || name === REFUSED;
}

export interface ResponseHead {
  readonly status: number;
  /** Node's flat list, ready for `writeHead`. */
  readonly headers: string[];
  /** Bytes that the function promised to send, if it did. */
  readonly contentLength: number | null;
  /** Whether the function gave the date. */
  readonly hasDate: boolean;
}

/**
 * Checks a function's head and makes it fit to be sent: hop-by-hop fields out, everything else as it is,
 * `drop` aside.
 * @returns a sentence that says what is wrong where it cannot be sent
 */
export function responseHead(
  status: number,
  headers: HeaderList,
  drop: (name: string) => boolean,
): ResponseHead | string {
  if (!Number.isInteger(status) || status < 200 || status > 999) {
    return `it answered with status ${status}; a final status is from 200 to 999`;
  }
  let dropped: ReadonlySet<string> | null = null;
  for (const [name] of headers)
    if (name.length === 10 && name.toLowerCase() === 'connection') dropped = nominatedBy(headers);
  const flat: string[] = [];
  let contentLength: number | null = null;
  let hasDate = false;
  for (const [name, value] of headers) {
    if (!isFieldName(name)) return `it answered with the header name ${JSON.stringify(name.slice(0, 60))}`;
    if (!isFieldValue(value)) {
      return `the value of its header "${name}" has characters that no header may have: ${JSON.stringify(value.slice(0, 60))}`;
    }
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || dropped?.has(lower) === true || drop(lower)) continue;
    if (lower === 'date') hasDate = true;
    if (lower === 'content-length') {
      if (!/^\d{1,15}$/.test(value)) return `its content-length is ${JSON.stringify(value.slice(0, 60))}`;
      const bytes = Number(value);
      if (contentLength !== null && contentLength !== bytes) {
        return `it gave two content-lengths, ${contentLength} and ${bytes}`;
      }
      if (contentLength !== null) continue;
      contentLength = bytes;
      // RFC 9110 section 8.6: never with 204.
      if (status === 204) continue;
    }
    flat.push(name, value);
  }
  return { status, headers: flat, contentLength, hasDate };
}

function nominatedBy(headers: HeaderList): ReadonlySet<string> {
  return nominated(headers.flatMap(([name, value]) => (name.toLowerCase() === 'connection' ? [value] : [])));
}

/** A function's trailers, without those that could not be sent. */
export function responseTrailers(trailers: HeaderList): [string, string][] {
  return trailers.flatMap(([name, value]): [string, string][] =>
    isFieldName(name) && isFieldValue(value) && !NOT_IN_TRAILERS.has(name.toLowerCase())
      ? [[name, value]]
      : [],
  );
}
