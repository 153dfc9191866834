/**
 * The Service proxy: the platform's own listeners, reached with the API's address and credentials, as on a
 * real cluster. Bodies stream both ways.
 */
import { Agent, request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { pipeline } from 'node:stream';
import type { Logger } from 'pino';
import { ApiError, notFound } from '../status.ts';
import { sendError, type Exchange } from './respond.ts';
import { pathSegments } from './target.ts';

/** Services and where they listen, e.g. `{ router: 'http://127.0.0.1:8888' }`. */
export type Upstreams = Readonly<Record<string, string>>;

export interface ProxyTarget {
  readonly namespace: string;
  /** `[scheme:]name[:port]` as in the path. */
  readonly service: string;
  /** With its leading slash, still percent-encoded. */
  readonly path: string;
}

const PROXY_PATH = /^\/api\/v1\/namespaces\/([^/]+)\/services\/([^/]+)\/proxy(\/.*)?$/;

/** What a path of the Service proxy asks for; undefined for other paths. */
export function parseProxyPath(path: string): ProxyTarget | undefined {
  const [, namespace, service, rest] = PROXY_PATH.exec(path) ?? [];
  if (namespace === undefined || service === undefined) return undefined;
  const [decoded = ''] = pathSegments(service);
  return { namespace, service: decoded, path: rest ?? '/' };
}

/** Of one hop only (RFC 9110 section 7.6.1), and the credentials of this API. */
const DROPPED_REQUEST = new Set([
  'authorization',
  'connection',
  // Answered here already.
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const DROPPED_RESPONSE = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const SERVICE = { group: '', plural: 'services', kind: 'Service' };

export class ServiceProxy {
  readonly #namespace: string;
  readonly #logger: Logger;
  readonly #agent = new Agent({ keepAlive: true });
  #upstreams: Upstreams;

  constructor(namespace: string, upstreams: Upstreams, logger: Logger) {
    this.#namespace = namespace;
    this.#upstreams = upstreams;
    this.#logger = logger;
  }

  get upstreams(): Upstreams {
    return this.#upstreams;
  }

  setUpstreams(upstreams: Upstreams): void {
    this.#upstreams = upstreams;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Answers as the service does; 404 for a service that there is none of, 503 where it cannot be reached. */
  handle(exchange: Exchange, target: ProxyTarget, search: string): void {
    const name = serviceName(target.service);
    const upstream = Object.hasOwn(this.#upstreams, name) ? this.#upstreams[name] : undefined;
    if (target.namespace !== this.#namespace || upstream === undefined) throw notFound(SERVICE, name);
    const { request, response } = exchange;
    const outgoing = httpRequest(new URL(upstream), {
      agent: this.#agent,
      method: exchange.method,
      path: target.path + search,
      headers: requestHeaders(request.headers, request.socket.remoteAddress ?? ''),
    });
    outgoing.on('response', (incoming) => {
      response.writeHead(
        incoming.statusCode ?? 502,
        incoming.statusMessage,
        responseHeaders(incoming.headers),
      );
      // Whichever side ends badly, the other is cut: never a clean end of a broken answer.
      pipeline(incoming, response, () => {});
    });
    outgoing.on('error', (error) => {
      // An answer that has begun ends as its own stream does, below; this may be only the rest of the request.
      if (response.headersSent || response.destroyed) return;
      const why = `error trying to reach service ${name}: ${error.message}`;
      sendError(exchange, new ApiError(503, 'ServiceUnavailable', why), this.#logger);
    });
    response.on('close', () => {
      if (!response.writableFinished) outgoing.destroy();
    });
    request.on('error', () => outgoing.destroy());
    request.pipe(outgoing);
    response.on('finish', () => {
      // A service may answer without reading all; the rest is not the next request.
      request.unpipe(outgoing);
      request.resume();
    });
  }
}

function serviceName(service: string): string {
  const parts = service.split(':');
  return (parts.length === 3 ? parts[1] : parts[0]) ?? '';
}

function requestHeaders(headers: IncomingHttpHeaders, client: string): OutgoingHttpHeaders {
  const forwarded = [headers['x-forwarded-for'], client].filter(Boolean).join(', ');
  return {
    ...kept(headers, DROPPED_REQUEST),
    // Without a length the body is of unknown size; a GET has none.
    ...(headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' }),
    'x-forwarded-for': forwarded,
    ...(headers.host === undefined ? {} : { 'x-forwarded-host': headers.host }),
    'x-forwarded-proto': 'https',
  };
}

function responseHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return kept(headers, DROPPED_RESPONSE);
}

function kept(headers: IncomingHttpHeaders, dropped: ReadonlySet<string>): OutgoingHttpHeaders {
  // What Connection names is of one hop too.
  const named = new Set(headers.connection?.split(',').map((name) => name.trim().toLowerCase()));
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !dropped.has(name) && !named.has(name)),
  );
}
