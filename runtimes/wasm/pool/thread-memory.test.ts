import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SharedLimits } from './shared-limits.ts';
import { EngineThread, type Answer } from './testing/engine-thread.ts';
import { threadMemory } from './thread.ts';
import { ThreadMemory } from './thread-memory.ts';

const MIB = 1024 * 1024;
const PAGE = 65536;
const never = new AbortController().signal;

function thread(
  caps: { maxMemories?: number; maxBytes?: number },
  waitMs = 10_000,
): {
  memory: ThreadMemory;
  limits: SharedLimits;
} {
  const limits = SharedLimits.create(caps);
  const memory = new ThreadMemory({ waitMs });
  memory.attach(limits.open(), new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));
  return { memory, limits };
}

describe('over the cap', () => {
  it('those who wait are served in their order, as room is given back', async () => {
    const { memory } = thread({ maxMemories: 1 });
    const one = { memories: 1, pages: 0 };
    expect(memory.take(one)).toBe(true);
    const served: number[] = [];
    const all = [1, 2, 3].map(async (number) => {
      await memory.wait(() => memory.take(one), never);
      served.push(number);
      memory.giveBack(one);
    });
    expect(memory.waiting).toBe(3);
    memory.giveBack(one);
    await Promise.all(all);
    expect([served, memory.waiting]).toEqual([[1, 2, 3], 0]);
  });

  it('room that another thread gives back is found', async () => {
    const { memory, limits } = thread({ maxMemories: 1 });
    const other = SharedLimits.attach(limits.open());
    other.take(1, 0);
    const waiting = memory.wait(() => memory.take({ memories: 1, pages: 0 }), never);
    other.give(1, 0);
    await waiting;
    expect(limits.held().memories).toBe(1);
  });

  it('who waits for too long is refused, and whose caller is gone is let go', async () => {
    const { memory } = thread({ maxMemories: 1 }, 20);
    memory.take({ memories: 1, pages: 0 });
    const gone = new AbortController();
    const all = Promise.allSettled([memory.wait(() => false, never), memory.wait(() => false, gone.signal)]);
    gone.abort();
    expect((await all).map((each) => (each.status === 'rejected' ? each.reason.code : 'served'))).toEqual([
      'PLATFORM_BUSY',
      'CLIENT_GONE',
    ]);
    expect(memory.waiting).toBe(0);
  });

  it('what is kept for later goes first, and counts no more once it is collected', async () => {
    const { memory, limits } = thread({ maxMemories: 2, maxBytes: 100 * PAGE });
    const need = { memories: 1, pages: 10 };
    // In a function of its own, so that nothing here keeps them alive.
    (() => {
      for (let i = 0; i < 2; i++) {
        memory.take(need);
        memory.recycle(memory.memory({ initialPages: 10, maximumPages: 10 + i }), 10 + i);
      }
    })();
    expect([memory.shelf.kept, limits.held()]).toEqual([2, { memories: 2, bytes: 20 * PAGE }]);
    await memory.wait(() => memory.take({ memories: 2, pages: 90 }), never);
    expect([memory.shelf.kept, limits.held()]).toEqual([0, { memories: 2, bytes: 90 * PAGE }]);
  });

  it('a memory that is used again is not counted twice', () => {
    const { memory, limits } = thread({});
    memory.take({ memories: 1, pages: 2 });
    const first = memory.memory({ initialPages: 2, maximumPages: 4 });
    memory.recycle(first, 4);
    memory.take({ memories: 1, pages: 1 });
    expect(memory.memory({ initialPages: 1, maximumPages: 4 })).toBe(first);
    expect(limits.held()).toEqual({ memories: 1, bytes: 2 * PAGE });
  });
});

/** One thread with its engines, under the caps that these tests go past. */
describe('real guests', () => {
  const MAX_MEMORIES = 12;
  const MAX_BYTES = 96 * MIB;
  const limits = SharedLimits.create({ maxMemories: MAX_MEMORIES, maxBytes: MAX_BYTES });
  let engine: EngineThread;
  let call: (path: string) => Promise<Answer>;
  let jco: (path: string) => Promise<Answer>;

  beforeAll(async () => {
    engine = new EngineThread(limits.open());
    call = await engine.deploy('torture.wasm');
    jco = await engine.deploy('hello.wasm', {}, 'jco');
  }, 60_000);
  afterAll(() => engine.close());

  function within(): void {
    expect(limits.held().memories).toBeLessThanOrEqual(MAX_MEMORIES);
    expect(limits.held().bytes).toBeLessThanOrEqual(MAX_BYTES);
  }

  it('wait for one another past the cap on memories, and are all answered', async () => {
    const watch = setInterval(within, 1);
    const answers = await Promise.all(Array.from({ length: 40 }, () => call('/sleep?ms=20')));
    clearInterval(watch);
    expect(answers.map(({ error }) => error).filter((error) => error !== null)).toEqual([]);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    within();
    expect(threadMemory.waiting).toBe(0);
  });

  it('of different engines share the cap', async () => {
    for (let i = 0; i < 60; i++) expect((await jco('/')).status).toBe(200);
    expect((await call('/hello')).status).toBe(200);
    within();
  });

  it('that get a new instance for each request get it in the same memory, which is clean', async () => {
    const renewed = await engine.deploy('torture.wasm', {}, 'component without reset');
    const first = (await renewed('/counter')).text;
    const before = limits.held().memories;
    for (let i = 0; i < 30; i++) {
      expect((await renewed('/counter')).text).toBe(first);
      expect((await renewed('/alloc?bytes=3000000')).status).toBe(200);
      expect((await renewed('/sleep?ms=1')).receipt.instance).toBe('ready');
      expect((await renewed('/trap')).error).toBe('GUEST_TRAPPED');
    }
    expect(limits.held().memories).toBeLessThanOrEqual(before + 1);
    within();
  });

  it('that eat memory at once stay within the budget, and the next ones find room again', async () => {
    for (let round = 0; round < 3; round++) {
      const eaters = Array.from({ length: 8 }, () => call('/alloc?bytes=30000000'));
      await Promise.all(eaters);
      within();
      expect((await call('/hello')).status).toBe(200);
    }
    const greedy = await engine.deploy('torture.wasm', { memoryBytes: 1024 * MIB });
    expect((await greedy('/alloc')).error).toBe('PLATFORM_BUSY');
    within();
    // Alone it gets what it asks for.
    expect((await call('/alloc?bytes=30000000')).error).toBeNull();
  }, 60_000);
});
