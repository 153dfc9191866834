import { describe, expect, it } from 'vitest';

import { judge, type Situation } from './judge.ts';
import type { Deployment, DeploymentStatus } from './objects.ts';
import type { Pod } from './pod-troubles.ts';

const SCALE: Situation['scale'] = {
  min: 1,
  max: 3,
  cpuPercent: null,
  metrics: [],
  behavior: null,
  callsPerPod: 20,
};

function deployment(replicas: number, status: DeploymentStatus, generation = 4): Deployment {
  return {
    metadata: { name: 'd', generation },
    spec: { replicas, selector: {}, template: {} },
    status: { observedGeneration: 4, ...status },
  };
}
const situation = (parts: Partial<Situation>): Situation => ({
  deployment: deployment(1, {}),
  pods: [],
  version: 'v2',
  scale: SCALE,
  leftOut: [],
  ...parts,
});
const pod = (status: Pod['status'], version = 'v2'): Pod => ({
  metadata: { name: 'p', annotations: { 'fissium.io/version': version } },
  status: status ?? {},
});
const container = (parts: object, name = 'python'): Pod =>
  pod({ containerStatuses: [{ name, image: 'img:1', ready: false, ...parts }] });
const READY: Pod['status'] = { conditions: [{ type: 'Ready', status: 'True' }] };
const SERVES = { replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 };

describe('judge', () => {
  it.each<[string, Partial<Situation>, object]>([
    ['nothing is there yet', { deployment: undefined }, { passing: true }],
    ['its controller is behind', { deployment: deployment(1, SERVES, 5) }, { passing: true }],
    ['no pod is wanted', { deployment: deployment(0, {}) }, { ready: true, reason: 'ScaledToZero' }],
    [
      'all pods serve',
      { deployment: deployment(1, SERVES), leftOut: ['Left out.'] },
      { ready: true, reason: 'Deployed', message: '1 pod serves it, 1 to 3 as needed. Left out.' },
    ],
    [
      'the version before still serves while the next starts',
      { deployment: deployment(1, { ...SERVES, replicas: 2 }), pods: [pod({})] },
      { passing: true },
    ],
    [
      'only the version before serves, since the next does not start',
      {
        deployment: deployment(1, { ...SERVES, replicas: 2 }),
        pods: [
          pod(READY, 'v1'),
          container({ state: { waiting: { reason: 'ImagePullBackOff', message: 'not found' } } }),
        ],
      },
      {
        ready: false,
        reason: 'ImagePullFailed',
        message:
          'The image img:1 of container python cannot be had (ImagePullBackOff): not found The version before still serves.',
      },
    ],
    [
      'some pods serve and others find no node',
      {
        deployment: deployment(2, {
          replicas: 2,
          updatedReplicas: 2,
          readyReplicas: 1,
          availableReplicas: 1,
        }),
        pods: [
          pod(READY),
          pod({
            conditions: [
              { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no cpu' },
            ],
          }),
        ],
      },
      { ready: true, reason: 'ShortOfPods', message: expect.stringContaining('no cpu') as unknown },
    ],
    [
      'pods of another version are in trouble',
      {
        pods: [{ ...container({ state: { waiting: { reason: 'ErrImagePull' } } }), metadata: { name: 'p' } }],
      },
      { passing: true },
    ],
    [
      'quotas leave no room',
      {
        deployment: deployment(1, {
          conditions: [
            { type: 'ReplicaFailure', status: 'True', message: 'pods "x" is forbidden: exceeded quota: q' },
          ],
        }),
      },
      {
        ready: false,
        reason: 'QuotaExceeded',
        message: expect.stringContaining('exceeded quota: q') as unknown,
      },
    ],
    [
      'it takes too long',
      {
        deployment: deployment(1, {
          conditions: [
            {
              type: 'Progressing',
              status: 'False',
              reason: 'ProgressDeadlineExceeded',
              message: 'timed out',
            },
          ],
        }),
      },
      { ready: false, reason: 'RolloutStalled' },
    ],
  ])('tells when %s', (_what, parts, expected) => {
    expect(judge(situation(parts))).toMatchObject(expected);
  });

  it.each<[string, Pod, string, string]>([
    [
      'a crash, with its last words',
      container({
        restartCount: 3,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: {
          terminated: { exitCode: 1, reason: 'Error', message: 'a\nb\n\nTypeError: x\n  at y\n' },
        },
      }),
      'CrashLooping',
      'Container python ended with exit code 1 (started again 3 times). Its last words: b | TypeError: x | at y',
    ],
    [
      'a function that cannot be loaded',
      container({ state: { terminated: { exitCode: 1, message: 'no module named app' } } }, 'fetcher'),
      'SpecializationFailed',
      'no module named app',
    ],
    [
      'too much memory',
      container({ restartCount: 1, lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }),
      'OutOfMemory',
      'spec.resources.limits.memory',
    ],
    [
      'a key that is missing',
      container({
        state: { waiting: { reason: 'CreateContainerConfigError', message: "couldn't find key k" } },
      }),
      'ContainerNotCreated',
      "couldn't find key k",
    ],
    [
      'a command that is not there',
      container({ state: { waiting: { reason: 'RunContainerError', message: 'exec: "x": not found' } } }),
      'ContainerNotStarted',
      'exec: "x": not found',
    ],
    [
      'a pod that the node refused',
      pod({ phase: 'Failed', reason: 'OutOfpods', message: 'too many pods' }),
      'PodFailed',
      'too many pods',
    ],
  ])('names %s', (_what, troubled, reason, message) => {
    const verdict = judge(situation({ pods: [troubled] }));
    expect(verdict).toMatchObject({ ready: false, reason });
    expect(verdict.message).toContain(message);
  });
});
