/** The internal listener: health, metrics, logs, archives, and functions by name. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import findMyWay, { type HTTPMethod } from 'find-my-way';
import type { Logger } from 'pino';
import type { SignatureGate } from '../auth/signature-gate.ts';
import { FissiumError } from '../errors.ts';
import type { LogStore, PlatformMetrics } from '../observe/index.ts';
import { answerEmpty, answerError, answerVersion } from './answers.ts';
import { Call } from './call.ts';
import type { CallServices } from './call-plan.ts';
import { FUNCTION_PREFIX, namedFunctions } from './function-path.ts';
import { NodeExchange, type Exchange } from './exchange.ts';
import { HttpListener } from './listener.ts';
import { answerLogs } from './logs-handler.ts';
import { HeldBodySource } from './request-body.ts';
import { parseTarget, type RequestTarget } from './request-path.ts';

/** Somebody else's handler; it answers everything below its path. */
export type Mount = (req: IncomingMessage, res: ServerResponse) => void | Promise<void>;

export interface InternalListenerOptions {
  /** Of the router, so that calls count against the same limits. */
  readonly services: CallServices;
  readonly logger: Logger;
  readonly metrics: PlatformMetrics;
  readonly logs: LogStore;
  /** For `/_version`. */
  readonly version: string;
  /** For `/readyz`: whether all that was deployed is served. */
  readonly ready: () => boolean;
  /** By path, e.g. `/v1/archive`; each gets that path and all below it. */
  readonly mounts?: Readonly<Record<string, Mount>>;
  /** Asks for signatures of the channel `router-internal`; null: everybody is let in. @default null */
  readonly gate?: SignatureGate | null;
  /** Lets requests in without looking at their bodies, at once; throws for the others. */
  readonly check?: ((request: Exchange) => void) | undefined;
  /** Paths of mounts that check signatures of another channel themselves. */
  readonly ownGates?: readonly string[];
}

export interface InternalListener {
  /** Resolves with the port taken; rejects where the address cannot be had. */
  listen(host: string, port: number): Promise<number>;
  /** See {@link HttpListener.close}. */
  close(options: { graceMs: number }): Promise<void>;
}

interface Visit {
  readonly request: Exchange;
  readonly parameters: Readonly<Record<string, string | undefined>>;
  readonly target: RequestTarget;
}

type Handler = (visit: Visit) => void | Promise<void>;

/** What probes, scrapers and Fission's CLI ask for without a signature. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics', '/_version']);

const READING: HTTPMethod[] = ['GET', 'HEAD'];
const ALL_METHODS: HTTPMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export function createInternalListener(options: InternalListenerOptions): InternalListener {
  const { metrics, logs, services, gate = null, ownGates = [] } = options;
  const isOpen = (path: string): boolean =>
    OPEN_PATHS.has(path) || ownGates.some((own) => path === own || path.startsWith(`${own}/`));
  const routes = findMyWay();
  const add = (methods: HTTPMethod[], path: string, handler: Handler): void => {
    routes.on(methods, path, () => undefined, handler);
  };
  add(READING, '/healthz', ({ request: { res } }) => answerEmpty(res, 200));
  add(READING, '/readyz', ({ request: { res } }) => answerEmpty(res, options.ready() ? 200 : 503));
  // Fission's CLI asks one address for this and for functions by name.
  add(READING, '/_version', ({ request: { req, res } }) => answerVersion(req, res, options.version));
  add(READING, '/metrics', async ({ request: { req, res } }) => {
    const { contentType, body } = await metrics.page();
    res.writeHead(200, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) });
    res.end(req.method === 'HEAD' ? undefined : body);
  });
  add(READING, '/v1/logs/:namespace/:function', async ({ request: { req, res }, parameters, target }) => {
    const name = { namespace: parameters['namespace'] ?? '', function: parameters['function'] ?? '' };
    await answerLogs(logs, name, new URLSearchParams(target.query), req, res);
  });
  for (const [path, mount] of Object.entries(options.mounts ?? {})) {
    const handler: Handler = ({ request: { req, res } }) => {
      if (req.headers.expect !== undefined) res.writeContinue();
      return mount(req, res);
    };
    add(ALL_METHODS, path, handler);
    add(ALL_METHODS, `${path}/*`, handler);
  }

  const handle = async (request: Exchange): Promise<void> => {
    const { req, res, requestId } = request;
    const target = parseTarget(request.target);
    if (target === null)
      throw new FissiumError('BAD_REQUEST', 'The request target is no path that can be served.');
    if (!isOpen(target.path)) options.check?.(request);
    if (gate !== null && !isOpen(target.path)) await hold(gate, request);
    if (target.path.startsWith(FUNCTION_PREFIX) && callByName(services, request, target)) return;
    const found = routes.find((req.method ?? 'GET') as HTTPMethod, target.path);
    if (found === null) {
      const error = new FissiumError(
        'NO_ROUTE',
        `The internal listener has nothing at ${req.method} ${target.path}; it serves /healthz, /readyz, /metrics, /_version, ` +
          `/v1/logs/NAMESPACE/FUNCTION and ${FUNCTION_PREFIX}[NAMESPACE/]NAME[/SUBPATH].`,
      );
      answerError(req, res, error, requestId);
      return;
    }
    await (found.store as Handler)({ request, parameters: found.params, target });
  };

  const listener = new HttpListener({
    handle,
    logger: options.logger.child({ component: 'internal' }),
    // Its mounts read bodies; its requests are few.
    quick: false,
  });
  return {
    listen: (host, port) => listener.listen(host, port),
    close: (closing) => listener.close(closing),
  };
}

/** Lets a request in that is signed, with its body as it was signed. */
async function hold(gate: SignatureGate, request: Exchange): Promise<void> {
  const { req, res } = request;
  const { chunks, release } = await gate.admit(req, res);
  if (res.closed) release();
  else res.once('close', release);
  if (request instanceof NodeExchange && request.upgrade === undefined)
    request.source = new HeldBodySource(chunks);
}

/** @returns false where the path names no function at all */
function callByName(services: CallServices, request: Exchange, target: RequestTarget): boolean {
  const candidates = namedFunctions(target.path);
  const [best] = candidates;
  const found =
    candidates.find(({ namespace, name }) => services.functions.get(namespace, name) !== undefined) ?? best;
  if (found === undefined) return false;
  new Call(services, request, {
    namespace: found.namespace,
    name: found.name,
    pathWithQuery: found.functionPath + target.query,
    fullUrl: target.path + target.query,
    authority: target.authority ?? request.header('host') ?? '',
    parameters: [],
    pattern: '',
    responseFields: [],
    dropsResponseField: () => false,
  }).start();
  return true;
}
