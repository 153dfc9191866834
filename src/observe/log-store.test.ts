import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeLine, encodeLine, LINE_LIMIT, type LogLine } from './log-line.ts';
import { LogStore, type LogStoreOptions } from './log-store.ts';

let folder: string;
const stores: LogStore[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-logs-'));
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  await rm(folder, { recursive: true });
});

const NAME = { namespace: 'default', function: 'hello' };

function open(options: Partial<LogStoreOptions> = {}): LogStore {
  const store = new LogStore({ folder, ...options });
  stores.push(store);
  return store;
}

function line(text: string, parts: Partial<LogLine> = {}): LogLine {
  return { ...NAME, requestId: 'r', stream: 'stdout', line: text, timeMs: 1000, ...parts };
}

async function texts(store: LogStore, query = {}): Promise<string[]> {
  return (await store.read({ ...NAME, ...query })).map((one) => one.line);
}

describe('read', () => {
  it('gives back what was appended just before, whole', async () => {
    const store = open();
    const lines = [
      line('one'),
      line('zwei\nmit "Zeichen" \u2603\u0000', { stream: 'stderr', requestId: 'x', timeMs: 2000 }),
      line('', { stream: 'platform' }),
    ];
    for (const one of lines) store.append(one);
    expect(await store.read(NAME)).toEqual(lines);
  });

  it('selects by tail, time and request', async () => {
    const store = open();
    for (let at = 0; at < 10; at += 1)
      store.append(line(String(at), { timeMs: at, requestId: `r${at % 2}` }));
    expect(await texts(store, { tail: 2 })).toEqual(['8', '9']);
    expect(await texts(store, { tail: 0 })).toEqual([]);
    expect(await texts(store, { sinceMs: 7 })).toEqual(['7', '8', '9']);
    expect(await texts(store, { requestId: 'r1', tail: 2 })).toEqual(['7', '9']);
  });

  it('keeps functions apart', async () => {
    const store = open();
    store.append(line('mine'));
    store.append(line('other', { function: 'other' }));
    store.append(line('elsewhere', { namespace: 'team' }));
    expect(await texts(store)).toEqual(['mine']);
    expect(await texts(store, { namespace: 'team' })).toEqual(['elsewhere']);
    expect(await texts(store, { function: 'nothing' })).toEqual([]);
  });

  it('cuts a long line with a mark', async () => {
    const store = open();
    store.append(line('x'.repeat(LINE_LIMIT + 5)));
    expect((await texts(store))[0]).toMatch(/^x+ … \[cut: 5 more characters\]$/);
  });
});

describe('names', () => {
  it.each(['..', '.', '../x', 'a/b', '', 'A', 'a..b', '-a', 'x'.repeat(254), 'a\0'])(
    'refuses %j',
    async (name) => {
      const store = open();
      expect(() => store.append(line('x', { function: name }))).toThrow(/no name of a function/);
      expect(() => store.append(line('x', { namespace: name }))).toThrow(/no name of a namespace/);
      await expect(store.read({ ...NAME, namespace: name })).rejects.toThrow(/no name/);
      await expect(store.follow({ ...NAME, function: name }, AbortSignal.abort()).next()).rejects.toThrow(
        /no name/,
      );
    },
  );
});

