/** Methods, schemes, authorities and paths: as variants for a guest, as text for HTTP. */
import { isToken } from './field-rules.ts';

const METHODS = ['get', 'head', 'post', 'put', 'delete', 'connect', 'options', 'trace', 'patch'] as const;

export type Method =
  | { readonly tag: (typeof METHODS)[number] }
  | { readonly tag: 'other'; readonly val: string };

export type Scheme = { readonly tag: 'HTTP' | 'HTTPS' } | { readonly tag: 'other'; readonly val: string };

const BY_NAME = new Map(METHODS.map((tag): [string, Method] => [tag.toUpperCase(), { tag }]));

export function methodFromName(name: string): Method {
  return BY_NAME.get(name) ?? { tag: 'other', val: name };
}

export function methodName(method: Method): string {
  return method.tag === 'other' ? method.val : method.tag.toUpperCase();
}

/** RFC 9110, section 9.1. */
export function isMethod(method: Method): boolean {
  return method.tag !== 'other' || isToken(method.val);
}

export function schemeFromName(name: string): Scheme {
  if (name === 'http') return { tag: 'HTTP' };
  return name === 'https' ? { tag: 'HTTPS' } : { tag: 'other', val: name };
}

/** RFC 3986, section 3.1. */
export function isScheme(scheme: Scheme): boolean {
  return scheme.tag !== 'other' || /^[a-z][a-z0-9+\-.]*$/i.test(scheme.val);
}

/** Path and query of RFC 3986, taken as loosely as servers take them: no spaces, controls or fragment. */
export function isPathWithQuery(text: string): boolean {
  return /^[!"$-~\u00a0-\u{10ffff}]*$/u.test(text);
}

/** `host` or `host:port` (RFC 3986, section 3.2); user information is not allowed. */
export function isAuthority(text: string): boolean {
  return parseAuthority(text) !== null;
}

export interface Authority {
  /** As URLs have it: lower case, IPv4 in four parts, IPv6 without brackets, no dot at its end. */
  readonly host: string;
  /** Null for the scheme's default. */
  readonly port: number | null;
}

/** Null where it is none. */
export function parseAuthority(text: string): Authority | null {
  if (!/^[^\s/?#@\\]+$/.test(text)) return null;
  // A scheme without a default port, so that an explicit 80 stays; an http URL, so that the host is normalised.
  const url = URL.parse(`http://${text}`);
  if (!url || url.hostname === '') return null;
  const port = /:(\d+)$/.exec(text)?.[1];
  if (port !== undefined && Number(port) > 65_535) return null;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  return host === '' ? null : { host, port: port === undefined ? null : Number(port) };
}
