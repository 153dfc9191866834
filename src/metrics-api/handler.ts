/** Answers requests to `custom.metrics.k8s.io` for whoever the API server vouches for. */
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Logger } from 'pino';

import { parseLabelSelector, SelectorError } from '../apiserver/formats/index.ts';
import type { Loads } from '../executors/loads.ts';
import type { KubeObject } from '../kube/index.ts';
import type { Authoriser } from './authoriser.ts';
import {
  FUNCTIONS,
  GROUP,
  groupDocument,
  isVersion,
  type MeasuredFunction,
  metricValueList,
  type MetricsVersion,
  resourcesDocument,
  statusDocument,
} from './documents.ts';
import type { User } from './front-proxy.ts';
import { METRICS } from './metrics.ts';

export interface HandlerParts {
  readonly loads: Loads;
  readonly readLoads: () => Promise<unknown>;
  /** All functions of a namespace. */
  readonly functions: (namespace: string) => Iterable<KubeObject>;
  readonly userOf: (request: IncomingMessage) => User | undefined;
  readonly authoriser: Pick<Authoriser, 'allows'>;
  readonly logger: Logger;
}

/** An autoscaler that is told nothing keeps what it has; one that is told of an hour ago scales by it. */
const LOADS_MAX_AGE_MS = 30_000;
/** The controller that leads reads them each second; the others when they are asked. */
const LOADS_FRESH_MS = 2000;

class Refusal extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

export function createMetricsHandler(
  parts: HandlerParts,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    answer(parts, request).then(
      (body) => send(response, 200, body),
      (thrown: unknown) => {
        if (thrown instanceof Refusal) {
          return send(response, thrown.code, statusDocument(thrown.code, thrown.reason, thrown.message));
        }
        parts.logger.warn({ err: thrown }, 'a request for metrics failed');
        const message = 'The API server could not be asked whether this is allowed.';
        return send(response, 503, statusDocument(503, 'ServiceUnavailable', message));
      },
    );
  };
}

async function answer(parts: HandlerParts, request: IncomingMessage): Promise<object> {
  const url = new URL(request.url ?? '/', 'https://metrics');
  const user = parts.userOf(request);
  if (user === undefined) {
    throw new Refusal(401, 'Unauthorized', 'Ask through the Kubernetes API server, which says who asks.');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new Refusal(405, 'MethodNotAllowed', `Metrics can be read, not ${request.method ?? ''}.`);
  }
  const target = targetOf(url.pathname);
  if (target === undefined) {
    // The API server itself asks for these in the name of a user who may do nothing, and where it is refused takes all
    // of its own discovery for stale: then no namespace can be deleted. They tell nothing of anybody.
    const document = discovery(url.pathname);
    if (document === undefined) throw new Refusal(404, 'NotFound', `There is nothing at ${url.pathname}.`);
    return document;
  }
  if (!(await parts.authoriser.allows(user, target))) {
    throw new Refusal(403, 'Forbidden', `User "${user.name}" may not get ${url.pathname}.`);
  }
  if (!isFresh(parts.loads, LOADS_FRESH_MS)) await parts.readLoads();
  return metricOf(parts, target, url.searchParams.get('labelSelector') ?? '');
}

function discovery(path: string): object | undefined {
  const trimmed = path.replace(/\/$/, '');
  if (trimmed === `/apis/${GROUP}`) return groupDocument();
  const version = trimmed.startsWith(`/apis/${GROUP}/`) ? trimmed.slice(GROUP.length + 7) : '';
  return isVersion(version) ? resourcesDocument(version) : undefined;
}

interface Target {
  readonly group: string;
  readonly version: MetricsVersion;
  readonly namespace: string;
  readonly resource: string;
  readonly name: string;
  /** The metric. */
  readonly subresource: string;
}

/** `/apis/custom.metrics.k8s.io/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/METRIC` */
function targetOf(path: string): Target | undefined {
  const [, apis, group, version = '', namespaces, namespace, resource, name, metric, ...rest] = path
    .split('/')
    .map(decoded);
  if (apis !== 'apis' || group !== GROUP || !isVersion(version) || namespaces !== 'namespaces')
    return undefined;
  if (!namespace || !resource || !name || !metric || rest.length > 0) return undefined;
  return { group: GROUP, version, namespace, resource, name, subresource: metric };
}

function metricOf(parts: HandlerParts, target: Target, labelSelector: string): object {
  const { version, namespace, resource, name, subresource: metric } = target;
  const read = Object.hasOwn(METRICS, metric) ? METRICS[metric] : undefined;
  if (resource !== FUNCTIONS || read === undefined) {
    throw new Refusal(
      404,
      'NotFound',
      `There is no metric ${metric} of ${resource}; ${FUNCTIONS} have ${Object.keys(METRICS).join(', ')}.`,
    );
  }
  const { loads } = parts;
  if (!isFresh(loads, LOADS_MAX_AGE_MS)) {
    throw new Refusal(503, 'ServiceUnavailable', 'Not all routers have said lately what they have to do.');
  }
  const functions = name === '*' ? selected(parts, namespace, labelSelector) : named(parts, namespace, name);
  const measured = functions.map(({ metadata }): MeasuredFunction => ({
    namespace,
    name: metadata.name,
    value: read(loads.functionOf(metadata.uid ?? '')),
  }));
  return metricValueList(version, metric, measured, new Date());
}

function isFresh({ completeAtMs }: Loads, maxAgeMs: number): boolean {
  return completeAtMs !== null && performance.now() - completeAtMs <= maxAgeMs;
}

function named({ functions }: HandlerParts, namespace: string, name: string): KubeObject[] {
  for (const fn of functions(namespace)) if (fn.metadata.name === name) return [fn];
  throw new Refusal(404, 'NotFound', `There is no function ${namespace}/${name}.`);
}

function selected({ functions }: HandlerParts, namespace: string, labelSelector: string): KubeObject[] {
  try {
    const matches = parseLabelSelector(labelSelector);
    return [...functions(namespace)].filter(({ metadata }) => matches(metadata.labels));
  } catch (error) {
    if (error instanceof SelectorError) throw new Refusal(400, 'BadRequest', error.message);
    throw error;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function send(response: ServerResponse, code: number, body: object): void {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}
