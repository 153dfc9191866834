/**
 * Fission's internal authentication (its `pkg/auth/hmac`): one secret of the installation, from which each channel
 * has a key of its own, and each tenant's namespace another one. A request carries the HMAC of its method, URI,
 * body and minute.
 */
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** The channels; the names are part of the keys' derivation. */
export type InternalService =
  | 'storagesvc'
  | 'fetcher'
  | 'builder'
  | 'executor'
  | 'router-internal'
  | 'workflow'
  | 'stateapi'
  // Not Fission's: calls that routers hand on to each other, and calls at Wasm hosts.
  | 'router-peers'
  | 'wasm-host';

export const AUTH_TIMESTAMP_HEADER = 'x-fission-auth-timestamp';
export const AUTH_SIGNATURE_HEADER = 'x-fission-auth-signature';
/** Names the tenant whose key signed; only for channels that serve many. */
export const AUTH_NAMESPACE_HEADER = 'x-fission-auth-namespace';

const KEY_VERSION = 'fission-internal-v1';
const KEY_BYTES = 32;
/** How far apart the clocks of both sides may be. */
const SKEW_S = 60;
/**
 * Stands for the digest of a body that is not covered by the signature, between routers, which hand bodies on as they
 * stream. No digest reads so, and the channel is its own.
 */
export const UNSIGNED_BODY = 'UNSIGNED-BODY';
/** sha256 of nothing, hex: the body of a GET. */
export const EMPTY_BODY_DIGEST = createHash('sha256').digest('hex');

/** A channel's key, or that of one tenant of it. HKDF-SHA256 without salt. */
export function deriveServiceKey(secret: string, service: InternalService, namespace?: string): Buffer {
  const info = `${KEY_VERSION}:${service}${namespace === undefined ? '' : `:${namespace}`}`;
  return Buffer.from(hkdfSync('sha256', secret, '', info, KEY_BYTES));
}

/** A derived key as a pod gets it in its environment: hex, else the bytes of the text; null for none. */
export function decodeKey(text: string | undefined): Buffer | null {
  if (text === undefined || text === '') return null;
  return /^(?:[0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text);
}

export interface SignedRequest {
  readonly method: string;
  /** Path and query, as they stand in the request line. */
  readonly uri: string;
  /** sha256 of the body, hex. @default that of no body */
  readonly bodyDigest?: string;
}

/** hex(HMAC-SHA256), over the time rounded down to its minute. */
export function signature(key: Uint8Array, request: SignedRequest, timestampS: number): string {
  const { method, uri, bodyDigest = EMPTY_BODY_DIGEST } = request;
  const minute = timestampS - (timestampS % 60);
  return createHmac('sha256', key).update(`${method}\n${uri}\n${bodyDigest}\n${minute}`).digest('hex');
}

/** The headers that a request is sent with. @param namespace where the key is that of a tenant */
export function signedHeaders(
  key: Uint8Array,
  request: SignedRequest,
  namespace?: string,
  nowMs = Date.now(),
): Record<string, string> {
  const timestampS = Math.floor(nowMs / 1000);
  return {
    [AUTH_TIMESTAMP_HEADER]: String(timestampS),
    [AUTH_SIGNATURE_HEADER]: signature(key, request, timestampS),
    ...(namespace === undefined ? {} : { [AUTH_NAMESPACE_HEADER]: namespace }),
  };
}

/** A key that a request may be signed with, and whom it stands for. */
interface Candidate {
  readonly key: Uint8Array;
  /** '' for the platform itself. */
  readonly namespace: string;
}

export interface RequestVerifierOptions {
  /** The keys that are good for every request: the one in use and, while it is exchanged, the one before. */
  readonly keys: readonly Uint8Array[];
  /** Keys of the tenant that a request names. @default none: the header is not looked at */
  readonly keysOf?: (namespace: string) => readonly Uint8Array[];
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}

/** A verifier that takes the installation's secret (and the one before it) for one channel, and tenants' keys of it. */
export function serviceVerifier(
  service: InternalService,
  secrets: readonly string[],
  { tenants = false, now }: { readonly tenants?: boolean; readonly now?: () => number } = {},
): RequestVerifier | null {
  const given = secrets.filter((secret) => secret !== '');
  if (given.length === 0) return null;
  return new RequestVerifier({
    keys: given.map((secret) => deriveServiceKey(secret, service)),
    ...(tenants
      ? {
          keysOf: (namespace: string) => given.map((secret) => deriveServiceKey(secret, service, namespace)),
        }
      : {}),
    ...(now === undefined ? {} : { now }),
  });
}

/** Checks who sent a request, in two steps, because the signature covers the body. */
export class RequestVerifier {
  readonly #options: RequestVerifierOptions;

  constructor(options: RequestVerifierOptions) {
    this.#options = options;
  }

  /** Why the headers alone refuse a request, for the one who sent it; null where they do not. */
  refusal(headers: IncomingHttpHeaders): string | null {
    const { now = Date.now } = this.#options;
    const timestamp = headers[AUTH_TIMESTAMP_HEADER];
    if (typeof timestamp !== 'string' || typeof headers[AUTH_SIGNATURE_HEADER] !== 'string')
      return `it has no ${AUTH_TIMESTAMP_HEADER} and ${AUTH_SIGNATURE_HEADER}`;
    if (!/^\d{1,12}$/.test(timestamp.trim())) return `its ${AUTH_TIMESTAMP_HEADER} is no time in seconds`;
    const aheadS = Number(timestamp) - Math.floor(now() / 1000);
    if (Math.abs(aheadS) <= SKEW_S) return null;
    const which = aheadS > 0 ? 'ahead' : 'old';
    return `it was signed at a time that is ${Math.abs(aheadS)} s ${which}, and the clocks of both sides may be ${SKEW_S} s apart`;
  }

  /** Looks at the headers alone; null where they cannot be right whatever the body is. */
  begin({
    method = 'GET',
    url = '/',
    headers,
  }: {
    readonly method?: string | undefined;
    readonly url?: string | undefined;
    readonly headers: IncomingHttpHeaders;
  }): PendingVerification | null {
    const { keys, keysOf } = this.#options;
    const given = headers[AUTH_SIGNATURE_HEADER];
    if (this.refusal(headers) !== null || typeof given !== 'string') return null;
    const timestampS = Number(headers[AUTH_TIMESTAMP_HEADER]);
    const namespace = headers[AUTH_NAMESPACE_HEADER];
    const candidates: Candidate[] = keys.map((key) => ({ key, namespace: '' }));
    if (keysOf !== undefined && typeof namespace === 'string' && namespace !== '') {
      candidates.push(...keysOf(namespace).map((key) => ({ key, namespace })));
    }
    return {
      finish: (bodyDigest = EMPTY_BODY_DIGEST) => {
        const request = { method, uri: url, bodyDigest };
        const found = candidates.find(({ key }) => isSame(signature(key, request, timestampS), given));
        return found === undefined ? null : { namespace: found.namespace };
      },
    };
  }
}

export interface PendingVerification {
  /**
   * Whose key signed the request with that body; null where none did.
   * @param bodyDigest sha256, hex @default that of no body
   */
  finish(bodyDigest?: string): { readonly namespace: string } | null;
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
