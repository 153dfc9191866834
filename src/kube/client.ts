import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';

import { FissiumError } from '../errors.ts';
import { ApiError } from './api-error.ts';
import type {
  ApplyOptions,
  CallOptions,
  KubeClientOptions,
  ListOptions,
  RemoveOptions,
  WriteOptions,
} from './client-options.ts';
import type { KubeConnection } from './kube-config.ts';
import {
  apiVersionOf,
  type KubeList,
  type KubeObject,
  resourcePath,
  type ResourceType,
} from './resources.ts';
import { type ProxyAnswer, type ProxyInit, serviceRequest } from './service-proxy.ts';
import { readText, send } from './transport.ts';

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads and writes objects of a Kubernetes-style API, the embedded one or a cluster's, over kept connections.
 * Every method rejects with {@link ApiError} when the server refuses, and with a FissiumError (API_UNREACHABLE)
 * when there is no answer.
 */
export class KubeClient {
  readonly connection: KubeConnection;
  readonly #options: KubeClientOptions;

  constructor(connection: KubeConnection, options: KubeClientOptions = {}) {
    this.connection = connection;
    this.#options = options;
  }

  async get<T extends KubeObject>(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#json<T>({ method: 'GET', path: resourcePath(type, namespace, name), ...options });
  }

