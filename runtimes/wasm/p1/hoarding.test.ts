/** What a command makes its host hold is counted and bounded as it is for components: see `../hoarding.test.ts`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { call, TestHost } from '../testing/host.ts';
import { HANDLE_WEIGHT, LOG_BYTES_CAP, STANDARD_WRITE_BYTES_CAP } from '../wasi/limits.ts';
import { MemoryInvocation } from '../wasi/testing/memory-invocation.ts';
import { Files, ROOT_NAME } from './files.ts';
import { Errno } from './guest-memory.ts';
import { Stdin, Stdout } from './stdio.ts';
import { asUnstable } from './testing/dialect.ts';
import { commandHoarder } from './testing/hoarders.ts';

const MIB = 1024 * 1024;
const CGI = join(import.meta.dirname, '../../../test/guests/built/cgi.wasm');
const READ = { create: false, directory: true, exclusive: false, truncate: false, read: true, write: false };

const hosts: TestHost[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((each) => each.close()));
});

async function host(maxBytes?: number): Promise<TestHost> {
  const started = await TestHost.start(1, maxBytes === undefined ? {} : { caps: { maxBytes } });
  hosts.push(started);
  return started;
}

describe.each([
  ['our own host', async (wasm: Uint8Array) => Promise.resolve(wasm)],
  ['@wasmer/wasi', asUnstable],
])('a command over %s', (_, build) => {
  it('that holds folders it goes through is ended, and its neighbours in the thread go on', async () => {
    const there = await host();
    const neighbour = await there.deploy('cgi.wasm');
    const fn = await there.deploy(await build(await commandHoarder('folders that are gone through')));
    await expect(call(fn, '/')).rejects.toMatchObject({
      code: 'GUEST_TRAPPED',
      message: expect.stringContaining('hold more than 16777216 bytes') as string,
    });
    expect((await call(neighbour, '/hello')).body).toBe('Hello from CGI!\n');
  });

  it('that names the same bytes a thousand times in one write has a part of them taken', async () => {
    const there = await host();
    const fn = await there.deploy(await build(await commandHoarder('the same bytes a thousand times')));
    expect((await call(fn, '/')).body.length).toBe(STANDARD_WRITE_BYTES_CAP);
  });

  it('that logs the same bytes a thousand times has its log cut', async () => {
    const there = await host();
    let logged = 0;
    const fn = await there.deploy(await build(await commandHoarder('a log of the same bytes')), {
      onLog: ({ line }) => (logged += line.length),
    });
    expect((await call(fn, '/')).headers).toEqual([['a', 'b']]);
    expect(logged).toBeGreaterThan(LOG_BYTES_CAP / 2);
    expect(logged).toBeLessThan(LOG_BYTES_CAP + 1024);
  });

  it('has no body kept for it that the process has no memory for; one with its length goes through', async () => {
    const there = await host(24 * MIB);
    const fn = await there.deploy(await build(await readFile(CGI)), { bodyLimitBytes: 64 * MIB });
    const body = (mib: number): Readable =>
      Readable.from(Array.from({ length: mib }, () => Buffer.alloc(MIB)));
    const sent = (mib: number) => ({ method: 'POST', body: body(mib) });
    await expect(call(fn, '/hello', sent(32))).rejects.toMatchObject({ code: 'PLATFORM_BUSY' });
    // What was kept is there again.
    for (let i = 0; i < 5; i++) expect((await call(fn, '/hello', sent(8))).status).toBe(200);
    const announced = { ...sent(32), headers: [['content-length', String(32 * MIB)]] as [string, string][] };
    expect((await call(fn, '/hello', announced)).status).toBe(200);
  });
});

describe('what is held for a command', () => {
  it('are its descriptors and the folders that it goes through, until it closes them', () => {
    const { state } = new MemoryInvocation();
    const files = new Files(state);
    const [root] = [3];
    expect(files.prestat(root)).toBe(ROOT_NAME);
    const before = state.heldBytes;
    const open = Array.from({ length: 100 }, () => files.open(root, 'tmp', { ...READ, append: false }));
    expect(state.heldBytes - before).toBe(100 * HANDLE_WEIGHT);
    const listed = [...files.list(root, 0)].map(({ name }) => name);
    expect(listed).toEqual(['.', '..', 'tmp']);
    const once = state.heldBytes;
    expect(once).toBeGreaterThan(before + 100 * HANDLE_WEIGHT);
    // Gone through again, it is the same folder; what is behind its end holds nothing more.
    expect([...files.list(root, 0)]).toHaveLength(3);
    expect([...files.list(root, 1)].map(({ name }) => name)).toEqual(['..', 'tmp']);
    expect([...files.list(root, Number.MAX_SAFE_INTEGER)]).toEqual([]);
    expect(state.heldBytes).toBe(once);
    // Wherever it was moved to, the first descriptor was never counted.
    const [first = -1, ...rest] = open;
    files.renumber(root, first);
    for (const fd of rest) files.closeFd(fd);
    files.closeFd(first);
    expect(state.heldBytes).toBe(before);
    state.close();
  });

  it('are no more descriptors than it may have at once', () => {
    const { state } = new MemoryInvocation();
    const files = new Files(state);
    const open = (): number => files.open(3, 'tmp', { ...READ, append: false });
    for (let i = 0; i < 1023; i++) open();
    expect(open).toThrow(Errno);
    files.closeFd(4);
    expect(open()).toBe(4);
    state.close();
  });

  it('is its output, until the client’s side has room for it', async () => {
    const invocation = new MemoryInvocation();
    const { state, sink } = invocation;
    const stdout = new Stdout(state);
    stdout.push(Buffer.from('A: b\n\n'));
    for (let i = 0; i < 10_000; i++) stdout.push(Buffer.from('x'));
    stdout.push(Buffer.alloc(400_000));
    expect(state.heldBytes).toBe(410_000);
    sink.stall();
    const sent = stdout.flush();
    expect(state.heldBytes).toBe(410_000);
    sink.resume();
    await sent;
    expect(state.heldBytes).toBe(0);
    expect(sink.bytes).toBe(410_000);
    stdout.push(Buffer.from('more'));
    expect(stdout.end()).toBeUndefined();
    expect(state.heldBytes).toBe(0);
    state.close();
  });

  it('is a body that came without a length, in its chunks', async () => {
    const { body } = new MemoryInvocation({ body: ['abc', 'de', 'f'] });
    const stdin = new Stdin(body, 100);
    expect(await stdin.buffer()).toBe(6);
    const [first, second] = [new Uint8Array(4), new Uint8Array(4)];
    expect(stdin.take([first, second])).toBe(6);
    expect(Buffer.concat([first, second]).toString('latin1')).toBe('abcdef\0\0');
    expect(stdin.ready).toBe(true);
    stdin.close();
  });
});
