import { describe, expect, it } from 'vitest';

import {
  type GenericPool,
  type HostPool,
  podsFor,
  RecentPeak,
  reserveOf,
  wantedGenericPods,
  wantedHosts,
} from './pool-scaling.ts';

const limits = { idlePercent: 20, queueThreshold: 50, maxPods: 100 };

it.each<[string, number, number, Partial<typeof limits>, number]>([
  ['the pool size where nothing runs', 3, 0, {}, 3],
  ['none where the pool size is 0', 0, 0, {}, 0],
  ['a fifth of all', 1, 8, {}, 2],
  ['more than a fifth where it does not come out even', 1, 9, {}, 3],
  ['the pool size where that is more', 5, 8, {}, 5],
  ['no share where it is turned off', 1, 80, { idlePercent: 0 }, 1],
])('the reserve is %s', (_, minimum, busy, other, reserve) => {
  expect(reserveOf(minimum, busy, { ...limits, ...other })).toBe(reserve);
});

describe('wantedGenericPods', () => {
  it.each<[string, Partial<GenericPool>, Partial<typeof limits>, number]>([
    ['the reserve where nothing is missing', { reserve: 3 }, {}, 3],
    ['one for the first request of a pool without reserve', { missing: 1, queued: 1 }, {}, 1],
    [
      'what is missing, out of the reserve, for a small queue',
      { reserve: 3, missing: 10, queued: 10 },
      {},
      10,
    ],
    ['a queue at the threshold is small', { reserve: 3, missing: 50, queued: 50 }, {}, 50],
    ['what is missing and the reserve for a long queue', { reserve: 13, missing: 51, queued: 51 }, {}, 64],
    ['the threshold is a setting', { reserve: 3, missing: 10, queued: 10 }, { queueThreshold: 9 }, 13],
    ['few pods for a long queue where each takes many', { reserve: 1, missing: 2, queued: 200 }, {}, 3],
    ['the maximum holds over all of them', { reserve: 3, busy: 95, missing: 40, queued: 99 }, {}, 5],
    ['never fewer than none', { reserve: 3, busy: 120 }, {}, 0],
  ])('%s', (_, pool, other, wanted) => {
    const whole = { reserve: 0, busy: 0, missing: 0, queued: 0, ...pool };
    expect(wantedGenericPods(whole, { ...limits, ...other })).toBe(wanted);
  });
});

describe('wantedHosts', () => {
  const ofHosts = { ...limits, requestsPerHost: 100 };
  it.each<[string, Partial<HostPool>, Partial<typeof ofHosts>, number]>([
    ['the pool size where nothing runs', { minimum: 2 }, {}, 2],
    ['none where the pool size is 0', {}, {}, 0],
    ['one as soon as a request waits', { queued: 1 }, {}, 1],
    ['one is enough up to its share', { running: 80 }, {}, 1],
    ['one more beyond it', { running: 81 }, {}, 2],
    ['all of it used where the share is turned off', { running: 100 }, { idlePercent: 0 }, 1],
    ['a small queue waits', { running: 80, queued: 50 }, {}, 1],
    ['a long queue gets what it needs at once', { running: 80, queued: 320 }, {}, 4],
    ['the maximum holds', { running: 80, queued: 32_000 }, { maxPods: 7 }, 7],
    ['500 connections want two hosts of the usual capacity', { running: 500 }, { requestsPerHost: 500 }, 2],
    ['400 leave a fifth of one idle', { running: 400 }, { requestsPerHost: 500 }, 1],
  ])('%s', (_, pool, other, wanted) => {
    const whole = { minimum: 0, running: 0, queued: 0, ...pool };
    expect(wantedHosts(whole, { ...ofHosts, ...other })).toBe(wanted);
  });
});

it.each([
  [10, 1, 500, 10],
  [10, 3, 500, 4],
  [0, 3, 500, 0],
  [600, 1, 500, 500],
])('%i requests of %i a pod and %i pods at most need %i', (requests, perPod, most, pods) => {
  expect(podsFor(requests, perPod, most)).toBe(pods);
});

describe('RecentPeak', () => {
  it('grows at once and shrinks when nothing asked for as much for the whole window', () => {
    const peak = new RecentPeak();
    const values = [3, 10, 4, 4, 6, 2, 2, 2].map((value, index) => peak.next(value, 3000, index * 1000));
    expect(values).toEqual([3, 10, 10, 10, 6, 6, 6, 2]);
  });

  it('takes a shorter window for what comes from then on', () => {
    const peak = new RecentPeak();
    peak.next(5, 10_000, 0);
    expect(peak.next(1, 10, 9999)).toBe(5);
    expect(peak.next(1, 10, 10_000)).toBe(1);
  });
});
