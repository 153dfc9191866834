/** Which objects a list, a watch or a deletecollection is about. */
import { parseFieldSelector, parseLabelSelector } from '../formats/index.ts';
import type { ResourceKind } from '../kinds/resource-kind.ts';
import type { KubeObject } from '../object.ts';

export interface Selection {
  readonly kind: ResourceKind;
  /** Absent: all namespaces. */
  readonly namespace: string | undefined;
  /** Absent: everything there matches. */
  readonly matches: ((object: KubeObject) => boolean) | undefined;
  /** The one name that can match, where the field selector says so. */
  readonly name: string | undefined;
}

/** Fails with 400 for a selector that cannot be understood. */
export function parseSelection(
  kind: ResourceKind,
  namespace: string | undefined,
  query: URLSearchParams,
): Selection {
  const sent = query.get('labelSelector') ?? '';
  const labelText = kind.view?.labelSelector?.(sent) ?? sent;
  const fieldText = query.get('fieldSelector') ?? '';
  const labels = labelText === '' ? undefined : parseLabelSelector(labelText);
  const fields = fieldText === '' ? undefined : parseFieldSelector(fieldText, kind.selectableFields);
  const name = /(?:^|,)metadata\.name==?([a-z0-9.-]+)(?:,|$)/.exec(fieldText)?.[1];
  if (labels === undefined && fields === undefined) return { kind, namespace, matches: undefined, name };
  const matches = (object: KubeObject): boolean =>
    labels?.(object.metadata.labels) !== false && fields?.(object) !== false;
  return { kind, namespace, matches, name };
}
