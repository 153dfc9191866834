/** Where a function may connect to: `spec.wasm.allowedOutboundHosts`, and what stands behind the names in it. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
// Not the folder's index: that one brings the schemas, which a thread that runs guests has no use for.
import { outboundHostAllows, parseOutboundHost, type OutboundHost } from '../../../src/api/outbound-host.ts';
import { FissiumError } from '../../../src/errors.ts';
import type { OutboundClient } from './http/outbound-client.ts';

export interface Destination {
  readonly scheme: 'http' | 'https';
  /** As `parseAuthority` gives it. */
  readonly host: string;
  readonly port: number;
}

/**
 * How far an allowed destination may lead.
 * - `public`: matched by a wildcard alone; addresses of the public internet.
 * - `named`: the host's own name is in the list; also private networks (10.0.0.0/8 and its like, 100.64.0.0/10,
 *   fc00::/7), and loopback for localhost. A name can be pointed anywhere by whoever owns it, so it never
 *   leads to other loopback or link-local addresses, where cloud metadata lives.
 * - `address`: the address itself is in the list.
 */
export type Reach = 'public' | 'named' | 'address';

const PRIVATE_RANGES = new Set(['private', 'carrierGradeNat', 'uniqueLocal']);

export class EgressPolicy {
  readonly #entries: readonly OutboundHost[];

  /** @throws FissiumError BAD_OPTION for an entry that is none */
  constructor(allowedOutboundHosts: readonly string[]) {
    this.#entries = allowedOutboundHosts.map((text) => {
      const entry = parseOutboundHost(text);
      if ('error' in entry) {
        throw new FissiumError('BAD_OPTION', `spec.wasm.allowedOutboundHosts: "${text}" ${entry.error}`);
      }
      return entry;
    });
  }

  /** Null: denied. */
  reach(destination: Destination): Reach | null {
    const allowing = this.#entries.filter((entry) => outboundHostAllows(entry, destination));
    if (allowing.length === 0) return null;
    if (isIP(destination.host) !== 0) return 'address';
    return allowing.some((entry) => !entry.wildcard) ? 'named' : 'public';
  }
}

/** Whether a destination of this reach may be connected to at this address. */
export function mayConnect(address: string, host: string, reach: Reach): boolean {
  if (reach === 'address') return address === host;
  const range = addressRange(address);
  if (range === 'unicast') return true;
  if (reach === 'public') return false;
  if (range === 'loopback') return host === 'localhost' || host.endsWith('.localhost');
  return PRIVATE_RANGES.has(range);
}

/** IPv4 addresses inside IPv6 ones (mapped, or behind a NAT64) count as what they lead to. */
function addressRange(address: string): string {
  if (!ipaddr.isValid(address)) return 'invalid';
  const parsed = ipaddr.process(address);
  const range = parsed.range();
  if (range === 'rfc6052' && parsed.kind() === 'ipv6') {
    return ipaddr.fromByteArray(parsed.toByteArray().slice(12)).range();
  }
  return range;
}

/**
 * One function's way out: its policy and its connections, which it shares with no other function. Make one for
 * each function in a thread and close it with the function.
 */
export class Egress {
  readonly policy: EgressPolicy;
  #client: Promise<OutboundClient> | null = null;

  constructor(allowedOutboundHosts: readonly string[]) {
    this.policy = new EgressPolicy(allowedOutboundHosts);
  }

  /** The HTTP client, which is heavy and loaded only for a guest that uses it. */
  async client(): Promise<OutboundClient> {
    this.#client ??= import('./http/outbound-client.ts').then(
      ({ OutboundClient }) => new OutboundClient(this.policy),
    );
    return this.#client;
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await (await client)?.close();
  }
}
