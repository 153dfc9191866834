import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { SharedLimits } from './shared-limits.ts';
import { memoriesFor, systemCaps } from './system-limits.ts';

const PAGE = 65536;

describe('shared limits', () => {
  it('are one count over all threads, of both things at once', () => {
    const main = SharedLimits.create({ maxMemories: 3, maxBytes: 10 * PAGE });
    const [one, two] = [SharedLimits.attach(main.open()), SharedLimits.attach(main.open())];
    expect([one.take(2, 4), two.take(2, 1), two.take(1, 7), two.take(1, 6)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect(main.held()).toEqual({ memories: 3, bytes: 10 * PAGE });
    expect(main.mostBytes()).toBe(6 * PAGE);
    one.give(1, 4);
    expect([two.take(1, 4), two.take(0, 1)]).toEqual([true, false]);
  });

  it('limit nothing where no cap is given', () => {
    const limits = SharedLimits.attach(SharedLimits.create().open());
    expect([limits.take(1_000_000, 1_000_000), limits.take(1_000_000, 1_000_000)]).toEqual([true, true]);
  });

  it('get back what a dead thread held, whose slot is used again', () => {
    const main = SharedLimits.create({ maxMemories: 3 });
    const [dying, other] = [main.open(), SharedLimits.attach(main.open())];
    SharedLimits.attach(dying).take(3, 5);
    expect(other.take(1, 1)).toBe(false);
    main.close(dying);
    expect(main.held()).toEqual({ memories: 0, bytes: 0 });
    expect(other.take(1, 1)).toBe(true);
    expect([main.open().slot, main.threads]).toEqual([dying.slot, 2]);
  });

  it('reach a thread that sleeps when another one asks for room', async () => {
    const main = SharedLimits.create();
    const handle = main.open();
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       import(workerData.module).then(({ SharedLimits }) => {
         SharedLimits.attach(workerData.handle).onAsked(() => { parentPort.postMessage('asked'); });
         parentPort.postMessage('ready');
         parentPort.on('message', () => undefined);
       });`,
      {
        eval: true,
        workerData: { handle, module: pathToFileURL(join(import.meta.dirname, 'shared-limits.ts')).href },
      },
    );
    try {
      expect(await once(worker, 'message')).toEqual(['ready']);
      for (let i = 0; i < 2; i++) {
        const asked = once(worker, 'message');
        SharedLimits.attach(main.open()).ask();
        expect(await asked).toEqual(['asked']);
      }
    } finally {
      await worker.terminate();
    }
  });

  it('come from what the system allows', () => {
    expect([memoriesFor(65_530), memoriesFor(1_000_000), memoriesFor(100)]).toEqual([9829, 12_000, 64]);
    const { maxMemories, maxBytes } = systemCaps();
    expect(maxMemories).toBeGreaterThanOrEqual(64);
    expect(maxBytes).toBeGreaterThan(64 * 1024 * 1024);
  });
});
