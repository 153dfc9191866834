import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';

import { eventually } from '../kube/testing/eventually.ts';
import { WorkQueue, type WorkQueueOptions } from './work-queue.ts';

let queue: WorkQueue;

afterEach(() => queue.close());

function make(reconcile: WorkQueueOptions['reconcile'], options: Partial<WorkQueueOptions> = {}): WorkQueue {
  const logger = pino({ level: 'silent' });
  queue = new WorkQueue({
    name: 'test',
    concurrency: 2,
    reconcile,
    logger,
    retryBaseMs: 2,
    retryCapMs: 8,
    ...options,
  });
  return queue;
}

/** A reconcile function whose runs end when told. */
function steps(): {
  reconcile: WorkQueueOptions['reconcile'];
  running: Map<string, () => void>;
  runs: string[];
} {
  const running = new Map<string, () => void>();
  const runs: string[] = [];
  const reconcile = (key: string): Promise<void> => {
    if (running.has(key)) throw new Error(`${key} runs twice at once`);
    runs.push(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    running.set(key, () => {
      running.delete(key);
      resolve();
    });
    return promise;
  };
  return { reconcile, running, runs };
}

describe('WorkQueue', () => {
  it('holds a key once, works on few at a time, and in order', async () => {
    const { reconcile, running, runs } = steps();
    make(reconcile);
    for (const key of ['a', 'b', 'c', 'd', 'c', 'd']) queue.add(key);
    await eventually('two', () => runs.length === 2);
    expect([runs, queue.depth]).toEqual([['a', 'b'], 4]);
    running.get('a')?.();
    await eventually('c', () => runs.length === 3);
    running.get('b')?.();
    await eventually('d', () => runs.length === 4);
    expect(runs).toEqual(['a', 'b', 'c', 'd']);
    for (const end of running.values()) end();
    await eventually('the end', () => queue.depth === 0);
  });

  it('never works on a key twice at once, and does again what was added meanwhile', async () => {
    const { reconcile, running, runs } = steps();
    make(reconcile);
    queue.add('a');
    await eventually('the first', () => running.has('a'));
    queue.add('a');
    queue.add('a');
    expect(runs).toEqual(['a']);
    running.get('a')?.();
    await eventually('again', () => runs.length === 2);
    running.get('a')?.();
    await eventually('the end', () => queue.depth === 0);
    expect(runs).toEqual(['a', 'a']);
  });

  it('tries what fails again until it works, and only that', async () => {
    let left = 4;
    const runs: string[] = [];
    make((key) => {
      runs.push(key);
      return key === 'bad' && left-- > 0 ? Promise.reject(new Error('not yet')) : Promise.resolve();
    });
    queue.add('bad');
    queue.add('good');
    await eventually('success', () => left === -1);
    expect(runs.filter((key) => key === 'bad')).toHaveLength(5);
    expect(runs.filter((key) => key === 'good')).toHaveLength(1);
  });

  it('brings a waiting retry forward when the key is added', async () => {
    let runs = 0;
    make(
      () => {
        runs += 1;
        return runs === 1 ? Promise.reject(new Error('not yet')) : Promise.resolve();
      },
      { retryBaseMs: 60_000, retryCapMs: 60_000 },
    );
    queue.add('a');
    await queue.settled(['a']);
    expect(runs).toBe(1);
    queue.add('a');
    await queue.settled(['a']);
    expect(runs).toBe(2);
  });

  it('is settled for keys when each was worked on, failures included, whatever else there is', async () => {
    const { reconcile, running } = steps();
    make((key, signal) => (key === 'bad' ? Promise.reject(new Error('no')) : reconcile(key, signal)), {
      concurrency: 3,
      retryBaseMs: 60_000,
    });
    for (const key of ['a', 'bad', 'other']) queue.add(key);
    let isSettled = false;
    const settled = queue.settled(['a', 'bad', 'unknown']).then(() => {
      isSettled = true;
    });
    await eventually('the first run', () => running.has('a'));
    queue.add('a');
    running.get('a')?.();
    await eventually('the second run', () => running.has('a'));
    expect(isSettled).toBe(false);
    running.get('a')?.();
    await settled;
    expect(running.has('other')).toBe(true);
    running.get('other')?.();
  });

  it('ends what runs and starts nothing more when closed', async () => {
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const runs: string[] = [];
    make(
      async (key, signal) => {
        runs.push(key);
        await new Promise((done) => {
          signal.addEventListener('abort', done);
        });
        resolve();
      },
      { concurrency: 1 },
    );
    queue.add('a');
    queue.add('b');
    await eventually('the first', () => runs.length === 1);
    await queue.close();
    await aborted;
    queue.add('c');
    expect(runs).toEqual(['a']);
  });
});

describe('a preferred key', () => {
  it('that waited already is worked on once', async () => {
    const { reconcile, running, runs } = steps();
    make(reconcile);
    queue.add('a');
    queue.add('b');
    queue.prefer('b');
    queue.add('b');
    expect(queue.depth).toBe(2);
    await eventually('both', () => runs.length === 2);
    expect(runs).toEqual(['b', 'a']);
    for (const end of running.values()) end();
    await queue.settled(['a', 'b']);
    expect(runs).toHaveLength(2);
  });

  it('goes before others whenever it waits, also again, until none is', async () => {
    const runs: string[] = [];
    make(
      async (key) => {
        runs.push(key);
        // As a function that waits for its package: whatever that was brings it back.
        if (key === 'c' && runs.filter((run) => run === 'c').length < 3) queue.add('c');
        await Promise.resolve();
      },
      { concurrency: 1 },
    );
    queue.prefer('c');
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    expect(queue.depth).toBe(4);
    await queue.settled(['a', 'b', 'c', 'd']);
    expect(runs).toEqual(['c', 'c', 'c', 'a', 'b', 'd']);
    queue.preferNone();
    runs.length = 0;
    for (const key of ['a', 'c']) queue.add(key);
    await queue.settled(['a', 'c']);
    expect(runs.slice(0, 2)).toEqual(['a', 'c']);
  });
});
