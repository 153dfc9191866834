/** A router on a real socket, with functions written in the test. */
import {
  type Agent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pino, type Logger } from 'pino';
import type { ResolvedFunction, ResolvedTrigger } from '../../api/index.ts';
import { bodyStream } from '../../executors/body-stream.ts';
import type { HeaderList, InvokeRequest, InvokeResponse, Invoker } from '../../executors/executor.ts';
import { FunctionTable, type FunctionState } from '../function-table.ts';
import { RouteTable } from '../route-table.ts';
import { createRouter, type Router, type RouterOptions } from '../server.ts';
import { limits, trigger } from './resources.ts';

export type Handler = (request: InvokeRequest) => Promise<InvokeResponse> | InvokeResponse;

export function invoker(handle: Handler): Invoker {
  return { invoke: async (request) => handle(request) };
}

/** Like a function whose instance runs in the thread of the connection: answers before `start` returns. */
export function atOnce(handle: (request: InvokeRequest) => InvokeResponse): Invoker {
  return {
    invoke: async (request) => handle(request),
    start: (request, receiver) => receiver.answered(handle(request)),
  };
}

/** An answer whose body is there as a whole. */
export function whole(body: string, parts: Pick<AnswerParts, 'status' | 'headers'> = {}): InvokeResponse {
  const { status = 200, headers = [] } = parts;
  return { status, headers, body: Buffer.from(body), trailers: [], coldStart: false };
}

export interface AnswerParts {
  readonly status?: number;
  readonly headers?: HeaderList;
  readonly body?: Readable | string | Uint8Array;
  readonly trailers?: HeaderList | Promise<HeaderList>;
  readonly coldStart?: boolean;
}

export function answer(parts: AnswerParts = {}): InvokeResponse {
  const { status = 200, headers = [], body = '', trailers = [], coldStart = false } = parts;
  return {
    status,
    headers,
    body: body instanceof Readable ? body : Readable.from(body.length === 0 ? [] : [Buffer.from(body)]),
    trailers: Promise.resolve(trailers),
    coldStart,
  };
}

/** Answers with what it was asked, as JSON; the body's length beside it. */
export const describing: Handler = async (request) => {
  const stream = bodyStream(request.body);
  const body = stream && (await buffer(stream));
  const trailers = request.trailers === undefined ? [] : await request.trailers;
  const { id, method, scheme, authority, pathWithQuery, headers } = request;
  const seen = {
    id,
    method,
    scheme,
    authority,
    pathWithQuery,
    headers,
    trailers,
    body: body?.toString('utf8') ?? null,
  };
  return answer({ headers: [['content-type', 'application/json']], body: JSON.stringify(seen) });
};

export interface Seen {
  readonly id: string;
  readonly method: string;
  readonly authority: string;
  readonly pathWithQuery: string;
  readonly headers: [string, string][];
  readonly trailers: [string, string][];
  readonly body: string | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: string[];
  readonly trailers: NodeJS.Dict<string>;
  readonly text: string;
  json<T = { code: string; message: string; requestId: string }>(): T;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Uint8Array;
  readonly agent?: Agent;
}

export interface Harness {
  readonly port: number;
  readonly router: Router;
  readonly functions: FunctionTable;
  readonly routes: RouteTable;
  /** Adds a function with a route to it (`/NAME`, GET, unless `route` says otherwise). */
  deploy(name: string, handle: Handler | FunctionState, parts?: DeployParts): void;
  ask(path: string, ask?: Ask): Promise<Answer>;
  socket(): Promise<RawClient>;
  close(): Promise<void>;
}

export interface DeployParts {
  readonly limits?: Partial<ResolvedFunction['limits']>;
  readonly startTimeoutMs?: number;
  readonly route?: Partial<ResolvedTrigger>;
}

export const silent: Logger = pino({ level: 'silent' });

export async function startRouter(options: Partial<RouterOptions> = {}): Promise<Harness> {
  const functions = options.functions ?? new FunctionTable();
  const routes = options.routes ?? new RouteTable();
  const router = createRouter({ logger: silent, ...options, functions, routes });
  const port = await router.listen('127.0.0.1', 0);
  const clients: RawClient[] = [];
  return {
    port,
    router,
    functions,
    routes,
    deploy: (name, handle, parts = {}) => {
      const state: FunctionState =
        typeof handle === 'function' ? { phase: 'ready', invoker: invoker(handle) } : handle;
      const { startTimeoutMs } = parts;
      functions.set({
        namespace: 'default',
        name,
        uid: `uid-${name}`,
        limits: limits(parts.limits),
        ...(startTimeoutMs === undefined ? {} : { startTimeoutMs }),
        state,
      });
      routes.upsert(trigger(name, { functions: [{ name, weight: 100 }], ...parts.route }));
    },
    ask: (path, ask) => fetchFrom(port, path, ask),
    socket: async () => {
      const client = await RawClient.open(port);
      clients.push(client);
      return client;
    },
    close: async () => {
      for (const client of clients) client.close();
      await router.close({ graceMs: 0 });
    },
  };
}

export async function fetchFrom(port: number, path: string, ask: Ask = {}): Promise<Answer> {
  const res = await openAnswer(port, path, ask);
  const text = (await buffer(res)).toString('utf8');
  return {
    status: res.statusCode ?? 0,
    headers: res.headers,
    rawHeaders: res.rawHeaders,
    trailers: res.trailers,
    text,
    json: <T>() => JSON.parse(text) as T,
  };
}

/** The answer's head, its body still to be read. */
export function openAnswer(port: number, path: string, ask: Ask = {}): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const req = httpRequest(
    {
      host: '127.0.0.1',
      port,
      path,
      method: ask.method ?? 'GET',
      headers: ask.headers ?? {},
      agent: ask.agent ?? false,
    },
    resolve,
  );
  req.on('error', reject);
  req.end(ask.body);
  return promise;
}

/** A connection on which a test writes bytes of its own. */
export class RawClient {
  readonly socket: Socket;
  #received = '';
  #closed = false;
  #failed: Error | null = null;
  #wake: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1');
      this.#notify();
    });
    socket.on('error', (error) => {
      this.#failed = error;
    });
    socket.on('close', () => {
      this.#closed = true;
      this.#notify();
    });
  }

  static async open(port: number): Promise<RawClient> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: false }, resolve);
    socket.once('error', reject);
    await promise;
    socket.off('error', reject);
    return new RawClient(socket);
  }

  get received(): string {
    return this.#received;
  }

  /** The error with which the connection ended, if it was not a clean end. */
  get failed(): Error | null {
    return this.#failed;
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Resolves when the pattern was received; rejects when the connection ends without it. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#received)) {
      if (this.#closed) throw new Error(`The connection ended after: ${JSON.stringify(this.#received)}`);
      await this.#next();
    }
    return this.#received;
  }

  /** Everything received, when the connection has ended. */
  async untilClosed(): Promise<string> {
    while (!this.#closed) await this.#next();
    return this.#received;
  }

  close(): void {
    this.socket.destroy();
  }

  #next(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake.push(resolve);
    return promise;
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const resolve of waiting) resolve();
  }
}