  /** One page (with `limit`), or the whole collection. No namespace: all namespaces. */
  async list<T extends KubeObject>(
    type: ResourceType,
    namespace: string | undefined,
    options: ListOptions = {},
  ): Promise<KubeList<T>> {
    const { signal, limit, ...query } = options;
    return this.#json<KubeList<T>>({
      method: 'GET',
      path: resourcePath(type, namespace),
      query: { ...query, limit: limit === undefined ? undefined : String(limit) },
      signal,
    });
  }

  /** All objects, read in pages so that no single answer grows without bound. */
  async *listPages<T extends KubeObject>(
    type: ResourceType,
    namespace: string | undefined,
    options: ListOptions = {},
  ): AsyncGenerator<KubeList<T>> {
    let next: string | undefined;
    do {
      const page = await this.list<T>(type, namespace, {
        limit: 500,
        ...options,
        ...(next === undefined ? {} : { continue: next }),
      });
      yield page;
      next = page.metadata.continue;
    } while (next !== undefined && next !== '');
  }

  async create<T extends KubeObject>(type: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#json<T>({
      method: 'POST',
      path: resourcePath(type, object.metadata.namespace),
      query: writeQuery(options),
      body: { apiVersion: apiVersionOf(type), kind: type.kind, ...object },
      signal: options.signal,
    });
  }

  /** Replaces the whole object; 409 where `metadata.resourceVersion` is given and no longer the current one. */
  async replace<T extends KubeObject>(type: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#put(type, object, undefined, options);
  }

  /** Replaces `status` alone. */
  async replaceStatus<T extends KubeObject>(
    type: ResourceType,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.#put(type, object, 'status', options);
  }

  /** JSON merge patch (RFC 7386): null removes a field, lists are replaced whole. */
  async patchMerge<T extends KubeObject>(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: object,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.#patch(type, resourcePath(type, namespace, name), patch, options);
  }

  /** JSON merge patch of the status subresource; the patch is written as for the whole object. */
  async patchStatus<T extends KubeObject>(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: object,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.#patch(type, resourcePath(type, namespace, name, 'status'), patch, options);
  }

  /** Strategic merge patch of a subresource (entries of lists are matched by name), e.g. `resize` of a pod. */
  async patchSubresource<T extends KubeObject>(
    type: ResourceType,
    namespace: string,
    name: string,
    subresource: string,
    patch: object,
    { signal }: CallOptions = {},
  ): Promise<T> {
    return this.#json<T>({
      method: 'PATCH',
      path: resourcePath(type, namespace, name, subresource),
      body: patch,
      contentType: 'application/strategic-merge-patch+json',
      signal,
    });
  }

  /**
   * Server-side apply: makes the object, or has it hold these fields, whoever set them before. Fields that this
   * manager applied earlier and leaves out now go, unless somebody else owns them; all others stay.
   */
  async apply<T extends KubeObject>(
    type: ResourceType,
    object: KubeObject,
    { fieldManager, ...options }: ApplyOptions,
  ): Promise<T> {
    const { namespace, name } = object.metadata;
    return this.#json<T>({
      method: 'PATCH',
      path: resourcePath(type, namespace, name),
      query: { ...writeQuery(options), fieldManager, force: 'true' },
      body: { apiVersion: apiVersionOf(type), kind: type.kind, ...object },
      // JSON is YAML.
      contentType: 'application/apply-patch+yaml',
      signal: options.signal,
    });
  }

  /** Sets how many replicas are wanted, and nothing else. */
  async scale(
    type: ResourceType,
    namespace: string,
    name: string,
    replicas: number,
    options: CallOptions & { readonly fieldManager?: string } = {},
  ): Promise<void> {
    const { fieldManager, signal } = options;
    await this.#json<unknown>({
      method: 'PATCH',
      path: resourcePath(type, namespace, name, 'scale'),
      query: { fieldManager },
      body: { spec: { replicas } },
      contentType: 'application/merge-patch+json',
      signal,
    });
  }

  /** Posts a review (a question that is not stored), e.g. a SubjectAccessReview, and returns it answered. */
  async review<T>(type: ResourceType, spec: object, options: CallOptions = {}): Promise<T> {
    return this.#json<T>({
      method: 'POST',
      path: resourcePath(type, undefined),
      body: { apiVersion: apiVersionOf(type), kind: type.kind, metadata: {}, spec },
      ...options,
    });
  }

  async remove(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: RemoveOptions = {},
  ): Promise<void> {
    const { propagationPolicy, uid, resourceVersion, gracePeriodSeconds, signal } = options;
    const preconditions =
      uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
    await this.#json<unknown>({
      method: 'DELETE',
      path: resourcePath(type, namespace, name),
      body: {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        propagationPolicy,
        preconditions,
        gracePeriodSeconds,
      },
      signal,
    });
  }

  /** Any GET of the API that answers JSON (`/version`, discovery, OpenAPI). */
  async getPath<T>(path: string, options: CallOptions = {}): Promise<T> {
    return this.#json<T>({ method: 'GET', path, ...options });
  }

  /**
   * Opens a streaming GET and resolves with its head once it is 200, for watches and logs. The caller reads
   * `body` to its end or destroys it.
   */
  async openStream(
    path: string,
    query: Readonly<Record<string, string | undefined>>,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    return this.#answer({ method: 'GET', path, query, signal });
  }

  /**
   * Calls a service of the platform, streaming both ways: at the address given for it in the options, else
   * through the API server's Service proxy with the kubeconfig's credentials. Any status resolves; rejects with
   * API_UNREACHABLE only when nothing answers. Credentials never go to an address of the options.
   */
  async serviceProxy(service: string, path: string, init: ProxyInit = {}): Promise<ProxyAnswer> {
    const { services, controlNamespace = 'fission', userAgent = 'fissium' } = this.#options;
    return serviceRequest(
      this.connection,
      { service, path, namespace: controlNamespace, direct: services?.[service], userAgent },
      init,
    );
  }

  /** Closes idle connections; the client can still be used. */
  close(): void {
    this.connection.credentials.close();
  }

  async #put<T extends KubeObject>(
    type: ResourceType,
    object: T,
    subresource: string | undefined,
    options: WriteOptions,
  ): Promise<T> {
    const { namespace, name } = object.metadata;
    return this.#json<T>({
      method: 'PUT',
      path: resourcePath(type, namespace, name, subresource),
      query: writeQuery(options),
      body: { apiVersion: apiVersionOf(type), kind: type.kind, ...object },
      signal: options.signal,
    });
  }

  async #patch<T extends KubeObject>(
    _type: ResourceType,
    path: string,
    patch: object,
    options: WriteOptions,
  ): Promise<T> {
    return this.#json<T>({
      method: 'PATCH',
      path,
      query: writeQuery(options),
      body: patch,
      contentType: 'application/merge-patch+json',
      signal: options.signal,
    });
  }

  async #json<T>(call: Call): Promise<T> {
    const answer = await this.#answer(call);
    const text = await readText(answer).catch((error: unknown) => {
      throw this.#unreachable(error);
    });
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new FissiumError(
        'API_UNREACHABLE',
        `${call.method} ${call.path}: ${this.connection.server} answered with something that is not JSON (${JSON.stringify(text.slice(0, 80))}). Is it a Kubernetes API server?`,
        { cause },
      );
    }
  }

  async #answer(call: Call): Promise<IncomingMessage> {
    const { method, path, query = {}, body, contentType = 'application/json', signal } = call;
    const url = new URL(this.connection.server + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== '') url.searchParams.set(name, value);
    }
    const { headers, agent } = await this.connection.credentials.next();
    const answer = await send({
      method,
      url,
      agent,
      signal,
      headTimeoutMs: this.#options.headTimeoutMs ?? 60_000,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: {
        accept: 'application/json',
        'user-agent': this.#options.userAgent ?? 'fissium',
        ...headers,
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
    }).catch((error: unknown) => {
      throw signal?.aborted === true ? error : this.#unreachable(error);
    });
    this.#reportWarnings(answer.headers);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    throw ApiError.fromAnswer(status, await errorText(answer), `${method} ${path}`);
  }

  #reportWarnings(headers: IncomingHttpHeaders): void {
    const { onWarning } = this.#options;
    if (onWarning === undefined || headers.warning === undefined) return;
    // RFC 7234 5.5: 299 - "text", several joined by commas.
    for (const [, text] of headers.warning.matchAll(/\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)) {
      if (text !== undefined) onWarning(text.replace(/\\(.)/g, '$1'));
    }
  }

  #unreachable(cause: unknown): FissiumError {
    const { server, source } = this.connection;
    const why = cause instanceof Error ? (causeCode(cause) ?? cause.message) : String(cause);
    return new FissiumError(
      'API_UNREACHABLE',
      `The API server ${server} (kubeconfig ${source}) does not answer: ${why}. If it is the embedded one, start it with \`fissium up\`.`,
      { cause },
    );
  }
}

function writeQuery({ fieldValidation, dryRun }: WriteOptions): Record<string, string | undefined> {
  return { fieldValidation, dryRun: dryRun === true ? 'All' : undefined };
}

async function errorText(answer: Readable): Promise<string> {
  try {
    return await readText(answer, 1024 * 1024);
  } catch {
    return '';
  }
}

/** `connect ECONNREFUSED 127.0.0.1:6443` says more than its code; an AggregateError's message is empty. */
function causeCode(error: Error): string | undefined {
  if (error.message !== '') return error.message;
  const { code } = error as NodeJS.ErrnoException;
  return code;
}
