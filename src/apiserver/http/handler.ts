/** From a request to its answer: who asks, what the path means, and which part answers. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import {
  apiDocument,
  apisDocument,
  apiVersionOf,
  buildOpenApi,
  groupDocument,
  negotiateDiscovery,
  ProtobufError,
  resourcesDocument,
  versionDocument,
  type OpenApiDocuments,
} from '../formats/index.ts';
import { findReview, type Review } from '../kinds/reviews.ts';
import { isRecord } from '../object.ts';
import { SERVED_KINDS } from '../resources.ts';
import { ApiError, badRequest, methodNotAllowed, notFound, unknownPath } from '../status.ts';
import type { Revision } from '../store/revision.ts';
import { upstreamOfPort } from '../views/platform-objects.ts';
import type { PlatformFacts } from '../views/view.ts';
import { readObject } from './body.ts';
import type { ObjectsHandler } from './objects-handler.ts';
import { answerPodLog } from './pod-log.ts';
import { checkPortForward, servePortForward } from './port-forward.ts';
import { parseProxyPath, type ServiceProxy } from './proxy.ts';
import { sendError, sendJson, sendText, type Exchange } from './respond.ts';
import { parseTarget, pathSegments, type Target } from './target.ts';

export interface ApiHandlerParts {
  readonly token: string;
  /** Fissium's version, for /version. */
  readonly release: string;
  readonly objects: ObjectsHandler;
  readonly proxy: ServiceProxy;
  readonly facts: () => PlatformFacts;
  readonly logger: Logger;
}

type Answer = (exchange: Exchange) => void;

export class ApiHandler {
  readonly #parts: ApiHandlerParts;
  readonly #tokenDigest: Buffer;
  readonly #open: ReadonlyMap<string, Answer>;
  readonly #documents: ReadonlyMap<string, Answer>;
  readonly #forwards = new Set<() => void>();
  #openApi: OpenApiDocuments | undefined;

