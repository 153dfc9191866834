import { describe, expect, it } from 'vitest';

import { kindByName, resolveEnvironment, resolveFunction } from './index.ts';
import type { Environment } from './index.ts';
import { environment, fn } from './testing/examples.ts';

type Scaling = Environment['spec']['scaling'];

function annotated(annotations: Record<string, string>, scaling?: Scaling): Environment {
  const plain = environment(scaling === undefined ? {} : { scaling });
  return { ...plain, metadata: { ...plain.metadata, annotations } };
}

describe('spec.scaling', () => {
  it.each<[string, Record<string, string>, Scaling, object]>([
    ['has defaults', {}, undefined, {}],
    ['comes as a block', {}, { idlePercent: 0, idleTimeout: 30 }, { idlePercent: 0, idleTimeoutMs: 30_000 }],
    [
      'comes as annotations',
      {
        'fissium.io/scaling-max-pods': '7',
        'fissium.io/scaling-requests-per-host': '40',
        'fissium.io/scaling-idle-timeout': '1m',
      },
      undefined,
      { maxPods: 7, requestsPerHost: 40, idleTimeoutMs: 60_000 },
    ],
    ['comes as JSON', { 'fissium.io/scaling': '{"queueThreshold":5}' }, undefined, { queueThreshold: 5 }],
    [
      'counts before annotations, and single ones before JSON',
      {
        'fissium.io/scaling': '{"queueThreshold":5,"maxPods":5,"idlePercent":5}',
        'fissium.io/scaling-queue-threshold': '6',
        'fissium.io/scaling-idle-percent': '6',
      },
      { idlePercent: 7 },
      { idlePercent: 7, queueThreshold: 6, maxPods: 5 },
    ],
  ])('%s', (_, annotations, scaling, expected) => {
    const defaults = {
      idlePercent: 20,
      queueThreshold: 50,
      maxPods: 1000,
      requestsPerHost: 500,
      idleTimeoutMs: 120_000,
    };
    expect(resolveEnvironment(annotated(annotations, scaling)).scaling).toEqual({ ...defaults, ...expected });
  });

  it.each<[string, Record<string, string>, Scaling, RegExp]>([
    ['a share that leaves no room', {}, { idlePercent: 100 }, /spec.scaling.idlePercent/],
    ['a host for nothing', {}, { requestsPerHost: 0 }, /spec.scaling.requestsPerHost/],
    ['a time that is none', {}, { idleTimeout: 'soon' }, /spec.scaling.idleTimeout must be whole seconds/],
    ['a time of nothing', {}, { idleTimeout: 0 }, /spec.scaling.idleTimeout must be over 0/],
    ['words for numbers', { 'fissium.io/scaling-max-pods': 'many' }, undefined, /scaling-max-pods/],
    [
      'unknown settings',
      { 'fissium.io/scaling-speed': '1' },
      undefined,
      /is not known; there are .*max-pods/,
    ],
    ['unknown fields in JSON', { 'fissium.io/scaling': '{"speed":1}' }, undefined, /fissium.io\/scaling/],
  ])('refuses %s', (_, annotations, scaling, message) => {
    const errors = kindByName('Environment')?.validate(annotated(annotations, scaling)) ?? [];
    expect(errors.map(({ path, message: what }) => `${path} ${what}`).join('\n')).toMatch(message);
  });
});

describe('the pods of a function', () => {
  it("have Fission's defaults", () => {
    expect(resolveFunction(fn()).pods).toEqual({
      requestsPerPod: 1,
      maxPods: 500,
      onceOnly: false,
      retainPods: 0,
    });
  });

  it('serve one request each where that is asked for, whatever else is said', () => {
    const { pods, limits } = resolveFunction(fn({ onceOnly: true, requestsPerPod: 5, concurrency: 7 }));
    expect(pods).toMatchObject({ requestsPerPod: 1, maxPods: 7, onceOnly: true });
    expect(limits.concurrency).toBe(7);
  });

  it('three of them wait for functions before version 3 of the interface', () => {
    const poolSizes = [1, 2, 3].map((version) => resolveEnvironment(environment({ version })).poolSize);
    expect(poolSizes).toEqual([3, 3, 0]);
  });
});
