/** The documents by which clients learn what is served: `/api`, `/apis`, `/api/v1`, `/apis/G/V`, `/version`. */
import type { DiscoveryForm } from './accept.ts';
import type { JsonObject } from './json.ts';
import { apiVersionOf } from './kind-info.ts';
import type { KindInfo } from './kind-info.ts';

/** A document with the Content-Type that says which form it is in. */
export interface DiscoveryAnswer {
  readonly contentType: string;
  readonly body: JsonObject;
}

const STATUS_VERBS = ['get', 'patch', 'update'];

function contentTypeOf(form: DiscoveryForm): string {
  return form === 'plain'
    ? 'application/json'
    : `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`;
}

/** The named groups (not the core one) in the order in which they first appear. */
function groupNames(kinds: readonly KindInfo[]): string[] {
  return [...new Set(kinds.map((kind) => kind.group))].filter((group) => group !== '');
}

function versionsOf(kinds: readonly KindInfo[], group: string): string[] {
  return [...new Set(kinds.filter((kind) => kind.group === group).map((kind) => kind.version))];
}

function aggregatedResource(kind: KindInfo): JsonObject {
  const responseKind = { group: kind.group, version: kind.version, kind: kind.kind };
  return {
    resource: kind.plural,
    responseKind,
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
    ...(kind.hasStatus
      ? { subresources: [{ subresource: 'status', responseKind, verbs: STATUS_VERBS }] }
      : {}),
  };
}

function aggregated(
  kinds: readonly KindInfo[],
  groups: readonly string[],
  form: 'v2' | 'v2beta1',
): JsonObject {
  const items = groups.map((group) => ({
    metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
    versions: versionsOf(kinds, group).map((version) => ({
      version,
      freshness: 'Current',
      resources: kinds
        .filter((kind) => kind.group === group && kind.version === version)
        .map(aggregatedResource),
    })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${form}`, metadata: {}, items };
}

/** `/api`: the core group. */
export function apiDocument(kinds: readonly KindInfo[], form: DiscoveryForm): DiscoveryAnswer {
  const plain = { kind: 'APIVersions', versions: versionsOf(kinds, ''), serverAddressByClientCIDRs: [] };
  return { contentType: contentTypeOf(form), body: form === 'plain' ? plain : aggregated(kinds, [''], form) };
}

function apiGroup(kinds: readonly KindInfo[], name: string): JsonObject {
  const versions = versionsOf(kinds, name).map((version) => ({
    groupVersion: `${name}/${version}`,
    version,
  }));
  return { name, versions, preferredVersion: versions[0] };
}

/** `/apis`: all named groups. */
export function apisDocument(kinds: readonly KindInfo[], form: DiscoveryForm): DiscoveryAnswer {
  const groups = groupNames(kinds);
  const plain = {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groups.map((name) => apiGroup(kinds, name)),
  };
  return {
    contentType: contentTypeOf(form),
    body: form === 'plain' ? plain : aggregated(kinds, groups, form),
  };
}

/** `/apis/G`, or undefined where the group is not served. */
export function groupDocument(kinds: readonly KindInfo[], group: string): JsonObject | undefined {
  if (!groupNames(kinds).includes(group)) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(kinds, group) };
}

/** `/api/v1` (group '') or `/apis/G/V`, or undefined where it is not served. */
export function resourcesDocument(
  kinds: readonly KindInfo[],
  group: string,
  version: string,
): JsonObject | undefined {
  const served = kinds.filter((kind) => kind.group === group && kind.version === version);
  const [first] = served;
  if (first === undefined) return undefined;
  const resources = served.flatMap((kind) => {
    const common = { namespaced: kind.namespaced, kind: kind.kind };
    const resource = {
      name: kind.plural,
      singularName: kind.singular,
      ...common,
      verbs: kind.verbs,
      ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
      ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
    };
    const status = { name: `${kind.plural}/status`, singularName: '', ...common, verbs: STATUS_VERBS };
    return kind.hasStatus ? [resource, status] : [resource];
  });
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(first), resources };
}

/** The Kubernetes minor version whose API this is; clients warn where theirs is far from it. */
const KUBERNETES_MINOR = '36';

/** `/version`; `release` is Fissium's own version, shown as build metadata of the Kubernetes version. */
export function versionDocument(release: string): JsonObject {
  return {
    major: '1',
    minor: KUBERNETES_MINOR,
    gitVersion: `v1.${KUBERNETES_MINOR}.0+fissium.${release}`,
    gitCommit: '',
    gitTreeState: '',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: 'node',
    platform: `${process.platform}/${process.arch}`,
  };
}
