/** What the router's public listener does with a request: find its trigger, or say why there is none. */
import type { ResolvedTrigger } from '../api/index.ts';
import { FissiumError } from '../errors.ts';
import { answerEmpty, answerError, answerVersion } from './answers.ts';
import { Call } from './call.ts';
import type { CallPlan, CallServices } from './call-plan.ts';
import { actualHeaders, isPreflight, preflightHeaders } from './cors.ts';
import { REQUEST_ID_HEADER } from './headers.ts';
import type { Exchange } from './exchange.ts';
import { parseTarget, type RequestTarget } from './request-path.ts';
import type { RouteMatch, RouteTable } from './route-table.ts';

export interface PublicHandlerOptions extends CallServices {
  readonly routes: RouteTable;
  /** For `/_version`. */
  readonly version: string;
  /** For `/readyz`: whether all that was deployed is served. */
  readonly ready: () => boolean;
  /** In [0, 1), for the choice by weight. */
  readonly random: () => number;
}

type Found = Extract<RouteMatch, { kind: 'found' }>;

export class PublicHandler {
  readonly #options: PublicHandlerOptions;

  constructor(options: PublicHandlerOptions) {
    this.#options = options;
  }

  readonly handle = (exchange: Exchange): void => {
    const { method } = exchange;
    const target = parseTarget(exchange.target);
    if (target === null) {
      throw new FissiumError(
        'BAD_REQUEST',
        'The request target is no path that can be served: it holds a malformed "%" escape or a "#".',
      );
    }
    if (target.path === '*') {
      if (method !== 'OPTIONS') throw new FissiumError('BAD_REQUEST', '"*" is a target for OPTIONS only.');
      answerEmpty(exchange.res, 204, [['Allow', 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT']]);
      return;
    }
    const authority = target.authority ?? exchange.header('host') ?? '';
    if (this.#answerOwn(exchange, target.path, method)) return;
    if (isPreflight(exchange) && this.#answerPreflight(exchange, authority, target.path)) return;
    const match = this.#options.routes.match(authority, target.path, method);
    if (match.kind === 'found') {
      this.#call(exchange, match, target, authority);
      return;
    }
    const { requestId } = exchange;
    if (match.kind === 'method-not-allowed') {
      const fields = [['Allow', match.allow.join(', ')]] as const;
      if (method === 'OPTIONS') {
        answerEmpty(exchange.res, 204, [...fields, [REQUEST_ID_HEADER, requestId]]);
        return;
      }
      this.#options.observer.unrouted('method not allowed', method);
      const error = new FissiumError(
        'METHOD_NOT_ALLOWED',
        `${target.path} is there, but not for ${method}; it takes ${match.allow.join(', ')}.`,
      );
      answerError(exchange.req, exchange.res, error, requestId, fields);
      return;
    }
    this.#answerUnrouted(exchange, target.path, method);
  };

  #call(exchange: Exchange, match: Found, target: RequestTarget, authority: string): void {
    const { route, parameters, functionPath } = match;
    const plan: CallPlan = {
      namespace: route.namespace,
      name: chooseFunction(route, this.#options.random),
      pathWithQuery: functionPath + target.query,
      fullUrl: target.path + target.query,
      authority,
      parameters,
      pattern: route.path,
      responseFields: actualHeaders(route, exchange.header('origin')),
      dropsResponseField: route.cors === null ? keepsAll : isCorsField,
    };
    new Call(this.#options, exchange, plan).start();
  }

  /** Answers a preflight for a trigger with a `corsConfig`; a function without one gets its OPTIONS itself. */
  #answerPreflight(exchange: Exchange, authority: string, path: string): boolean {
    const { res, requestId } = exchange;
    const wanted = exchange.header('access-control-request-method') ?? '';
    const { routes } = this.#options;
    const forMethod = routes.match(authority, path, wanted);
    const match = forMethod.kind === 'found' ? forMethod : routes.match(authority, path, 'OPTIONS');
    const route = match.kind === 'found' ? match.route : this.#anyRoute(authority, path, match);
    if (route === null || route.cors === null) return false;
    const fields = preflightHeaders(route, exchange.header('origin'));
    // As Fission answers it.
    if (fields === null)
      answerEmpty(res, 403, [
        ['Vary', 'Origin'],
        [REQUEST_ID_HEADER, requestId],
      ]);
    else answerEmpty(res, 204, [...fields, [REQUEST_ID_HEADER, requestId]]);
    return true;
  }

  /** A preflight for a method that no route takes is still answered by the rules of the one that is there. */
  #anyRoute(authority: string, path: string, match: RouteMatch): ResolvedTrigger | null {
    for (const method of match.kind === 'method-not-allowed' ? match.allow : []) {
      const found = this.#options.routes.match(authority, path, method);
      if (found.kind === 'found') return found.route;
    }
    return null;
  }

  /** Fission's own paths on the public listener. */
  #answerOwn(exchange: Exchange, path: string, method: string): boolean {
    if (method !== 'GET' && method !== 'HEAD') return false;
    if (path === '/router-healthz') {
      answerEmpty(exchange.res, 200);
      return true;
    }
    if (path === '/_version') {
      answerVersion(exchange.req, exchange.res, this.#options.version);
      return true;
    }
    return false;
  }

  #answerUnrouted({ req, res, requestId }: Exchange, path: string, method: string): void {
    if (path === '/readyz' && (method === 'GET' || method === 'HEAD')) {
      answerEmpty(res, this.#options.ready() ? 200 : 503);
      return;
    }
    this.#options.observer.unrouted('not found', method);
    const error = new FissiumError(
      'NO_ROUTE',
      `No route takes ${method} ${path}. Make one with: fissium route create --function NAME --url ${path} --method ${method}`,
    );
    answerError(req, res, error, requestId);
  }
}

function keepsAll(): boolean {
  return false;
}

function isCorsField(name: string): boolean {
  return name.startsWith('access-control-');
}

/** By weight; where all weights are 0, the first, as in Fission. */
export function chooseFunction({ functions }: ResolvedTrigger, random: () => number): string {
  const [first] = functions;
  if (first === undefined) return '';
  if (functions.length === 1) return first.name;
  let point = random() * functions.reduce((sum, { weight }) => sum + weight, 0);
  for (const { name, weight } of functions) {
    point -= weight;
    if (point < 0) return name;
  }
  return first.name;
}
