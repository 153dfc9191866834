/**
 * Who asks, by the API server's word: it proves by a client certificate that it is the API server, and names in
 * headers the user whom it has authenticated (Kubernetes, "authenticating proxy"). What counts is in the ConfigMap
 * `extension-apiserver-authentication`.
 */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';

import type { ConfigMap } from '../kube/index.ts';

export interface FrontProxySettings {
  /** PEM: who signs the API server's client certificate. */
  readonly ca: string;
  /** Common names that such a certificate may have; empty for any. */
  readonly allowedNames: readonly string[];
  /** Lower case. */
  readonly userHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraPrefixes: readonly string[];
}

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** null where the cluster has no front proxy. */
export function frontProxySettings({ data = {} }: ConfigMap): FrontProxySettings | null {
  const ca = data['requestheader-client-ca-file'] ?? '';
  if (ca === '') return null;
  const list = (name: string): string[] => words(data[name]);
  const lower = (name: string): string[] => list(name).map((word) => word.toLowerCase());
  return {
    ca,
    allowedNames: list('requestheader-allowed-names'),
    userHeaders: lower('requestheader-username-headers'),
    groupHeaders: lower('requestheader-group-headers'),
    extraPrefixes: lower('requestheader-extra-headers-prefix'),
  };
}

/** undefined where nobody vouches for the request. */
export function userOf(request: IncomingMessage, settings: FrontProxySettings): User | undefined {
  const socket = request.socket as TLSSocket;
  // Node has verified the certificate against the front proxy's CA alone.
  if (socket.authorized !== true) return undefined;
  const names = [socket.getPeerCertificate().subject?.CN ?? ''].flat();
  const { allowedNames } = settings;
  if (allowedNames.length > 0 && !names.some((name) => allowedNames.includes(name))) return undefined;
  const { headersDistinct } = request;
  const name = settings.userHeaders.flatMap((header) => headersDistinct[header] ?? [])[0] ?? '';
  if (name === '') return undefined;
  return {
    name,
    groups: settings.groupHeaders.flatMap((header) => headersDistinct[header] ?? []),
    extra: extraOf(headersDistinct, settings.extraPrefixes),
  };
}

function extraOf(
  headers: IncomingMessage['headersDistinct'],
  prefixes: readonly string[],
): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const [header, values = []] of Object.entries(headers)) {
    const prefix = prefixes.find((start) => header.startsWith(start));
    if (prefix !== undefined) extra[unescaped(header.slice(prefix.length))] = values;
  }
  return extra;
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function words(json = '[]'): string[] {
  const value: unknown = JSON.parse(json);
  return Array.isArray(value) ? value.filter((word) => typeof word === 'string') : [];
}
