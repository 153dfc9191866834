/** The kinds whose objects are not stored but told, and those of Fission's that are not there yet. */
import { GROUP, LATER_KINDS, type LaterKind, VERSION, whyNotYet } from '../../api/index.ts';
import { AGE_COLUMN, type ColumnInfo } from '../formats/index.ts';
import type { ResourceKind } from '../kinds/resource-kind.ts';
import { isRecord, type KubeObject } from '../object.ts';
import { functionNameOf, podOfFunction } from './function-pod.ts';
import { platformDeployments, platformNodes, platformPods, platformServices } from './platform-objects.ts';
import type { View } from './view.ts';

type Naming = Pick<ResourceKind, 'group' | 'version' | 'kind' | 'plural'> &
  Partial<Pick<ResourceKind, 'shortNames' | 'namespaced' | 'columns' | 'selectableFields'>>;

const READ_VERBS: readonly string[] = ['get', 'list', 'watch'];

function viewKind(naming: Naming, description: string, view: View): ResourceKind {
  return {
    shortNames: [],
    namespaced: true,
    columns: [],
    ...naming,
    id: naming.group === '' ? naming.plural : `${naming.plural}.${naming.group}`,
    singular: naming.kind.toLowerCase(),
    listKind: `${naming.kind}List`,
    categories: [],
    verbs: READ_VERBS,
    hasStatus: false,
    schema: { type: 'object', description, 'x-kubernetes-preserve-unknown-fields': true },
    custom: true,
    nameRule: 'subdomain',
    view,
    validate: () => [],
    validateUpdate: () => [],
    normalise: (object) => object,
  };
}

const container = (pod: unknown): Record<string, unknown> => {
  const status = isRecord(pod) && isRecord(pod['status']) ? pod['status'] : {};
  const list: unknown[] = Array.isArray(status['containerStatuses']) ? status['containerStatuses'] : [];
  const [first] = list;
  return isRecord(first) ? first : {};
};

function podStatusText(pod: unknown): string {
  const { state } = container(pod);
  const waiting = isRecord(state) && isRecord(state['waiting']) ? state['waiting']['reason'] : undefined;
  if (typeof waiting === 'string') return waiting;
  const status = isRecord(pod) && isRecord(pod['status']) ? pod['status'] : {};
  return typeof status['phase'] === 'string' ? status['phase'] : '';
}

const POD_COLUMNS: readonly ColumnInfo[] = [
  { name: 'Ready', type: 'string', cell: (pod) => (container(pod)['ready'] === true ? '1/1' : '0/1') },
  { name: 'Status', type: 'string', cell: podStatusText },
  { name: 'Restarts', type: 'integer', cell: () => 0 },
  AGE_COLUMN,
  { name: 'IP', type: 'string', priority: 1, jsonPath: '.status.podIP' },
  { name: 'Node', type: 'string', priority: 1, jsonPath: '.spec.nodeName' },
];

const DEPLOYMENT_COLUMNS: readonly ColumnInfo[] = [
  {
    name: 'Ready',
    type: 'string',
    cell: ({ status }) => (isRecord(status) && status['readyReplicas'] === 1 ? '1/1' : '0/1'),
  },
  { name: 'Up-to-date', type: 'integer', jsonPath: '.status.updatedReplicas' },
  { name: 'Available', type: 'integer', jsonPath: '.status.availableReplicas' },
  AGE_COLUMN,
];

const SERVICE_COLUMNS: readonly ColumnInfo[] = [
  { name: 'Type', type: 'string', jsonPath: '.spec.type' },
  { name: 'Cluster-IP', type: 'string', jsonPath: '.spec.clusterIP' },
  {
    name: 'Port(s)',
    type: 'string',
    cell: ({ spec }) => {
      const ports: unknown[] = isRecord(spec) && Array.isArray(spec['ports']) ? spec['ports'] : [];
      const shown = ports.map((port) => (isRecord(port) ? `${String(port['port'])}/TCP` : ''));
      return shown.length === 0 ? '<none>' : shown.join(',');
    },
  },
  AGE_COLUMN,
];

const NODE_COLUMNS: readonly ColumnInfo[] = [
  { name: 'Status', type: 'string', cell: () => 'Ready' },
  AGE_COLUMN,
  { name: 'Version', type: 'string', jsonPath: '.status.nodeInfo.kubeletVersion' },
];

const OF_THE_PLATFORM = 'they show the parts of this platform, which runs as one process';

const PODS = viewKind(
  {
    group: '',
    version: 'v1',
    kind: 'Pod',
    plural: 'pods',
    shortNames: ['po'],
    columns: POD_COLUMNS,
    selectableFields: ['spec.nodeName', 'spec.restartPolicy', 'status.phase', 'status.podIP'],
  },
  'Where a function, or a part of the platform, runs: read-only.',
  {
    readOnly: 'each shows a Function or a part of this platform; change or delete the Function',
    subresources: ['log', 'portforward'],
    // A function that names its environment without a namespace means its own; Fission's CLI asks for an empty one.
    labelSelector: (text) => text.replaceAll(/(?:^|,)environmentNamespace==?(?=,|$)/g, '').replace(/^,/, ''),
    from: { resource: `functions.${GROUP}`, storedName: functionNameOf, make: podOfFunction },
    fixed: platformPods,
  },
);

const none = (naming: Naming): ResourceKind =>
  viewKind(naming, 'There are none here.', { readOnly: 'this platform runs none' });

const notServed = (later: LaterKind): ResourceKind =>
  viewKind(
    { group: GROUP, version: VERSION, ...later },
    'A kind of Fission that this version of the platform does not have.',
    { readOnly: whyNotYet(later) },
  );

export const VIEW_KINDS: readonly ResourceKind[] = [
  PODS,
  viewKind(
    {
      group: '',
      version: 'v1',
      kind: 'Service',
      plural: 'services',
      shortNames: ['svc'],
      columns: SERVICE_COLUMNS,
    },
    'An address of the platform: read-only.',
    { readOnly: OF_THE_PLATFORM, fixed: platformServices },
  ),
  viewKind(
    {
      group: '',
      version: 'v1',
      kind: 'Node',
      plural: 'nodes',
      shortNames: ['no'],
      namespaced: false,
      columns: NODE_COLUMNS,
    },
    'The machine that the platform runs on: read-only.',
    { readOnly: 'the one that is there is this machine', fixed: platformNodes },
  ),
  viewKind(
    {
      group: 'apps',
      version: 'v1',
      kind: 'Deployment',
      plural: 'deployments',
      shortNames: ['deploy'],
      columns: DEPLOYMENT_COLUMNS,
    },
    'A part of the platform: read-only.',
    { readOnly: OF_THE_PLATFORM, fixed: platformDeployments },
  ),
  none({ group: 'apps', version: 'v1', kind: 'DaemonSet', plural: 'daemonsets', shortNames: ['ds'] }),
  ...LATER_KINDS.map(notServed),
];

/** The Function that a Pod shows; undefined for a Pod of the platform itself. */
export function functionOfPod(
  pod: KubeObject,
): { readonly namespace: string; readonly name: string } | undefined {
  const { functionName: name, functionNamespace: namespace } = pod.metadata.labels ?? {};
  return pod.metadata.ownerReferences === undefined || name === undefined || namespace === undefined
    ? undefined
    : { namespace, name };
}
