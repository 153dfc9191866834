/** What a path below /api or /apis means. */
import type { ResourceKind } from '../kinds/resource-kind.ts';
import { resourceByPath } from '../resources.ts';
import { badRequest, unknownPath } from '../status.ts';

export interface Target {
  readonly kind: ResourceKind;
  /** Absent: all namespaces, or a cluster-scoped resource. */
  readonly namespace: string | undefined;
  /** Absent: the collection. */
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** The decoded parts of a path. Fails with 400 where the percent-encoding is broken. */
export function pathSegments(path: string): string[] {
  try {
    return path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    throw badRequest(`the path ${path} is not properly percent-encoded`);
  }
}

/** Fails with 404 where the path names nothing that this server has. */
export function parseTarget(segments: readonly string[]): Target {
  const [root, ...rest] = segments;
  if (root === 'api') return targetIn('', rest);
  const [group, ...below] = rest;
  if (root !== 'apis' || group === undefined || group === '') throw unknownPath();
  return targetIn(group, below);
}

function targetIn(group: string, segments: readonly string[]): Target {
  const [version = '', ...rest] = segments;
  const [first, namespace, plural, ...below] = rest;
  // /namespaces/x is the namespace itself, and so are its subresources; anything else behind it is inside it.
  const inside = first === 'namespaces' && plural !== undefined && !NAMESPACE_SUBRESOURCES.has(plural);
  if (inside) return target(resourceByPath(group, version, plural), namespace, below);
  return target(resourceByPath(group, version, first ?? ''), undefined, rest.slice(1));
}

const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);

function target(
  kind: ResourceKind | undefined,
  namespace: string | undefined,
  below: readonly string[],
): Target {
  const [name, subresource, ...rest] = below;
  if (kind === undefined || rest.length > 0) throw unknownPath();
  if (namespace !== undefined && !kind.namespaced) throw unknownPath();
  // One object of a namespaced resource has no path without its namespace.
  if (namespace === undefined && kind.namespaced && name !== undefined) throw unknownPath();
  const known =
    subresource === undefined ||
    (subresource === 'status' && kind.hasStatus) ||
    kind.view?.subresources?.includes(subresource) === true;
  if (!known) throw unknownPath();
  return { kind, namespace, name, subresource };
}
