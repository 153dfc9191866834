/** A request with what Express adds to Node's own, as functions for Fission use it. */
import { IncomingMessage } from 'node:http';
import { parse as parseQuery, type ParsedUrlQuery } from 'node:querystring';

const PARAMETER_PREFIX = 'x-fission-params-';

export class FunctionRequest extends IncomingMessage {
  /** Read by content type; undefined where the type is none that is read, and the request is still a stream. */
  body: unknown = undefined;
  /** The body's bytes, where it was read. */
  rawBody: Buffer | undefined = undefined;
  #query: ParsedUrlQuery | undefined;
  #params: Record<string, string> | undefined;

  get originalUrl(): string {
    return this.url ?? '/';
  }

  get path(): string {
    const url = this.url ?? '/';
    const end = url.indexOf('?');
    return end === -1 ? url : url.slice(0, end);
  }

  get query(): ParsedUrlQuery {
    const url = this.url ?? '/';
    const start = url.indexOf('?');
    return (this.#query ??= parseQuery(start === -1 ? '' : url.slice(start + 1)));
  }

  /** The trigger's path parameters, names in lower case (Fission hands them over as headers). */
  get params(): Record<string, string> {
    return (this.#params ??= Object.fromEntries(
      Object.entries(this.headers).flatMap(([name, value]) =>
        name.startsWith(PARAMETER_PREFIX) ? [[name.slice(PARAMETER_PREFIX.length), String(value)]] : [],
      ),
    ));
  }

  get protocol(): string {
    return 'http';
  }

  get secure(): boolean {
    return false;
  }

  get ip(): string | undefined {
    return this.socket.remoteAddress;
  }

  get hostname(): string | undefined {
    return this.headers.host?.replace(/:\d+$/, '');
  }

  get(name: string): string | string[] | undefined {
    const lower = name.toLowerCase();
    if (lower === 'referrer' || lower === 'referer') return this.headers.referrer ?? this.headers.referer;
    return this.headers[lower];
  }

  header(name: string): string | string[] | undefined {
    return this.get(name);
  }

  /** The first of the types (`json`, `text/*`, `application/json`) that the body has, or false. */
  is(...types: string[]): string | false {
    const actual = mediaType(this);
    return types.flat().find((type) => matches(actual, type)) ?? false;
  }
}

/** The media type without its parameters, lower case; '' where there is none. */
export function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function matches(actual: string, wanted: string): boolean {
  const type = wanted.includes('/') ? wanted : SHORT_TYPES[wanted];
  if (type === undefined) return false;
  return type.endsWith('/*') ? actual.startsWith(type.slice(0, -1)) : actual === type;
}

const SHORT_TYPES: Readonly<Record<string, string>> = {
  json: 'application/json',
  urlencoded: 'application/x-www-form-urlencoded',
  text: 'text/plain',
  html: 'text/html',
  multipart: 'multipart/*',
};