  constructor(parts: ApiHandlerParts) {
    this.#parts = parts;
    this.#tokenDigest = digest(parts.token);
    const healthy: Answer = (exchange) => sendText(exchange, 200, 'text/plain; charset=utf-8', 'ok');
    // Without credentials, as on a cluster.
    this.#open = new Map<string, Answer>([
      ['/healthz', healthy],
      ['/livez', healthy],
      ['/readyz', healthy],
      ['/version', (exchange) => sendJson(exchange, 200, versionDocument(parts.release))],
    ]);
    this.#documents = new Map<string, Answer>([
      ['/api', (exchange) => sendDiscovery(exchange, apiDocument)],
      ['/apis', (exchange) => sendDiscovery(exchange, apisDocument)],
      [
        '/openapi/v3',
        (exchange) => sendText(exchange, 200, 'application/json', this.#openApiDocuments().index),
      ],
    ]);
  }

  /** Never rejects: every failure is answered. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = exchangeOf(request, response);
    try {
      await this.#dispatch(exchange);
    } catch (error) {
      sendError(exchange, error, this.#parts.logger);
    }
  }

  /** A request to go on in another protocol. Never throws: every failure is answered. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Nothing else is listening now; the one who cuts it is told by nobody.
    socket.on('error', () => socket.destroy());
    const response = new ServerResponse(request);
    const exchange = exchangeOf(request, response);
    try {
      this.#authenticate(request);
      const target = parseTarget(pathSegments(exchange.path));
      if (target.subresource !== 'portforward') throw badRequest('this path upgrades to no other protocol');
      checkPortForward(request);
      const { name } = this.#podOf(target).object.metadata;
      const close = servePortForward(socket, head, {
        pod: name,
        upstreamOf: (port) =>
          target.namespace === this.#parts.facts().namespace
            ? upstreamOfPort(this.#parts.facts(), name, port)
            : undefined,
        logger: this.#parts.logger,
      });
      this.#forwards.add(close);
      socket.once('close', () => this.#forwards.delete(close));
    } catch (error) {
      // What upgrades here is always a TCP connection.
      response.assignSocket(socket as Socket);
      response.shouldKeepAlive = false;
      response.once('finish', () => socket.end());
      sendError(exchange, error, this.#parts.logger);
    }
  }

  /** Ends what was upgraded: no server waits for it. */
  close(): void {
    for (const close of this.#forwards) close();
  }

  #podOf(target: Target): Revision {
    const { kind, namespace = '', name = '' } = target;
    const pod = this.#parts.objects.read(kind, { resource: kind.id, namespace, name });
    if (pod === undefined) throw notFound(kind, name);
    return pod;
  }

  async #dispatch(exchange: Exchange): Promise<void> {
    const { path } = exchange;
    const [rawPath, search] = splitUrl(exchange.request.url ?? '/');
    const open = this.#open.get(path);
    if (open !== undefined) return readOnly(exchange, open);
    this.#authenticate(exchange.request);
    const proxied = parseProxyPath(rawPath);
    if (proxied !== undefined) return this.#parts.proxy.handle(exchange, proxied, search);
    const document = this.#documents.get(path);
    if (document !== undefined) return readOnly(exchange, document);
    const segments = pathSegments(path);
    if (segments[0] === 'openapi') return readOnly(exchange, () => this.#openApiDocument(exchange, segments));
    const listing = discoveryDocument(segments);
    if (listing !== undefined) return readOnly(exchange, () => sendJson(exchange, 200, listing));
    if (segments[0] === 'apis' && segments.length === 4) {
      const [, group = '', version = '', plural = ''] = segments;
      const review = findReview(group, version, plural);
      if (review !== undefined) return answerReview(exchange, review);
    }
    const target = parseTarget(segments);
    if (target.subresource === 'log') {
      if (exchange.method !== 'GET' && exchange.method !== 'HEAD') throw methodNotAllowed(exchange.method);
      return answerPodLog(exchange, this.#podOf(target).object, this.#parts.facts());
    }
    if (target.subresource === 'portforward') throw badRequest('Upgrade request required');
    await this.#parts.objects.handle(exchange, target);
  }

  #authenticate(request: IncomingMessage): void {
    const [scheme = '', token = ''] = (request.headers.authorization ?? '').split(' ');
    // Digests are of equal length, whatever was sent.
    const known = scheme.toLowerCase() === 'bearer' && timingSafeEqual(digest(token), this.#tokenDigest);
    if (!known) throw new ApiError(401, 'Unauthorized', 'Unauthorized');
  }

  #openApiDocuments(): OpenApiDocuments {
    return (this.#openApi ??= buildOpenApi(SERVED_KINDS));
  }

  #openApiDocument(exchange: Exchange, segments: readonly string[]): void {
    const [, v3, ...rest] = segments;
    const document = v3 === 'v3' ? this.#openApiDocuments().documents.get(rest.join('/')) : undefined;
    if (document === undefined) throw unknownPath();
    sendText(exchange, 200, 'application/json', document);
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function exchangeOf(request: IncomingMessage, response: ServerResponse): Exchange {
  const [path, search] = splitUrl(request.url ?? '/');
  return {
    request,
    response,
    method: request.method ?? 'GET',
    path: path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path,
    query: new URLSearchParams(search),
  };
}

function splitUrl(url: string): [path: string, search: string] {
  const question = url.indexOf('?');
  return question < 0 ? [url, ''] : [url.slice(0, question), url.slice(question)];
}

function readOnly(exchange: Exchange, answer: Answer): void {
  if (exchange.method !== 'GET' && exchange.method !== 'HEAD') throw methodNotAllowed(exchange.method);
  answer(exchange);
}

function sendDiscovery(exchange: Exchange, document: typeof apiDocument): void {
  const { contentType, body } = document(SERVED_KINDS, negotiateDiscovery(exchange.request.headers.accept));
  sendText(exchange, 200, contentType, JSON.stringify(body));
}

function discoveryDocument(segments: readonly string[]): object | undefined {
  const [root, group = '', version = ''] = segments;
  if (root === 'api' && segments.length === 2) return resourcesDocument(SERVED_KINDS, '', group);
  if (root === 'apis' && segments.length === 2) return groupDocument(SERVED_KINDS, group);
  if (root === 'apis' && segments.length === 3) return resourcesDocument(SERVED_KINDS, group, version);
  return undefined;
}

async function answerReview(exchange: Exchange, { kind, status }: Review): Promise<void> {
  if (exchange.method !== 'POST') throw methodNotAllowed(exchange.method);
  const body = await readReview(exchange);
  if (!isRecord(body)) throw badRequest(`the body must be a ${kind.kind}`);
  sendJson(exchange, 201, { ...body, apiVersion: apiVersionOf(kind), kind: kind.kind, status });
}

async function readReview(exchange: Exchange): Promise<unknown> {
  try {
    return await readObject(exchange.request);
  } catch (error) {
    // kubectl sends all of them as protobuf; of those without a decoder the answer depends on nothing in the body.
    if (error instanceof ProtobufError && error.status === 415) return { metadata: {}, spec: {} };
    throw error;
  }
}
