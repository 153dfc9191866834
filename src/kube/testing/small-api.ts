/**
 * A small real HTTP server that speaks as much of the Kubernetes API as the client layer and the reconcilers
 * use, with faults to order: compacted history, broken watches, refused requests. It keeps no rules of its own
 * (no validation, no garbage collection); the embedded API has its own tests.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';

import { KubeClient } from '../client.ts';
import type { KubeConnection } from '../kube-config.ts';
import type { KubeObject } from '../resources.ts';
import { staticCredentials } from '../credentials.ts';

type Stored = KubeObject & { spec?: unknown; status?: unknown };

interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: Stored;
  readonly version: number;
  readonly collection: string;
}

interface OpenWatch {
  readonly collection: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly response: ServerResponse;
}

interface Target {
  /** Group, version and plural. */
  readonly collection: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** One request that was answered, for tests that look at traffic. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

export class SmallApi {
  readonly requests: SeenRequest[] = [];
  /** TCP connections accepted so far. */
  connections = 0;
  /** Called before each request; an answer from it is sent instead. */
  intercept:
    | ((request: SeenRequest) => { status: number; body?: unknown; raw?: string } | undefined)
    | undefined;
  readonly #server: Server;
  readonly #objects = new Map<string, Stored>();
  readonly #history: Change[] = [];
  readonly #watches = new Set<OpenWatch>();
  /** Plurals whose events are held back, with those events. */
  readonly #held = new Map<string, Change[]>();
  /** By object, then by field manager, what was applied last. */
  readonly #applied = new Map<string, Map<string, Stored>>();
  #version = 1;
  #oldest = 0;
  #nextUid = 1;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : undefined);
      });
    });
  }

  static async start(): Promise<SmallApi> {
    const api = new SmallApi();
    api.#server.on('connection', () => {
      api.connections += 1;
    });
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get connection(): KubeConnection {
    const cluster = { name: 'small', server: this.url, skipTLSVerify: true };
    const credentials = staticCredentials(cluster, { name: 'tester', token: 'secret-token' });
    if (credentials === undefined) throw new Error('a token needs no library');
    return { server: this.url, source: 'test', context: 'test', namespace: undefined, credentials };
  }

  client(): KubeClient {
    return new KubeClient(this.connection);
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  /** How often a method was used on paths that contain a text. */
  count(method: string, text: string): number {
    return this.requests.filter((seen) => seen.method === method && seen.path.includes(text)).length;
  }

  /** Ends all watches, cleanly or by cutting their connections. */
  endWatches(how: 'cleanly' | 'cut'): void {
    for (const { response } of this.#watches) {
      if (how === 'cleanly') response.end();
      else response.destroy();
    }
    this.#watches.clear();
  }

  /** Writes raw text into all watches. */
  writeToWatches(text: string): void {
    for (const { response } of this.#watches) response.write(text);
  }

  /** Keeps the events of a kind from its watches until {@link releaseAll}. */
  holdBack(plural: string): void {
    this.#held.set(plural, []);
  }

  releaseAll(): void {
    const held = [...this.#held.values()].flat();
    this.#held.clear();
    for (const change of held) for (const watch of this.#watches) deliver(watch, change);
  }

  /** Sends all watches a bookmark with the current version. */
  bookmark(): void {
    this.writeToWatches(
      `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(this.#version) } } })}\n`,
    );
  }

  /** Forgets the history up to now: watches from before get 410. */
  compact(): void {
    this.#oldest = this.#version;
  }

  /** Raises the version without a change that a watch would see, as changes of other kinds do. */
  advance(): void {
    this.#version += 10;
  }

  async close(): Promise<void> {
    this.endWatches('cut');
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('utf8');
    const isJson = /json|apply-patch/.test(request.headers['content-type'] ?? '');
    const body: unknown = text !== '' && isJson ? JSON.parse(text) : text;
    const seen = { method: request.method ?? '', path: url.pathname, query: url.searchParams, body };
    this.requests.push(seen);
    const ordered = this.intercept?.(seen);
    if (ordered !== undefined) {
      response.writeHead(ordered.status).end(ordered.raw ?? JSON.stringify(ordered.body ?? {}));
      return;
    }
    if (request.headers.authorization !== 'Bearer secret-token') return fail(response, 401, 'Unauthorized');
    const target = parsePath(url.pathname);
    if (target === undefined) return fail(response, 404, 'NotFound');
    if (url.searchParams.get('watch') === 'true') return this.#watch(target, url.searchParams, response);
    this.#answer(seen, target, body as Stored, response);
  }

  #answer(seen: SeenRequest, target: Target, body: Stored, response: ServerResponse): void {
    const key = `${target.collection}|${target.namespace ?? ''}|${target.name ?? body.metadata?.name}`;
    const stored = this.#objects.get(key);
    if (seen.method === 'GET' && target.name === undefined) return this.#list(target, seen.query, response);
    if (seen.method === 'POST') {
      if (stored !== undefined) return fail(response, 409, 'AlreadyExists');
      const metadata = {
        ...body.metadata,
        uid: `uid-${this.#nextUid++}`,
        generation: 1,
        creationTimestamp: '2026-01-01T00:00:00Z',
      };
      return send(response, 201, this.#commit('ADDED', key, target, { ...body, metadata }));
    }
    const manager = seen.query.get('fieldManager') ?? '';
    const isApply = seen.method === 'PATCH' && seen.query.get('force') === 'true';
    if (isApply) return this.#apply(manager, key, target, stored, body, response);
    if (stored === undefined) return fail(response, 404, 'NotFound');
    if (target.subresource === 'scale') {
      const spec = { ...(stored.spec as object), replicas: (body.spec as { replicas: number }).replicas };
      return this.#update(key, target, stored, { ...stored, spec }, response, body);
    }
    switch (seen.method) {
      case 'GET':
        return send(response, 200, stored);
      case 'DELETE':
        this.#commit('DELETED', key, target, stored);
        return send(response, 200, { kind: 'Status', status: 'Success' });
      case 'PUT':
        return this.#update(key, target, stored, body, response);
      case 'PATCH':
        return this.#update(key, target, stored, merge(stored, body) as Stored, response, body);
      default:
        return fail(response, 405, 'MethodNotAllowed');
    }
  }

  /** Server-side apply, as far as it concerns fields of objects: lists are replaced whole. */
  #apply(
    manager: string,
    key: string,
    target: Target,
    stored: Stored | undefined,
    body: Stored,
    response: ServerResponse,
  ): void {
    const applied = (stored === undefined ? undefined : this.#applied.get(key)) ?? new Map<string, Stored>();
    const before = applied.get(manager);
    this.#applied.set(key, applied.set(manager, body));
    if (stored === undefined) {
      const metadata = { ...body.metadata, uid: `uid-${this.#nextUid++}`, generation: 1 };
      return send(response, 201, this.#commit('ADDED', key, target, { ...body, metadata }));
    }
    const others = [...applied].filter(([other]) => other !== manager).map(([, object]) => object);
    const kept = before === undefined ? stored : without(stored, before, [body, ...others]);
    const next = merge(kept, body) as Stored;
    const { resourceVersion } = stored.metadata;
    if (isDeepStrictEqual({ ...next, metadata: { ...next.metadata, resourceVersion } }, stored)) {
      return send(response, 200, stored);
    }
    this.#update(key, target, stored, next, response, body);
  }

  #update(
    key: string,
    target: Target,
    stored: Stored,
    wanted: Stored,
    response: ServerResponse,
    patch = wanted,
  ): void {
    const expected = patch.metadata?.resourceVersion;
    if (expected !== undefined && expected !== stored.metadata.resourceVersion)
      return fail(response, 409, 'Conflict');
    const isStatus = target.subresource === 'status';
    const next: Stored = isStatus
      ? { ...stored, status: wanted.status }
      : { ...wanted, status: stored.status };
    const isNewSpec = JSON.stringify(next.spec) !== JSON.stringify(stored.spec);
    const { uid, creationTimestamp, generation = 1 } = stored.metadata;
    next.metadata = {
      ...next.metadata,
      uid,
      creationTimestamp,
      generation: isNewSpec ? generation + 1 : generation,
    };
    send(response, 200, this.#commit('MODIFIED', key, target, next));
  }

  #commit(type: Change['type'], key: string, target: Target, object: Stored): Stored {
    this.#version += 1;
    const version = this.#version;
    const committed = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    if (type === 'DELETED') this.#objects.delete(key);
    else this.#objects.set(key, committed);
    const change: Change = { type, object: committed, version, collection: target.collection };
    this.#history.push(change);
    const held = this.#held.get(target.collection.slice(target.collection.indexOf('/') + 1));
    if (held !== undefined) held.push(change);
    else for (const watch of this.#watches) deliver(watch, change);
    return committed;
  }

  #list(target: Target, query: URLSearchParams, response: ServerResponse): void {
    const limit = Number(query.get('limit') ?? Number.POSITIVE_INFINITY);
    const start = Number(query.get('continue') ?? 0);
    const prefix = `${target.collection}|${target.namespace === undefined ? '' : `${target.namespace}|`}`;
    const only = nameSelected(query);
    const all = [...this.#objects].filter(
      ([key, { metadata }]) => key.startsWith(prefix) && (only ?? metadata.name) === metadata.name,
    );
    const items = all.slice(start, start + limit).map(([, object]) => object);
    const more = start + limit < all.length ? { continue: String(start + limit) } : {};
    send(response, 200, { metadata: { resourceVersion: String(this.#version), ...more }, items });
  }

  #watch(target: Target, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (from < this.#oldest) {
      const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
      response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
      return;
    }
    const { collection, namespace } = target;
    const watch: OpenWatch = { collection, namespace, name: nameSelected(query), response };
    for (const change of this.#history) if (change.version > from) deliver(watch, change);
    this.#watches.add(watch);
    response.once('close', () => this.#watches.delete(watch));
  }
}

function deliver(
  { collection, namespace, name, response }: OpenWatch,
  { type, object, collection: changed }: Change,
): void {
  if (name !== undefined && name !== object.metadata.name) return;
  if (changed !== collection || (namespace !== undefined && namespace !== object.metadata.namespace)) return;
  response.write(`${JSON.stringify({ type, object })}\n`);
}

/** The one field selector that it knows. */
function nameSelected(query: URLSearchParams): string | undefined {
  return /^metadata\.name=(.+)$/.exec(query.get('fieldSelector') ?? '')?.[1];
}

function parsePath(path: string): Target | undefined {
  const match =
    /^\/(?:api\/v1|apis\/([^/]+)\/v\d[a-z0-9]*)(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?(?:\/([a-z]+))?$/.exec(
      path,
    );
  if (match === null) return undefined;
  const [, group = '', namespace, plural = '', name, subresource] = match;
  return { collection: `${group}/${plural}`, namespace, name, subresource };
}

/**
 * The target without the fields that a manager applied before, and that nobody applies any more; what somebody else
 * has written since is theirs.
 */
function without(target: unknown, before: unknown, now: readonly unknown[]): unknown {
  if (!isRecord(target) || !isRecord(before)) return target;
  const result: Record<string, unknown> = { ...target };
  for (const [name, value] of Object.entries(before)) {
    const next = now.flatMap((object) => (isRecord(object) && name in object ? [object[name]] : []));
    if (isRecord(value)) result[name] = without(result[name], value, next);
    else if (next.length === 0 && isDeepStrictEqual(result[name], value)) delete result[name];
  }
  return result;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function fail(response: ServerResponse, code: number, reason: string): void {
  send(response, code, { kind: 'Status', status: 'Failure', code, reason, message: `refused: ${reason}` });
}
