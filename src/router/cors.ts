/** Fission's `corsConfig`: an allow list of origins for each trigger. */
import type { ResolvedTrigger } from '../api/index.ts';
import type { Exchange } from './exchange.ts';

/** Whether a request is a browser's preflight (Fetch standard, section 3.2.2). */
export function isPreflight(exchange: Pick<Exchange, 'method' | 'header'>): boolean {
  return (
    exchange.method === 'OPTIONS' &&
    (exchange.header('origin') ?? '') !== '' &&
    exchange.header('access-control-request-method') !== undefined
  );
}

/** The value of Access-Control-Allow-Origin for an origin, or null where it is not allowed. */
function allowedOrigin(route: ResolvedTrigger, origin: string | undefined): string | null {
  const origins = route.cors?.allowOrigins ?? [];
  if (origin === undefined || origin === '') return null;
  if (origins.includes(origin)) return origin;
  // With credentials a browser refuses "*"; the schema refuses the two together, and so does this.
  return origins.includes('*') && route.cors?.allowCredentials !== true ? '*' : null;
}

/** The headers of a preflight's 204, or null where the origin is not allowed (Fission answers 403 then). */
export function preflightHeaders(
  route: ResolvedTrigger,
  origin: string | undefined,
): [string, string][] | null {
  const allowed = allowedOrigin(route, origin);
  const { cors } = route;
  if (allowed === null || cors === null) return null;
  const methods = cors.allowMethods.length > 0 ? cors.allowMethods : route.methods;
  const headers: [string, string][] = [
    ['Access-Control-Allow-Origin', allowed],
    ['Access-Control-Allow-Methods', methods.join(', ')],
  ];
  if (cors.allowHeaders.length > 0)
    headers.push(['Access-Control-Allow-Headers', cors.allowHeaders.join(', ')]);
  if (cors.allowCredentials) headers.push(['Access-Control-Allow-Credentials', 'true']);
  if (cors.maxAgeSeconds !== null) headers.push(['Access-Control-Max-Age', String(cors.maxAgeSeconds)]);
  if (allowed !== '*') headers.push(['Vary', 'Origin']);
  return headers;
}

/**
 * What a trigger with a `corsConfig` adds to every answer, its router's own errors included, so that a script
 * in a browser can read them. Such a trigger's function has no say: its own Access-Control headers are dropped.
 */
export function actualHeaders(
  route: ResolvedTrigger,
  origin: string | undefined,
): readonly (readonly [string, string])[] {
  const { cors } = route;
  if (cors === null) return NOTHING;
  const allowed = allowedOrigin(route, origin);
  const vary: [string, string][] = allowed === '*' ? [] : [['Vary', 'Origin']];
  if (allowed === null) return vary;
  const headers: [string, string][] = [['Access-Control-Allow-Origin', allowed], ...vary];
  if (cors.allowCredentials) headers.push(['Access-Control-Allow-Credentials', 'true']);
  if (cors.exposeHeaders.length > 0)
    headers.push(['Access-Control-Expose-Headers', cors.exposeHeaders.join(', ')]);
  return headers;
}

const NOTHING: readonly (readonly [string, string])[] = [];
