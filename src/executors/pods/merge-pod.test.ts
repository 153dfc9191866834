import { describe, expect, it } from 'vitest';

import type { JsonObject } from '../../api/index.ts';
import { DRAIN } from './containers.ts';
import { mergeContainer, mergePodSpec } from './merge-pod.ts';

const BASE = { name: 'python', image: 'python-env', env: [{ name: 'A', value: '1' }] };

describe('mergeContainer', () => {
  it('joins lists, merges maps and replaces the rest', () => {
    const base = { ...BASE, resources: { limits: { cpu: '1' } }, args: ['a'] };
    expect(
      mergeContainer(
        base,
        {
          image: 'other',
          args: ['b', 'c'],
          env: [{ name: 'B', value: '2' }],
          resources: { limits: { memory: '1Gi' } },
          command: null,
          workingDir: '',
        },
        'spec.runtime.container',
      ),
    ).toEqual({
      name: 'python',
      image: 'other',
      args: ['b', 'c'],
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
      resources: { limits: { cpu: '1', memory: '1Gi' } },
    });
  });

  it('refuses two of a name', () => {
    expect(() =>
      mergeContainer(BASE, { env: [{ name: 'A', value: '2' }] }, 'spec.runtime.container'),
    ).toThrow('spec.runtime.container.env has name "A" twice');
  });
});

describe('mergePodSpec', () => {
  it('matches containers by name, joins lists, and keeps to itself whose account a pod has', () => {
    const base = {
      containers: [BASE],
      serviceAccountName: 'ours',
      automountServiceAccountToken: false,
      volumes: [{ name: 'userfunc', emptyDir: {} }],
      nodeSelector: { a: '1' },
    };
    expect(
      mergePodSpec(
        base,
        {
          serviceAccountName: 'theirs',
          automountServiceAccountToken: true,
          nodeSelector: { b: '2' },
          tolerations: [{ key: 'gpu' }],
          priorityClassName: 'low',
          topologySpreadConstraints: [{ maxSkew: 1 }],
          volumes: [{ name: 'cache', emptyDir: {} }],
          containers: [
            { name: 'python', workingDir: '/app' },
            { name: 'side', image: 'side' },
          ],
          initContainers: [{ name: 'first', image: 'first' }],
        },
        'spec.runtime.podspec',
      ),
    ).toEqual({
      serviceAccountName: 'ours',
      automountServiceAccountToken: false,
      nodeSelector: { a: '1', b: '2' },
      tolerations: [{ key: 'gpu' }],
      priorityClassName: 'low',
      topologySpreadConstraints: [{ maxSkew: 1 }],
      volumes: [
        { name: 'userfunc', emptyDir: {} },
        { name: 'cache', emptyDir: {} },
      ],
      containers: [
        { ...BASE, workingDir: '/app' },
        { name: 'side', image: 'side' },
      ],
      initContainers: [{ name: 'first', image: 'first' }],
    });
  });

  it('refuses a volume of a name that is taken', () => {
    const base = { containers: [BASE], volumes: [{ name: 'userfunc', emptyDir: {} }] };
    expect(() => mergePodSpec(base, { volumes: [{ name: 'userfunc' }] }, 'spec.runtime.podspec')).toThrow(
      'spec.runtime.podspec.volumes has name "userfunc" twice',
    );
  });
});

describe('a short time to end', () => {
  const base = (graceS: number) => ({
    terminationGracePeriodSeconds: graceS,
    containers: [
      { name: 'a', ...DRAIN },
      { name: 'b', lifecycle: { preStop: { sleep: { seconds: 9 } } } },
    ],
  });
  const sleeps = (graceS: number, changes: JsonObject | null = null) =>
    mergePodSpec(base(graceS), changes, 'spec').containers.map(
      ({ lifecycle }) => lifecycle?.preStop?.sleep?.seconds,
    );

  // Kubernetes refuses a sleep that is not shorter than the grace.
  it.each([
    [60, 5],
    [6, 5],
    [5, 4],
    [2, 1],
    [1, undefined],
    [0, undefined],
  ])('of %d s has pods wait %s s before it, and leaves what a user wrote', (graceS, own) => {
    expect(sleeps(graceS)).toEqual([own, 9]);
    expect(sleeps(60, { terminationGracePeriodSeconds: graceS })).toEqual([own, 9]);
  });
});
