import { beforeEach, describe, expect, it } from 'vitest';

import { type HostLoad, HostScaling } from './host-scaling.ts';

const SCALING = {
  idlePercent: 20,
  queueThreshold: 50,
  maxPods: 1000,
  requestsPerHost: 500,
  idleTimeoutMs: 120_000,
};

let scaling: HostScaling;
let nowMs: number;
let replicas: number | undefined;

beforeEach(() => {
  scaling = new HostScaling();
  nowMs = 0;
  replicas = 1;
});

/** One look, a second after the last, which the Deployment follows. @returns what it asks for then */
function look(load: Partial<HostLoad> = {}, settings: Partial<typeof SCALING> = {}): number | undefined {
  nowMs += 1000;
  const whole = { minimum: 1, running: 0, queued: 0, loadsAgeMs: 500, least: 0, replicas, ...load };
  replicas = scaling.next(whole, { ...SCALING, ...settings }, nowMs) ?? replicas;
  return replicas;
}

describe('the hosts of an environment', () => {
  it('are two for 500 connections to one function, and stay so while the load goes up and down', () => {
    const seen = Array.from({ length: 60 }, (_, second) => look({ running: second % 2 === 0 ? 500 : 430 }));
    expect(new Set(seen)).toEqual(new Set([2]));
  });

  it('do not come and go with a load that does', () => {
    const seen = Array.from({ length: 600 }, (_, second) => look({ running: second % 60 === 0 ? 1500 : 0 }));
    expect(new Set(seen)).toEqual(new Set([4]));
  });

  it('go when nothing has needed them for the idle time, to the pool size', () => {
    look({ running: 1500 });
    const seen = Array.from({ length: 130 }, () => look());
    expect(seen.indexOf(1)).toBe(119);
    expect(seen.slice(119)).toEqual(Array<number>(11).fill(1));
  });

  it('are as many as the queue needs, at once, and no more than the settings allow', () => {
    expect(look({ running: 100, queued: 50 })).toBe(1);
    expect(look({ running: 100, queued: 3000 })).toBe(7);
    expect(look({ running: 100, queued: 3000 }, { maxPods: 3 })).toBe(3);
    expect(look({ running: 100 }, { maxPods: 3 })).toBe(3);
  });

  it('of a pool of none are one for the first call, and none again', () => {
    replicas = 0;
    expect(look({ minimum: 0 })).toBe(0);
    expect(look({ minimum: 0, least: 1 })).toBe(1);
    for (let second = 0; second < 119; second++) expect(look({ minimum: 0 })).toBe(1);
    expect(look({ minimum: 0 })).toBe(0);
  });

  it('are not taken for idle while a router does not say its load', () => {
    look({ running: 1500 });
    for (let second = 0; second < 200; second++) expect(look({ loadsAgeMs: 6000 })).toBe(4);
    expect(look({ loadsAgeMs: null })).toBe(4);
    // It still grows by what the others say.
    expect(look({ running: 2000, loadsAgeMs: 6000 })).toBe(5);
    replicas = 2;
    expect(look({ minimum: 3, loadsAgeMs: null })).toBe(5);
  });

  it('that a new leader finds are kept for the idle time', () => {
    replicas = 6;
    scaling.found(6, SCALING, nowMs);
    for (let second = 0; second < 119; second++) expect(look()).toBe(6);
    expect(look()).toBe(1);
  });

  it('are asked for where the Deployment says nothing yet', () => {
    replicas = undefined;
    expect(look()).toBe(1);
  });
});
