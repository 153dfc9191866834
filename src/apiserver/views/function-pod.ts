/**
 * A Pod for each Function, with the labels that Fission gives the pods of its functions: here a function runs in
 * the platform's process or in a local one, and clients that look for pods still find its state and its log.
 */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { isRecord, type KubeObject } from '../object.ts';
import type { Lookup } from './view.ts';

/** As `<function>-<first part of its uid>`: unique, and the function's name can be read from it. */
export function podNameOf(fn: KubeObject): string {
  return `${fn.metadata.name}-${(fn.metadata.uid ?? '').slice(0, UID_LENGTH)}`;
}

const UID_LENGTH = 8;

/** The function that a pod of this name would belong to. */
export function functionNameOf(pod: string): string {
  return pod.slice(0, -(UID_LENGTH + 1));
}

interface Ready {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly since: string | undefined;
}

export function podOfFunction(fn: KubeObject, lookup: Lookup): KubeObject {
  const { name, namespace = '', uid = '', creationTimestamp } = fn.metadata;
  const spec = recordOf(fn['spec']);
  const environment = recordOf(spec['environment']);
  const environmentName = textOf(environment['name']);
  const environmentNamespace = textOf(environment['namespace']) || namespace;
  const stored = lookup('environments.fission.io', environmentNamespace, environmentName);
  const image = textOf(recordOf(recordOf(stored?.['spec'])['runtime'])['image']) || environmentName;
  const strategy = recordOf(recordOf(spec['InvokeStrategy'])['ExecutionStrategy']);
  const ready = readyOf(fn);
  const labels = {
    ...fn.metadata.labels,
    environmentName,
    environmentNamespace,
    executorType: textOf(strategy['ExecutorType']) || 'poolmgr',
    functionName: name,
    functionNamespace: namespace,
    functionUid: uid,
    managed: 'false',
    ...(ready.status === 'True' ? { 'fission.io/served': 'true' } : {}),
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podNameOf(fn),
      namespace,
      uid: uidFrom(`pod of ${uid}`),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      labels,
      ownerReferences: [{ apiVersion: fn.apiVersion, kind: fn.kind, name, uid, controller: true }],
    },
    spec: {
      nodeName: nodeName(),
      restartPolicy: 'Always',
      containers: [{ name, image }],
    },
    status: podStatus({ name, image, ready, createdAt: creationTimestamp }),
  };
}

export interface ContainerFacts {
  readonly name: string;
  readonly image: string;
  readonly ready: Ready;
  readonly createdAt: string | undefined;
}

/** The status of a Pod with one container. */
export function podStatus({ name, image, ready, createdAt }: ContainerFacts): Record<string, unknown> {
  const isReady = ready.status === 'True';
  const startedAt = (isReady ? ready.since : undefined) ?? createdAt ?? null;
  const condition = (type: string, status: boolean): Record<string, unknown> => ({
    type,
    status: status ? 'True' : 'False',
    lastProbeTime: null,
    lastTransitionTime: ready.since ?? createdAt ?? null,
    ...(status ? {} : { reason: ready.reason, message: ready.message }),
  });
  return {
    phase: isReady ? 'Running' : 'Pending',
    conditions: [
      condition('PodScheduled', true),
      condition('Initialized', true),
      condition('ContainersReady', isReady),
      condition('Ready', isReady),
    ],
    hostIP: LOOPBACK,
    podIP: LOOPBACK,
    podIPs: [{ ip: LOOPBACK }],
    startTime: createdAt ?? null,
    containerStatuses: [
      {
        name,
        image,
        imageID: '',
        ready: isReady,
        started: isReady,
        restartCount: 0,
        state: isReady
          ? { running: { startedAt } }
          : { waiting: { reason: ready.reason, message: ready.message } },
        lastState: {},
      },
    ],
  };
}

const LOOPBACK = '127.0.0.1';

function readyOf(fn: KubeObject): Ready {
  const { conditions } = recordOf(fn['status']);
  const list: unknown[] = Array.isArray(conditions) ? conditions : [];
  const found = recordOf(list.find((condition) => recordOf(condition)['type'] === 'Ready'));
  return {
    status: textOf(found['status']) || 'Unknown',
    reason: textOf(found['reason']) || 'NotReconciled',
    message: textOf(found['message']) || 'The function has not been looked at yet.',
    since: textOf(found['lastTransitionTime']) || undefined,
  };
}

/** This machine's name in the form of a node's. */
export function nodeName(): string {
  return (
    hostname()
      .toLowerCase()
      .replaceAll(/[^a-z0-9.-]/g, '-')
      .replaceAll(/^[-.]+|[-.]+$/g, '') || 'localhost'
  );
}

/** A uid (RFC 9562, version 8) that is the same for the same text. */
export function uidFrom(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