describe('on disk', () => {
  it('survives a restart, and a line that was torn by a crash', async () => {
    const first = open();
    first.append(line('before'));
    await first.close();
    const [file = ''] = await readdir(join(folder, 'default/hello'));
    await appendFile(join(folder, 'default/hello', file), '{"t":1,"r":"r","s":"std');
    const second = open();
    second.append(line('after'));
    expect(await texts(second)).toEqual(['before', 'after']);
    await second.close();
    expect(await texts(open())).toEqual(['before', 'after']);
  });

  it('is readable by its owner only', async () => {
    const store = open({ folder: join(folder, 'new') });
    store.append(line('secret'));
    await store.close();
    const file = join(folder, 'new/default/hello/00000001.jsonl');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    for (const path of ['new', 'new/default', 'new/default/hello']) {
      expect((await stat(join(folder, path))).mode & 0o777).toBe(0o700);
    }
  });

  it('drops the oldest lines of a function over its size, in segments', async () => {
    const store = open({ perFunctionBytes: 40_000 });
    for (let round = 0; round < 20; round += 1) {
      for (let at = 0; at < 20; at += 1) store.append(line(`${round}-${at} ${'x'.repeat(200)}`));
      await store.read({ ...NAME, tail: 0 });
    }
    const kept = await texts(store);
    expect(kept.at(-1)).toMatch(/^19-19 /);
    expect(kept[0]).not.toMatch(/^0-0 /);
    const files = await readdir(join(folder, 'default/hello'));
    expect(files.length).toBeGreaterThan(1);
    const sizes = await Promise.all(
      files.map(async (file) => (await stat(join(folder, 'default/hello', file))).size),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(40_000);
  });

  it('drops the oldest segments of all over the whole size', async () => {
    const store = open({ perFunctionBytes: 40_000, totalBytes: 60_000 });
    for (const name of ['old', 'middle', 'young']) {
      for (let at = 0; at < 100; at += 1) store.append(line('x'.repeat(200), { function: name }));
      await store.read({ ...NAME, function: name });
    }
    await store.close();
    const bytes = async (name: string): Promise<number> => {
      const text = await Promise.all(
        (await readdir(join(folder, 'default', name))).map((file) =>
          readFile(join(folder, 'default', name, file)),
        ),
      );
      return text.reduce((sum, { length }) => sum + length, 0);
    };
    expect(await bytes('old')).toBe(0);
    expect(await bytes('young')).toBeGreaterThan(20_000);
  });

  it('drops and counts what cannot be written, and says so in the log when it can be again', async () => {
    // A file where the namespace's folder should be: every write fails, as on a full disk.
    await writeFile(join(folder, 'default'), '');
    const told: string[] = [];
    const store = open({ onDropped: ({ lines, cause }) => told.push(`${lines} ${cause?.name}`) });
    store.append(line('lost'));
    store.append(line('lost too'));
    expect(await texts(store)).toEqual([]);
    expect([store.droppedLines, told]).toEqual([2, ['2 Error']]);
    await rm(join(folder, 'default'));
    store.append(line('kept'));
    expect(await texts(store)).toEqual([
      '2 lines before this one were lost: the disk was full or too slow.',
      'kept',
    ]);
  });

  it('drops and counts what comes faster than the disk takes it', async () => {
    const store = open({ pendingBytes: 10_000 });
    await store.read(NAME);
    for (let at = 0; at < 1000; at += 1) store.append(line('x'.repeat(100)));
    expect(store.droppedLines).toBeGreaterThan(800);
    const kept = await texts(store);
    expect(kept.length - 1 + store.droppedLines).toBe(1000);
    expect(kept[0]).toMatch(/^9\d\d lines before this one were lost/);
  });

  it('starts in a folder that it cannot read', async () => {
    await mkdir(join(folder, 'default/hello'), { recursive: true });
    await writeFile(
      join(folder, 'default/hello/00000001.jsonl'),
      'not json\n\u0000\n{"t":1e300,"r":"","s":"stdout","l":""}\n',
    );
    await chmod(join(folder, 'default/hello/00000001.jsonl'), 0o600);
    await mkdir(join(folder, 'NOT A NAME'));
    const store = open();
    store.append(line('fine'));
    expect(await texts(store)).toEqual(['fine']);
  });
});

describe('follow', () => {
  async function collect(lines: AsyncIterable<LogLine>, until: string): Promise<string[]> {
    const got: string[] = [];
    for await (const one of lines) {
      got.push(one.line);
      if (one.line === until) break;
    }
    return got;
  }

  it('goes on after what is there, without losing or repeating a line', async () => {
    const store = open();
    const expected: string[] = [];
    const followers: Promise<string[]>[] = [];
    for (let at = 0; at < 400; at += 1) {
      store.append(line(String(at)));
      expected.push(String(at));
      if (at % 50 === 25) followers.push(collect(store.follow(NAME, new AbortController().signal), '399'));
      if (at % 7 === 0) await new Promise(setImmediate);
      if (at % 90 === 0) await store.read(NAME);
    }
    for (const follower of followers) expect(await follower).toEqual(expected);
  });

  it('starts with the tail asked for, and passes only what fits', async () => {
    const store = open();
    for (let at = 0; at < 5; at += 1) store.append(line(String(at)));
    const lines = collect(
      store.follow({ ...NAME, tail: 1, requestId: 'r' }, new AbortController().signal),
      'end',
    );
    await store.read(NAME);
    store.append(line('not mine', { requestId: 'other' }));
    store.append(line('end'));
    expect(await lines).toEqual(['4', 'end']);
  });

  it('ends with its signal and with the store', async () => {
    const store = open();
    const controller = new AbortController();
    const byAbort = collect(store.follow(NAME, controller.signal), 'never');
    const byClose = collect(store.follow(NAME, new AbortController().signal), 'never');
    store.append(line('one'));
    await store.read(NAME);
    controller.abort();
    expect(await byAbort).toEqual(['one']);
    await store.close();
    expect(await byClose).toEqual(['one']);
  });

  it('tells a reader who is too slow how much it missed', async () => {
    const store = open({ pendingBytes: 64 * 1024 * 1024 });
    const lines = store.follow(NAME, new AbortController().signal);
    store.append(line('first'));
    expect((await lines.next()).value).toMatchObject({ line: 'first' });
    for (let at = 0; at < 12_000; at += 1) store.append(line(String(at)));
    store.append(line('end'));
    let last = '';
    for (let at = 0; at < 10_001; at += 1) last = ((await lines.next()).value as LogLine).line;
    expect(last).toMatch(/^2001 lines were skipped/);
    await lines.return(undefined);
  });
});

describe('stored lines', () => {
  it('come back as they were, and anything else is no line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.nat(), (text, requestId, timeMs) => {
        const one = line(text, { requestId, timeMs });
        const stored = encodeLine(one);
        expect(stored.indexOf('\n')).toBe(stored.length - 1);
        expect(decodeLine(stored.trimEnd(), one.namespace, one.function)).toEqual(one);
      }),
    );
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        decodeLine(text, 'a', 'b');
      }),
    );
  }, 20_000);
});
