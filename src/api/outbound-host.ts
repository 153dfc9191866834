/** The grammar of `spec.wasm.allowedOutboundHosts`: `[scheme://]host[:port]`. */
import { isIP } from 'node:net';

/** One entry of the list, read. */
export interface OutboundHost {
  /** null: both. */
  readonly scheme: 'http' | 'https' | null;
  /** Lower case; for `*.example.org` it is `example.org`; an IPv6 address without its brackets. */
  readonly host: string;
  /** Any name below `host`, at any depth, but not `host` itself. */
  readonly wildcard: boolean;
  /** null: the default port of the request's scheme, 80 or 443. */
  readonly port: number | null;
}

export interface OutboundHostError {
  /** What is wrong and what is allowed, to be read after the entry. */
  readonly error: string;
}

export const OUTBOUND_HOST_WORDS =
  'an entry is [http://|https://]host[:port], e.g. https://api.example.com:443, *.example.org or http://10.0.0.5:8080';

const NAME = /^[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*$/;
/** A last label of digits would be read as an IPv4 address by URL parsers (WHATWG URL, "ends in a number"). */
const ENDS_IN_NUMBER = /(^|\.)(\d+|0x[0-9a-f]*)$/;

/** Reads one entry, or says what is wrong with it. Never throws. */
export function parseOutboundHost(text: string): OutboundHost | OutboundHostError {
  const fail = (what: string): OutboundHostError => ({ error: `${what}; ${OUTBOUND_HOST_WORDS}` });
  if (text.length > 512) return fail('is longer than 512 characters');
  const schemeMatch = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text);
  const scheme = schemeMatch?.[1]?.toLowerCase() ?? null;
  if (scheme !== null && scheme !== 'http' && scheme !== 'https') {
    return fail(`has the scheme "${scheme}", and only http and https are allowed`);
  }
  const authority = schemeMatch?.[2] ?? text;
  if (/[/?#\\]/.test(authority)) return fail('has a path or query, and only whole hosts can be allowed');
  if (authority.includes('@')) return fail('has a user name');

  const parts = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority);
  if (parts === null) return fail('is no host (write an IPv6 address in brackets)');
  const [, rawHost = '', rawPort] = parts;
  let port: number | null = null;
  if (rawPort !== undefined) {
    port = /^\d{1,5}$/.test(rawPort) ? Number(rawPort) : 0;
    if (port < 1 || port > 65_535) return fail(`has the port "${rawPort}", and ports are 1 to 65535`);
  }

  const lower = rawHost.toLowerCase();
  if (lower.startsWith('[')) {
    const address = lower.slice(1, -1);
    if (isIP(address) !== 6 || address.includes('%'))
      return fail(`has "${address}", which is no IPv6 address`);
    // The shortest form, which is what addresses are compared in.
    return { scheme, host: new URL(`http://[${address}]`).hostname.slice(1, -1), wildcard: false, port };
  }
  if (isIP(lower) === 4) return { scheme, host: lower, wildcard: false, port };
  const wildcard = lower.startsWith('*.');
  const host = wildcard ? lower.slice(2) : lower;
  if (host === '' || host === '*') return fail('names no host');
  if (host.includes('*')) return fail('has a * that is not the whole first part of the name');
  if (host.length > 253 || !NAME.test(host)) return fail(`has "${host}", which is no host name`);
  if (ENDS_IN_NUMBER.test(host)) return fail(`has "${host}", which is no IPv4 address in dotted form`);
  return { scheme, host, wildcard, port };
}

/**
 * Whether an entry allows a request. `host` as a URL's hostname gives it (lower case, IPv6 without brackets);
 * whether the address behind a name may be reached is another question, see docs/security.md.
 */
export function outboundHostAllows(
  entry: OutboundHost,
  request: { readonly scheme: 'http' | 'https'; readonly host: string; readonly port: number },
): boolean {
  if (entry.scheme !== null && entry.scheme !== request.scheme) return false;
  if (request.port !== (entry.port ?? (request.scheme === 'https' ? 443 : 80))) return false;
  const host = request.host.toLowerCase().replace(/\.$/, '');
  if (!entry.wildcard) return host === entry.host;
  return isIP(host) === 0 && host.endsWith(`.${entry.host}`);
}
