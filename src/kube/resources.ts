/** The kinds that the platform reads and writes, and how their URLs are made. */

/** What names a collection in the Kubernetes API. */
export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** The part of `metadata` that the client layer itself relies on. */
export interface KubeMetadata {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
}

/** Any object that the API gives out. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: KubeMetadata;
}

export interface KubeList<T> {
  apiVersion?: string;
  kind?: string;
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  items: T[];
}

export interface Secret extends KubeObject {
  type?: string;
  /** Values in base64. */
  data?: Record<string, string>;
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
  /** Values in base64. */
  binaryData?: Record<string, string>;
}

const fission = (plural: string, kind: string): ResourceType => ({
  group: 'fission.io',
  version: 'v1',
  plural,
  kind,
  namespaced: true,
});
const core = (plural: string, kind: string, namespaced = true): ResourceType => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});

const grouped = (
  group: string,
  version: string,
  plural: string,
  kind: string,
  namespaced = true,
): ResourceType => ({ group, version, plural, kind, namespaced });
const apps = (plural: string, kind: string): ResourceType => grouped('apps', 'v1', plural, kind);

export const RESOURCES = {
  environments: fission('environments', 'Environment'),
  functions: fission('functions', 'Function'),
  packages: fission('packages', 'Package'),
  httptriggers: fission('httptriggers', 'HTTPTrigger'),
  timetriggers: fission('timetriggers', 'TimeTrigger'),
  messagequeuetriggers: fission('messagequeuetriggers', 'MessageQueueTrigger'),
  kuberneteswatchtriggers: fission('kuberneteswatchtriggers', 'KubernetesWatchTrigger'),
  namespaces: core('namespaces', 'Namespace', false),
  configmaps: core('configmaps', 'ConfigMap'),
  secrets: core('secrets', 'Secret'),
  events: core('events', 'Event'),
  services: core('services', 'Service'),
  pods: core('pods', 'Pod'),
  serviceaccounts: core('serviceaccounts', 'ServiceAccount'),
  deployments: apps('deployments', 'Deployment'),
  replicasets: apps('replicasets', 'ReplicaSet'),
  endpointslices: grouped('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
  horizontalpodautoscalers: grouped(
    'autoscaling',
    'v2',
    'horizontalpodautoscalers',
    'HorizontalPodAutoscaler',
  ),
  leases: grouped('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  roles: grouped('rbac.authorization.k8s.io', 'v1', 'roles', 'Role'),
  rolebindings: grouped('rbac.authorization.k8s.io', 'v1', 'rolebindings', 'RoleBinding'),
  clusterroles: grouped('rbac.authorization.k8s.io', 'v1', 'clusterroles', 'ClusterRole', false),
  clusterrolebindings: grouped(
    'rbac.authorization.k8s.io',
    'v1',
    'clusterrolebindings',
    'ClusterRoleBinding',
    false,
  ),
  customresourcedefinitions: grouped(
    'apiextensions.k8s.io',
    'v1',
    'customresourcedefinitions',
    'CustomResourceDefinition',
    false,
  ),
  poddisruptionbudgets: grouped('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget'),
  networkpolicies: grouped('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy'),
  ingresses: grouped('networking.k8s.io', 'v1', 'ingresses', 'Ingress'),
  httproutes: grouped('gateway.networking.k8s.io', 'v1', 'httproutes', 'HTTPRoute'),
  persistentvolumeclaims: core('persistentvolumeclaims', 'PersistentVolumeClaim'),
  apiservices: grouped('apiregistration.k8s.io', 'v1', 'apiservices', 'APIService', false),
  subjectaccessreviews: grouped(
    'authorization.k8s.io',
    'v1',
    'subjectaccessreviews',
    'SubjectAccessReview',
    false,
  ),
} as const satisfies Record<string, ResourceType>;

/** `apiVersion` as objects carry it, e.g. `fission.io/v1` or `v1`. */
export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** The path of a collection (no name) or of one object, with an optional subresource. */
export function resourcePath(
  type: ResourceType,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope =
    type.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const item = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${scope}/${type.plural}${item}${subresource === undefined ? '' : `/${subresource}`}`;
}

/** `namespace/name`, the key of an object in stores and queues; just `name` for cluster-scoped kinds. */
export function objectKey(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

export function keyOf(object: KubeObject): string {
  return objectKey(object.metadata.namespace, object.metadata.name);
}

/** The inverse of {@link objectKey} for namespaced kinds. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return slash < 0
    ? { namespace: '', name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
