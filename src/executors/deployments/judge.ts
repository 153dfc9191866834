/** What became of a function with a Deployment: its `Ready` condition. Pure. */
import type { ResolvedScale } from '../../api/index.ts';
import { VERSION_ANNOTATION } from '../pods/labels.ts';
import type { StrategyVerdict } from '../strategy.ts';
import type { Deployment } from './objects.ts';
import { type Pod, troubleOf } from './pod-troubles.ts';

export interface Situation {
  /** As it is on the cluster; undefined before it is there. */
  readonly deployment: Deployment | undefined;
  /** All of the function's pods. */
  readonly pods: readonly Pod[];
  /** Of the pods that are wanted. */
  readonly version: string;
  readonly scale: ResolvedScale;
  /** What of the function's wishes could not be followed. */
  readonly leftOut: readonly string[];
}

export function judge(situation: Situation): StrategyVerdict {
  const { deployment, scale } = situation;
  if (deployment === undefined || isBehind(deployment)) {
    return passing('Its pods are being made.');
  }
  const { replicas: wanted = 1 } = deployment.spec;
  if (wanted === 0) {
    return ready('ScaledToZero', 'No pod runs; the first call starts one.', situation);
  }
  const { status = {} } = deployment;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0, readyReplicas = 0 } = status;
  if (updatedReplicas >= wanted && replicas === updatedReplicas && availableReplicas >= wanted) {
    const bounds = scale.min === scale.max ? '' : `, ${scale.min} to ${scale.max} as needed`;
    return ready('Deployed', `${count(wanted)} ${wanted === 1 ? 'serves' : 'serve'} it${bounds}.`, situation);
  }
  const trouble = refusal(deployment) ?? firstTrouble(situation) ?? stalled(deployment);
  if (trouble === undefined) return passing(`${readyReplicas} of ${count(wanted)} ready.`);
  // Some of what is wanted serves already: a function that is only short of pods is ready.
  const serving = servesWanted(situation);
  if (serving > 0) {
    const message = `${serving} of ${count(wanted)} serve it; the others do not start: ${trouble.message}`;
    return { ready: true, reason: 'ShortOfPods', message };
  }
  const before = readyReplicas > 0 ? ' The version before still serves.' : '';
  return { ready: false, reason: trouble.reason, message: `${trouble.message}${before}` };
}

/** The Deployment's controller has not seen yet what is wanted now. */
function isBehind({ metadata, status }: Deployment): boolean {
  return (status?.observedGeneration ?? 0) < (metadata.generation ?? 0);
}

function ready(reason: string, words: string, { leftOut }: Situation): StrategyVerdict {
  return { ready: true, reason, message: [words, ...leftOut].join(' ') };
}

function passing(message: string): StrategyVerdict {
  return { ready: false, reason: 'Starting', message, passing: true };
}

/** The API server takes no pods of it: quotas, admission, security policies. */
function refusal({ status }: Deployment): { reason: string; message: string } | undefined {
  const condition = status?.conditions?.find(
    ({ type, status: is }) => type === 'ReplicaFailure' && is === 'True',
  );
  if (condition === undefined) return undefined;
  const { message = 'no reason is given' } = condition;
  return message.includes('exceeded quota')
    ? { reason: 'QuotaExceeded', message: `The namespace's quota leaves no room for its pods: ${message}` }
    : { reason: 'PodsRefused', message: `The API server refuses its pods: ${message}` };
}

function firstTrouble({ pods, version }: Situation): { reason: string; message: string } | undefined {
  for (const pod of pods) {
    if (!isOf(pod, version)) continue;
    const trouble = troubleOf(pod);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

function stalled({ status }: Deployment): { reason: string; message: string } | undefined {
  const condition = status?.conditions?.find(({ type }) => type === 'Progressing');
  if (condition?.reason !== 'ProgressDeadlineExceeded') return undefined;
  return {
    reason: 'RolloutStalled',
    message: `Its pods do not become ready: ${condition.message ?? 'no reason is given'} See \`kubectl describe pods -l functionName=…\`.`,
  };
}

function servesWanted({ pods, version }: Situation): number {
  return pods.filter(
    (pod) =>
      isOf(pod, version) &&
      (pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false),
  ).length;
}

function isOf({ metadata }: Pod, version: string): boolean {
  return metadata.annotations?.[VERSION_ANNOTATION] === version && metadata.deletionTimestamp === undefined;
}

function count(pods: number): string {
  return pods === 1 ? '1 pod' : `${pods} pods`;
}
