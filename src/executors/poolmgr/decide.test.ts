import { describe, expect, it } from 'vitest';

import { decide, type PodFacts, type Situation } from './decide.ts';

const pod = (key: string, facts: Partial<PodFacts> = {}): PodFacts => ({
  key,
  stage: 'serving',
  isCurrent: true,
  ageMs: 600_000,
  running: undefined,
  idleMs: undefined,
  ...facts,
});
const busy = (running: number): Partial<PodFacts> => ({ running, idleMs: 0 });
const idle = (idleMs: number): Partial<PodFacts> => ({ running: 0, idleMs });
const old = { isCurrent: false };

const SITUATION: Situation = {
  pods: [],
  starting: 0,
  demand: { running: 0, queued: 0 },
  pool: { requestsPerPod: 1, maxPods: 500, onceOnly: false, retainPods: 0 },
  idleTimeoutMs: 120_000,
  startTimeoutMs: 120_000,
  loadsAgeMs: 100,
};
const queued = (count: number): Partial<Situation> => ({ demand: { running: 0, queued: count } });
const pool = (options: Partial<Situation['pool']>): Partial<Situation> => ({
  pool: { ...SITUATION.pool, ...options },
});
const NOTHING = { start: 0, retire: [], remove: [] };

describe('decide', () => {
  it.each<[string, Partial<Situation>, Partial<ReturnType<typeof decide>>]>([
    ['nothing where nothing is', {}, {}],
    ['as many pods as wait', queued(3), { start: 3 }],
    ['fewer where each takes several', { ...queued(7), ...pool({ requestsPerPod: 3 }) }, { start: 3 }],
    ['fewer where some start already', { ...queued(3), starting: 2 }, { start: 1 }],
    ['none beyond the most', { ...queued(9), ...pool({ maxPods: 2 }), starting: 2 }, {}],
    [
      'none where there are enough',
      { demand: { running: 1, queued: 1 }, pods: [pod('a', busy(1)), pod('b', busy(0))] },
      {},
    ],
    [
      'none for calls on pods that retire',
      { demand: { running: 2, queued: 0 }, pods: [pod('a', { ...busy(2), stage: 'retiring' })] },
      {},
    ],
  ])('starts %s', (_, situation, decision) => {
    expect(decide({ ...SITUATION, ...situation })).toEqual({ ...NOTHING, ...decision });
  });

  it.each<[string, Partial<Situation>, Partial<ReturnType<typeof decide>>]>([
    [
      'one new pod first, where the function was warm',
      { pods: [pod('a', old), pod('b', old)] },
      { start: 1 },
    ],
    [
      'as many as it retains',
      { pods: [pod('a', old), pod('b', old), pod('c', old)], ...pool({ retainPods: 2 }) },
      { start: 2 },
    ],
    [
      'as many as the calls need',
      { demand: { running: 3, queued: 0 }, pods: [pod('a', { ...old, ...busy(3) })] },
      { start: 3 },
    ],
    [
      'the old ones, when the new ones are there',
      { pods: [pod('a', old), pod('b', { ageMs: 1000 })] },
      { retire: ['a'] },
    ],
    ['none of them before', { pods: [pod('a', old)], starting: 1 }, {}],
    [
      'the old ones, where no more new ones may be',
      { pods: [pod('a', old), pod('b', { ageMs: 1000 })], ...queued(5), ...pool({ maxPods: 1 }) },
      { retire: ['a'] },
    ],
  ])('replaces an old version: %s', (_, situation, decision) => {
    expect(decide({ ...SITUATION, ...situation })).toEqual({ ...NOTHING, ...decision });
  });

  it.each<[string, Partial<Situation>, string[]]>([
    ['pods that were idle for long', { pods: [pod('a', idle(120_000)), pod('b', idle(119_000))] }, ['a']],
    [
      'pods that nobody ever called',
      { pods: [pod('a', { ageMs: 120_000 }), pod('b', { ageMs: 119_000 })] },
      ['a'],
    ],
    ['no pod that has a call', { pods: [pod('a', busy(1))] }, []],
    [
      'no pod that is younger than its last call seems',
      { pods: [pod('a', { ...idle(500_000), ageMs: 1000 })] },
      [],
    ],
    [
      'the longest idle ones, down to what is retained',
      {
        pods: [pod('a', idle(200_000)), pod('b', idle(300_000)), pod('c', idle(250_000))],
        ...pool({ retainPods: 1 }),
      },
      ['b', 'c'],
    ],
    ['none where routers were not asked', { pods: [pod('a', idle(900_000))], loadsAgeMs: null }, []],
    [
      'pods that were used once, where they are to be',
      {
        pods: [pod('a', idle(5)), pod('b', busy(1)), pod('c', { ageMs: 5 })],
        ...pool({ onceOnly: true }),
      },
      ['a'],
    ],
  ])('retires %s', (_, situation, retire) => {
    expect(decide({ ...SITUATION, ...situation }).retire).toEqual(retire);
  });

  it.each<[string, Partial<PodFacts>, number | null, boolean]>([
    ['that retires and has no calls', { stage: 'retiring', ageMs: 5000 }, 100, true],
    [
      'that retires and whose last call ended a while ago',
      { stage: 'retiring', ageMs: 5000, ...idle(1000) },
      100,
      true,
    ],
    ['whose last call has just ended', { stage: 'retiring', ageMs: 5000, ...idle(900) }, 100, false],
    ['that still has a call', { stage: 'retiring', ageMs: 900_000, ...busy(1) }, 100, false],
    ['of which routers may not know yet', { stage: 'retiring', ageMs: 1500 }, 100, false],
    ['while routers cannot be asked', { stage: 'retiring', ageMs: 900_000 }, null, false],
    ['that somebody began to specialise long ago', { stage: 'claimed', ageMs: 120_001 }, null, true],
    ['that is being specialised', { stage: 'claimed', ageMs: 119_000 }, null, false],
    ['that is being specialised for a version before', { stage: 'claimed', ageMs: 0, ...old }, null, true],
  ])('removes a pod %s: %#', (_, facts, loadsAgeMs, isRemoved) => {
    const { remove } = decide({ ...SITUATION, pods: [pod('a', facts)], loadsAgeMs });
    expect(remove).toEqual(isRemoved ? ['a'] : []);
  });
});
