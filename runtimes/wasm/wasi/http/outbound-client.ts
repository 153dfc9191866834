/** undici, held to an egress policy: what it connects to is the address that was checked, by nobody else. */
import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { mayConnect, type EgressPolicy, type Reach } from '../egress.ts';
import { OutboundFailure } from './error-codes.ts';
import { parseAuthority } from './message-parts.ts';
import { sendWithTrailers, type TrailerRequest } from './trailer-request.ts';

/** A connection attempt that nobody limits otherwise ends after this. */
const CONNECT_TIMEOUT_MS = 30_000;
/** Connections to one origin; more requests wait for one. */
const CONNECTIONS_PER_ORIGIN = 256;

export class OutboundClient {
  readonly #agent: Agent;
  readonly #connect: buildConnector.connector;

  constructor(policy: EgressPolicy) {
    const connectors: Record<Reach, buildConnector.connector> = {
      public: connector('public'),
      named: connector('named'),
      address: connector('address'),
    };
    this.#connect = (options, callback) => {
      const reach = connectionReach(policy, options);
      if (reach instanceof Error) callback(reach, null);
      else connectors[reach](options, callback);
    };
    this.#agent = new Agent({
      // Environment proxies belong to EnvHttpProxyAgent, which this is not; redirects to an interceptor.
      connections: CONNECTIONS_PER_ORIGIN,
      pipelining: 1,
      // The guest's own timeouts apply, see Exchange.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: this.#connect,
    });
  }

  /** Failures go to the handler. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#agent.dispatch(options, handler);
  }

  /** For a request whose body is followed by trailers. Ends with its handler's own abort, not with `close`. */
  dispatchWithTrailers(options: TrailerRequest, handler: Dispatcher.DispatchHandler): void {
    sendWithTrailers(options, this.#connect, handler);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** Asked again for each connection, so that no way through undici leads past the policy. */
function connectionReach(policy: EgressPolicy, options: buildConnector.Options): Reach | OutboundFailure {
  const scheme = options.protocol === 'https:' ? 'https' : 'http';
  const host = options.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = options.port ? Number(options.port) : scheme === 'https' ? 443 : 80;
  const reach = policy.reach({ scheme, host: parseAuthority(options.hostname)?.host ?? host, port });
  if (reach === null) {
    return new OutboundFailure({ tag: 'HTTP-request-denied' }, `${host}:${port} is not allowed`);
  }
  if (isIP(host) !== 0 && !mayConnect(host, host, reach)) return prohibited(host, host);
  return reach;
}

function connector(reach: Reach): buildConnector.connector {
  return buildConnector({ allowH2: false, timeout: CONNECT_TIMEOUT_MS, lookup: checkedLookup(reach) });
}

/** Resolves a name once, and gives only the addresses that may be connected to. */
function checkedLookup(reach: Reach): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) {
        callback(error, '');
        return;
      }
      const allowed = addresses.filter(({ address }) => mayConnect(address, hostname, reach));
      const [first] = allowed;
      if (!first) callback(prohibited(hostname, addressList(addresses)), '');
      else if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function addressList(addresses: readonly LookupAddress[]): string {
  return addresses.map(({ address }) => address).join(', ');
}

function prohibited(host: string, addresses: string): OutboundFailure {
  return new OutboundFailure(
    { tag: 'destination-IP-prohibited' },
    `${host} leads to ${addresses}, which is not an address of the public internet; ` +
      'name the address itself in spec.wasm.allowedOutboundHosts to allow it',
  );
}
