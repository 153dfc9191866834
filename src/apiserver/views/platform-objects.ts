/**
 * The platform's parts as Fission's chart names them. All of them are this one process; clients find by these
 * objects whether a part is there, and on which port.
 */
import { availableParallelism, totalmem } from 'node:os';
import type { KubeObject } from '../object.ts';
import { nodeName, podStatus, uidFrom } from './function-pod.ts';
import type { PlatformFacts } from './view.ts';

interface Part {
  /** Of the Deployment and the Pod. */
  readonly name: string;
  /** Fission's label `application`, by which its CLI looks for the part. */
  readonly application?: string;
  /** Ports of the Pod: their name, and the upstream behind them. */
  readonly ports: readonly { readonly name: string; readonly upstream: string }[];
}

const PARTS: readonly Part[] = [
  { name: 'executor', ports: [] },
  {
    name: 'router',
    application: 'fission-router',
    ports: [
      { name: 'http', upstream: 'router' },
      { name: 'internal', upstream: 'router-internal' },
    ],
  },
  {
    name: 'storagesvc',
    application: 'fission-storage',
    ports: [{ name: 'http', upstream: 'storagesvc' }],
  },
  // What Fission's webhook checks, the API server here checks itself.
  { name: 'webhook', ports: [] },
];

interface ServicePart {
  readonly name: string;
  readonly part: string;
  readonly application?: string;
  /** Port of the Service → name of the Pod's port. */
  readonly ports: readonly { readonly name: string; readonly port: number; readonly target: string }[];
}

const SERVICES: readonly ServicePart[] = [
  { name: 'executor', part: 'executor', ports: [] },
  {
    name: 'router',
    part: 'router',
    application: 'fission-router',
    // Fission's CLI forwards to the last one, and calls functions by name there: only the internal listener does that.
    ports: [
      { name: 'http', port: 80, target: 'http' },
      { name: 'internal', port: 8889, target: 'internal' },
    ],
  },
  { name: 'router-internal', part: 'router', ports: [{ name: 'internal', port: 8889, target: 'internal' }] },
  {
    name: 'storagesvc',
    part: 'storagesvc',
    application: 'fission-storage',
    ports: [{ name: 'http', port: 80, target: 'http' }],
  },
  { name: 'webhook-service', part: 'webhook', ports: [] },
];

const NOTE = { 'fissium.io/note': 'a part of the one process of this platform; read-only' };

/** Where a port of a part's Pod leads; undefined where it has none of that number. */
export function upstreamOfPort(facts: PlatformFacts, pod: string, port: number): string | undefined {
  const part = PARTS.find(({ name }) => name === pod);
  return part?.ports
    .map(({ upstream }) => facts.upstreams[upstream])
    .find((url) => url !== undefined && portOf(url) === port);
}

export function platformPods(facts: PlatformFacts): KubeObject[] {
  const ready = readiness(facts);
  return PARTS.map((part) => {
    const image = `fissium:${facts.release}`;
    const ports = part.ports.flatMap(({ name, upstream }) => {
      const url = facts.upstreams[upstream];
      return url === undefined ? [] : [{ name, containerPort: portOf(url), protocol: 'TCP' }];
    });
    return {
      ...head('v1', 'Pod', part.name, facts, labelsOf(part)),
      spec: {
        nodeName: nodeName(),
        restartPolicy: 'Always',
        containers: [{ name: part.name, image, ports }],
      },
      status: podStatus({ name: part.name, image, ready, createdAt: timeOf(facts) }),
    };
  });
}

export function platformDeployments(facts: PlatformFacts): KubeObject[] {
  const isReady = readiness(facts).status === 'True';
  return PARTS.map((part) => {
    const labels = labelsOf(part);
    const containers = [{ name: part.name, image: `fissium:${facts.release}` }];
    return {
      ...head('apps/v1', 'Deployment', part.name, facts, labels),
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers } },
      },
      status: {
        observedGeneration: 1,
        replicas: 1,
        updatedReplicas: 1,
        ...(isReady ? { readyReplicas: 1, availableReplicas: 1 } : { unavailableReplicas: 1 }),
        conditions: [{ type: 'Available', status: isReady ? 'True' : 'False', reason: 'OneProcess' }],
      },
    };
  });
}

export function platformServices(facts: PlatformFacts): KubeObject[] {
  return SERVICES.map(({ name, part, application, ports }) => {
    const targets = PARTS.find((each) => each.name === part)?.ports ?? [];
    const labels = { svc: name, ...(application === undefined ? {} : { application }) };
    return {
      ...head('v1', 'Service', name, facts, labels),
      spec: {
        type: 'ClusterIP',
        clusterIP: 'None',
        selector: { svc: part },
        ports: ports.flatMap(({ target, ...port }) => {
          const upstream = targets.find((each) => each.name === target)?.upstream ?? '';
          const url = facts.upstreams[upstream];
          return url === undefined ? [] : [{ ...port, protocol: 'TCP', targetPort: portOf(url) }];
        }),
      },
      status: { loadBalancer: {} },
    };
  });
}

/** The machine. */
export function platformNodes(facts: PlatformFacts): KubeObject[] {
  const resources = {
    cpu: String(availableParallelism()),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
  };
  const node = head('v1', 'Node', nodeName(), facts, { 'kubernetes.io/hostname': nodeName() });
  delete node.metadata.namespace;
  return [
    {
      ...node,
      spec: {},
      status: {
        capacity: resources,
        allocatable: resources,
        addresses: [{ type: 'Hostname', address: nodeName() }],
        conditions: [
          { type: 'Ready', status: 'True', reason: 'OneProcess', lastTransitionTime: timeOf(facts) },
        ],
        nodeInfo: { kubeletVersion: `fissium-${facts.release}`, operatingSystem: process.platform },
      },
    },
  ];
}

function readiness(facts: PlatformFacts): Parameters<typeof podStatus>[0]['ready'] {
  const listens = Object.keys(facts.upstreams).length > 0;
  return {
    status: listens ? 'True' : 'False',
    reason: listens ? '' : 'Starting',
    message: listens ? '' : 'The platform does not listen yet.',
    since: timeOf(facts),
  };
}

function labelsOf({ name, application }: Part): Record<string, string> {
  return { svc: name, ...(application === undefined ? {} : { application }) };
}

function head(
  apiVersion: string,
  kind: string,
  name: string,
  facts: PlatformFacts,
  labels: Record<string, string>,
): KubeObject {
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      namespace: facts.namespace,
      uid: uidFrom(`${kind} ${name} ${timeOf(facts)}`),
      generation: 1,
      creationTimestamp: timeOf(facts),
      labels,
      annotations: NOTE,
    },
  };
}

function timeOf({ startedAt }: PlatformFacts): string {
  return startedAt.toISOString().replace(/\.\d+Z$/, 'Z');
}

function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}
