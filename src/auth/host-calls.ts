/**
 * Who may call Wasm hosts: routers, and controllers that ask what a host serves. They carry a pass, the HMAC of the
 * minute by a key of the hosts' namespace, which its pods hold; the installation's secret never goes there.
 *
 * A pass is made once a minute and known again without any cryptography, since each call of a Wasm function would
 * pay for a signature of its own, twice. It says who calls, not what: whoever overhears one could call any function of
 * the namespace's hosts for as long as it is good. While the secret is exchanged there are two in the field, since each
 * host knows the keys that there were when it started.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { FissiumError } from '../errors.ts';
import { decodeKey, deriveServiceKey } from './internal-auth.ts';
import { acceptedSecrets, type AuthSecrets } from './request-signer.ts';

/** Hosts keep all fields of this prefix from guests. */
export const HOST_PASS_HEADER = 'x-fission-auth-pass';

const MINUTE_MS = 60_000;
/** Before and after the host's own: clocks may be a minute apart. */
const MINUTES = 1;
const PASS = /^(\d{1,10})\.([0-9a-f]{64})$/;
/** Of two secrets. */
const MAX_PASSES = 2;
/** Routers send one field a minute, two kinds of them while the secret is exchanged; the rest is room. */
const MAX_KNOWN = 32;

/** The headers that a call of a host is sent with now. */
export type HostCallSigner = () => Readonly<Record<string, string>>;

/** Signers of requests to the hosts of each namespace; undefined where nothing is signed. */
export function hostCallSigners(
  secrets: AuthSecrets,
  now: () => number = Date.now,
): (namespace: string) => HostCallSigner | undefined {
  const accepted = acceptedSecrets(secrets);
  const signers = new Map<string, HostCallSigner>();
  return (namespace) => {
    if (accepted.length === 0) return undefined;
    let signer = signers.get(namespace);
    if (signer === undefined) {
      signer = signerOf(
        accepted.map((secret) => deriveServiceKey(secret, 'wasm-host', namespace)),
        now,
      );
      signers.set(namespace, signer);
    }
    return signer;
  };
}

function signerOf(keys: readonly Uint8Array[], now: () => number): HostCallSigner {
  let minute = -1;
  let headers: Readonly<Record<string, string>> = {};
  return () => {
    const current = Math.floor(now() / MINUTE_MS);
    if (current !== minute) {
      minute = current;
      headers = { [HOST_PASS_HEADER]: keys.map((key) => `${minute}.${macOf(key, minute)}`).join(',') };
    }
    return headers;
  };
}

function macOf(key: Uint8Array, minute: number): string {
  return createHmac('sha256', key).update(`pass\n${minute}`).digest('hex');
}

/** The keys whose passes a host takes, from its environment: the present one and the one before it. */
export function hostKeys(key: string | undefined, old: string | undefined): readonly Uint8Array[] {
  const current = decodeKey(key);
  // One alone that is on its way out must not be all that is asked for.
  if (current === null) return [];
  const previous = decodeKey(old);
  return previous === null ? [current] : [current, previous];
}

/** What is looked at of a request. */
export interface HostCall {
  header(name: string): string | undefined;
}

/**
 * Whether a field holds nothing but passes. Both need not be right: of two secrets a host may know one. But whoever has
 * one that is right must not have whatever else they send with it kept.
 */
function isAllPasses(field: string): boolean {
  const parts = field.split(',', MAX_PASSES + 1);
  return parts.length <= MAX_PASSES && parts.every((part) => PASS.test(part));
}

/** Checks passes; see {@link hostCallCheck}. */
export class HostCallCheck {
  readonly #keys: readonly Uint8Array[];
  readonly #now: () => number;
  /** Fields of passes alone of which one was right, with the minutes of their passes; {@link MAX_KNOWN} at most. */
  readonly #known = new Map<string, number>();

  constructor(keys: readonly Uint8Array[], now: () => number) {
    this.#keys = keys;
    this.#now = now;
  }

  /** How many fields are known without cryptography: {@link MAX_KNOWN} at most. */
  get knownCount(): number {
    return this.#known.size;
  }

  /** Why the call is not let in; null where it is. */
  refusal(field: string | undefined): string | null {
    if (field === undefined) return `it has no ${HOST_PASS_HEADER}`;
    const current = Math.floor(this.#now() / MINUTE_MS);
    const known = this.#known.get(field);
    const minute = known ?? this.#minuteOf(field);
    if (minute === null) return `its ${HOST_PASS_HEADER} is of another secret, or of another namespace`;
    const ahead = minute - current;
    if (Math.abs(ahead) > MINUTES)
      return `its ${HOST_PASS_HEADER} is of a time that is ${Math.abs(ahead)} minutes ${ahead > 0 ? 'ahead' : 'old'}: the clocks of both sides may be a minute apart`;
    if (known === undefined && isAllPasses(field)) this.#remember(field, minute, current);
    return null;
  }

  /** The minute of the first pass that one of the keys has made; null where none has. */
  #minuteOf(field: string): number | null {
    for (const pass of field.split(',', MAX_PASSES)) {
      const [, text = '', given = ''] = PASS.exec(pass) ?? [];
      if (text === '') continue;
      const minute = Number(text);
      for (const key of this.#keys)
        if (timingSafeEqual(Buffer.from(macOf(key, minute)), Buffer.from(given))) return minute;
    }
    return null;
  }

  #remember(field: string, minute: number, current: number): void {
    for (const [old, of] of this.#known) if (Math.abs(of - current) > MINUTES) this.#known.delete(old);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(field, minute);
  }
}

/**
 * Throws for whoever has no pass; undefined where everybody is let in.
 * @throws FissiumError INTERNAL, with the reason
 */
export function hostCallCheck(
  keys: readonly Uint8Array[],
  now: () => number = Date.now,
): ((call: HostCall) => void) | undefined {
  if (keys.length === 0) return undefined;
  const check = new HostCallCheck(keys, now);
  return (call) => {
    const why = check.refusal(call.header(HOST_PASS_HEADER));
    if (why === null) return;
    // The router passes the answer on: to its client a 401 would speak of credentials that nobody asked for.
    throw new FissiumError(
      'INTERNAL',
      `A call is not let in, because this Wasm host takes those of routers alone (FISSIUM_HOST_KEY is set): ${why}.`,
    );
  };
}
