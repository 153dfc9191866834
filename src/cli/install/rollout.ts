import { setTimeout as sleep } from 'node:timers/promises';

import type { KubeObject } from '../../kube/index.ts';
import { RESOURCES, type Cluster } from '../cluster.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';

interface Deployment extends KubeObject {
  spec?: { replicas?: number };
  status?: {
    observedGeneration?: number;
    updatedReplicas?: number;
    availableReplicas?: number;
    replicas?: number;
    conditions?: { type: string; status: string; message?: string }[];
  };
}

export interface RolloutOptions {
  readonly timeoutMs: number;
  readonly out: Output;
}

const PAUSE_MS = 500;

/** Waits until every Deployment runs what was applied. @throws CliError that names those that do not */
export async function rolledOut(
  cluster: Cluster,
  deployments: readonly KubeObject[],
  { timeoutMs, out }: RolloutOptions,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  const progress = out.progress('waiting');
  try {
    for (;;) {
      const behind: string[] = [];
      for (const { metadata } of deployments) {
        const now = await cluster.get<Deployment>(RESOURCES.deployments, metadata.name, metadata.namespace);
        const why = whyBehind(now);
        if (why !== null) behind.push(`${metadata.name}: ${why}`);
      }
      if (behind.length === 0) return;
      if (performance.now() > endMs) {
        throw new CliError('the platform is installed, but not all of it runs', {
          why: behind.join('; '),
          fix: `see kubectl -n ${deployments[0]?.metadata.namespace ?? ''} get pods,events, then run fissium check`,
        });
      }
      progress.update(behind.join('; '));
      await sleep(PAUSE_MS);
    }
  } finally {
    progress.end();
  }
}

/** Why a Deployment does not run as it is wanted; null where it does. */
export function whyBehind({ metadata, spec, status = {} }: Deployment): string | null {
  const wanted = spec?.replicas ?? 1;
  const { observedGeneration = 0, updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = status;
  const isSeen = observedGeneration >= (metadata.generation ?? 0);
  if (isSeen && updatedReplicas >= wanted && availableReplicas >= wanted && replicas === updatedReplicas)
    return null;
  const failure = status.conditions?.find(
    ({ type, status: is }) => type === 'ReplicaFailure' && is === 'True',
  );
  return failure?.message ?? `${availableReplicas} of ${wanted} pods run`;
}
