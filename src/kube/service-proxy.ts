import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

import { FissiumError } from '../errors.ts';
import type { KubeConnection } from './kube-config.ts';
import { readText, send } from './transport.ts';

/** Base URLs of services, by their names (`router`, `router-internal`, `storagesvc`). */
export type ServiceAddresses = Readonly<Record<string, string | undefined>>;

export interface ProxyInit {
  /** @default 'GET' */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is read only as fast as the service takes it. */
  readonly body?: string | Uint8Array | Readable;
  readonly signal?: AbortSignal;
  /** Longest wait for the head of the answer. @default none */
  readonly headTimeoutMs?: number;
}

/** The head of a service's answer, with its body streaming. */
export interface ProxyAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Read it to the end, or destroy it. */
  readonly body: Readable;
  text(): Promise<string>;
  json<T>(): Promise<T>;
}

interface ServiceCall {
  readonly service: string;
  /** Path and query, starting with `/`. */
  readonly path: string;
  readonly namespace: string;
  readonly direct: string | undefined;
  readonly userAgent: string;
}

/** What the port of each of our Services is called; Kubernetes wants it named. */
const PORT = 'http';

/** The addresses that Fission's environment variables name; read where the CLI or a role starts. */
export function serviceAddressesFrom(env: Readonly<Record<string, string | undefined>>): ServiceAddresses {
  return {
    router: env.FISSION_ROUTER_URL,
    'router-internal': env.FISSION_ROUTER_INTERNAL_URL,
    storagesvc: env.FISSION_STORAGESVC_URL,
  };
}

export async function serviceRequest(
  connection: KubeConnection,
  { service, path, namespace, direct, userAgent }: ServiceCall,
  init: ProxyInit,
): Promise<ProxyAnswer> {
  const isDirect = direct !== undefined && direct !== '';
  const base = isDirect
    ? direct.replace(/\/+$/, '')
    : `${connection.server}/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(`${service}:${PORT}`)}/proxy`;
  const url = new URL(base + path);
  const { headers, agent } = isDirect
    ? { headers: {}, agent: undefined }
    : await connection.credentials.next();
  const { method = 'GET', body, signal, headTimeoutMs } = init;
  const answer = await send({
    method,
    url,
    agent,
    body,
    signal,
    headTimeoutMs,
    headers: { 'user-agent': userAgent, ...init.headers, ...headers },
  }).catch((cause: unknown) => {
    if (signal?.aborted === true) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FissiumError(
      'API_UNREACHABLE',
      `Service ${service} at ${base} does not answer: ${why}. If the platform is not running, start it with \`fissium up\`.`,
      { cause },
    );
  });
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    body: answer,
    text: () => readText(answer),
    json: async <T>() => JSON.parse(await readText(answer)) as T,
  };
}
