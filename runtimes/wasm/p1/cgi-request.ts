/** A request as the environment of a CGI program (RFC 3875, section 4.1). */
import type { GuestRequest } from '../engine.ts';

export type Environment = ReadonlyMap<string, string>;

/** Only these become `HTTP_*`: an underscore would let one header pass for another (`X_Token` for `X-Token`). */
const PLAIN_NAME = /^[A-Za-z0-9-]+$/;

/**
 * Headers without an `HTTP_*` of their own: two have their own variables, the others belong to the connection,
 * and `Proxy` would become HTTP_PROXY, which HTTP clients in guests take for their proxy ("httpoxy").
 */
const NOT_PASSED: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'connection',
  'keep-alive',
  'proxy',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The guest's environment: what it was granted, the request's meta-variables, and its headers. A header never
 * replaces a granted variable; the meta-variables do.
 * @param bodyBytes the body's length, null where there is no body
 */
export function cgiEnvironment(
  request: GuestRequest,
  granted: readonly (readonly [name: string, value: string])[],
  bodyBytes: number | null,
): Environment {
  const variables = new Map<string, string>();
  for (const [name, value] of headerVariables(request)) variables.set(name, value);
  for (const [name, value] of granted) variables.set(name, value);
  for (const [name, value] of metaVariables(request, bodyBytes)) variables.set(name, value);
  // A NUL would end the string early, and what is behind it would be lost or taken for something else.
  for (const [name, value] of variables)
    if (name.includes('\0') || value.includes('\0')) variables.delete(name);
  return variables;
}

function metaVariables(request: GuestRequest, bodyBytes: number | null): [string, string][] {
  const { method, scheme, authority, pathWithQuery } = request;
  const queryAt = pathWithQuery.indexOf('?');
  const path = queryAt < 0 ? pathWithQuery : pathWithQuery.slice(0, queryAt);
  const { host, port } = splitAuthority(authority);
  const contentType = request.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  const variables: [string, string][] = [
    ['GATEWAY_INTERFACE', 'CGI/1.1'],
    ['PATH_INFO', decodedPath(path)],
    ['QUERY_STRING', queryAt < 0 ? '' : pathWithQuery.slice(queryAt + 1)],
    ['REMOTE_ADDR', ''],
    ['REQUEST_METHOD', method],
    ['REQUEST_SCHEME', scheme],
    ['REQUEST_URI', pathWithQuery],
    ['SCRIPT_NAME', ''],
    ['SERVER_NAME', host],
    ['SERVER_PORT', port ?? (scheme === 'https' ? '443' : '80')],
    ['SERVER_PROTOCOL', 'HTTP/1.1'],
    ['SERVER_SOFTWARE', 'fissium'],
  ];
  if (scheme === 'https') variables.push(['HTTPS', 'on']);
  if (bodyBytes !== null) variables.push(['CONTENT_LENGTH', String(bodyBytes)]);
  if (contentType !== undefined) variables.push(['CONTENT_TYPE', contentType]);
  return variables;
}

function headerVariables(request: GuestRequest): Environment {
  const variables = new Map<string, string>();
  for (const [name, value] of request.headers) {
    const lower = name.toLowerCase();
    if (!PLAIN_NAME.test(name) || NOT_PASSED.has(lower)) continue;
    const variable = `HTTP_${lower.replaceAll('-', '_').toUpperCase()}`;
    const before = variables.get(variable);
    variables.set(
      variable,
      before === undefined ? value : before + (lower === 'cookie' ? '; ' : ', ') + value,
    );
  }
  return variables;
}

/** PATH_INFO is not URL-encoded (4.1.5); a path that cannot be decoded, or hides a NUL, stays as it came. */
function decodedPath(path: string): string {
  try {
    const decoded = decodeURIComponent(path);
    return decoded.includes('\0') ? path : decoded;
  } catch {
    return path;
  }
}

function splitAuthority(authority: string): { readonly host: string; readonly port?: string } {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(authority);
  return match ? { host: match[1] ?? '', port: match[2] } : { host: authority };
}
