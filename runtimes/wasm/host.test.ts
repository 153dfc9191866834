import { Readable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { FissiumError } from '../../src/errors.ts';
import type { Invoker } from '../../src/executors/executor.ts';
import type { GuestLogLine } from './host.ts';
import { BODY_WINDOW_BYTES } from './protocol.ts';
import { call, readAll, request, TestHost } from './testing/host.ts';

vi.setConfig({ testTimeout: 60_000 });

const hosts: TestHost[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.close()));
});

async function start(threads = 1): Promise<TestHost> {
  const host = await TestHost.start(threads);
  hosts.push(host);
  return host;
}

function codeOf(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'ok',
    (error: unknown) => (error as FissiumError).code,
  );
}

/** Lets everything that is under way between the threads arrive. */
async function settled(host: TestHost): Promise<void> {
  await vi.waitFor(() => expect(host.host.stats().inFlight).toBe(0), { timeout: 10_000, interval: 5 });
}

describe('deploy', () => {
  it('gives a function to every thread', async () => {
    const host = await start(2);
    const fn = await host.deploy('torture.wasm', { env: [['WHO', 'me']] });
    const answers = await Promise.all([1, 2, 3, 4].map(() => call(fn, '/env')));
    for (const { body } of answers) expect(JSON.parse(body)).toMatchObject({ WHO: 'me' });
    expect(host.host.stats()).toMatchObject({ threads: 2, functions: 1, threadsReplaced: 0 });
  });

  it('starts clean for each request', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    for (let i = 0; i < 3; i++) expect((await call(fn, '/counter')).body).toBe('1\n');
  });

  it('refuses a package that begins larger than the function may become', async () => {
    const host = await start();
    await expect(host.deploy('big-memory.wasm')).rejects.toMatchObject({ code: 'PACKAGE_REFUSED' });
    expect(host.host.stats().functions).toBe(0);
  });

  it('logs what the guest writes, line by line, with the request', async () => {
    const host = await start();
    const lines: GuestLogLine[] = [];
    const fn = await host.deploy('torture.wasm', { onLog: (line) => lines.push(line) });
    await call(fn, '/log', { id: 'r-1' });
    await settled(host);
    expect(lines.length).toBeGreaterThan(0);
    for (const { requestId, line } of lines) expect([requestId, line.includes('\n')]).toEqual(['r-1', false]);
  });

  it('says which functions have instances', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    const answer = call(fn, '/sleep?ms=200');
    expect([...host.host.instances()]).toEqual([{ namespace: 'default', name: 'guest', instances: 1 }]);
    await answer;
    await settled(host);
    expect([...host.host.instances()]).toEqual([]);
  });
});

describe('dropping a version', () => {
  it('takes no more calls, and waits for those that it has', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    const answer = call(fn, '/sleep?ms=300');
    const closed = fn.close();
    expect(await codeOf(call(fn, '/hello'))).toBe('FUNCTION_NOT_READY');
    expect(host.host.stats().inFlight).toBe(1);
    await closed;
    expect(host.host.stats().inFlight).toBe(0);
    expect((await answer).body).toBe('slept\n');
    expect(host.host.stats().functions).toBe(0);
  });

  it('leaves the next version alone', async () => {
    const host = await start();
    const first = await host.deploy('torture.wasm');
    const second = await host.deploy('torture.wasm');
    await first.close();
    expect((await call(second, '/hello')).status).toBe(200);
  });
});

describe('a thread that is lost', () => {
  it('fails its calls, and is replaced by one that has every function', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    const other = await host.deploy('cgi.wasm');
    const waiting = codeOf(call(fn, '/sleep?ms=60000'));
    await vi.waitFor(() => expect(host.host.stats().inFlight).toBe(1));
    host.host.terminateThreads();
    expect(await waiting).toBe('THREAD_LOST');
    expect((await call(fn, '/hello')).body).toBe('Hello, world!\n');
    expect((await call(other, '/hello')).status).toBe(200);
    expect(host.host.stats()).toMatchObject({ threads: 2, threadsReplaced: 2 });
  });

  it('fails an answer that had begun', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    const { status, body } = await fn.invoke(request('/slow-body?ms=60000'));
    expect(status).toBe(200);
    host.host.terminateThreads();
    expect(await codeOf(readAll(body))).toBe('THREAD_LOST');
  });
});

describe('a caller that goes away', () => {
  async function leaving(
    fn: Invoker,
    path: string,
    then: () => Promise<unknown> | void = () => undefined,
  ): Promise<string> {
    const leave = new AbortController();
    const code = codeOf(call(fn, path, { signal: leave.signal }));
    await then();
    leave.abort();
    return code;
  }

  it('while its call waits in the host', async () => {
    const host = await start();
    const fn = await host.deploy('start-spins.wasm', { cpuTimeMs: 1500 });
    // A start function cannot give way, nor can its thread say that it has begun: one call more waits there, the
    // rest here.
    const before = Array.from({ length: 3 }, () => codeOf(call(fn, '/')));
    const leave = new AbortController();
    const queued = codeOf(call(fn, '/', { signal: leave.signal }));
    await vi.waitFor(() => expect(host.host.stats()).toMatchObject({ queued: 2, inFlight: 2 }), {
      interval: 5,
    });
    leave.abort();
    expect(await queued).toBe('CLIENT_GONE');
    expect(host.host.stats().queued).toBe(1);
    expect(new Set(await Promise.all(before))).toEqual(new Set(['CPU_LIMIT']));
  });

  it('before its call', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    expect(await codeOf(call(fn, '/hello', { signal: AbortSignal.abort() }))).toBe('CLIENT_GONE');
    expect(host.host.stats()).toMatchObject({ inFlight: 0, queued: 0 });
    await fn.close();
  });

  it('while its guest computes', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    expect(await leaving(fn, '/spin-empty', async () => (await call(fn, '/hello')).status)).toBe(
      'CLIENT_GONE',
    );
    await settled(host);
    expect((await call(fn, '/hello')).status).toBe(200);
    expect(host.host.stats().threadsReplaced).toBe(0);
  });

  it('while its guest waits', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    expect(await leaving(fn, '/sleep?ms=60000', async () => (await call(fn, '/hello')).status)).toBe(
      'CLIENT_GONE',
    );
    await settled(host);
    expect((await call(fn, '/hello')).status).toBe(200);
  });

  it('in the middle of the answer', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    const { body } = await fn.invoke(request('/slow-body?ms=60000'));
    body.destroy();
    await settled(host);
    expect((await call(fn, '/hello')).status).toBe(200);
  });
});

describe('bodies', () => {
  it('pass both ways, whatever their size', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    const bytes = Buffer.alloc(3 * 1024 * 1024 + 17, 'abcdefghijklmnopqrstuvwxyz');
    const { body } = await fn.invoke(
      request('/echo', { method: 'POST', body: Readable.from(parts(bytes, 60_000)) }),
    );
    expect((await readAll(body)).equals(bytes)).toBe(true);
  });

  it('are read from the caller only as fast as the guest reads', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    let sent = 0;
    const endless = new Readable({
      highWaterMark: 1,
      read() {
        setImmediate(() => {
          sent += 16 * 1024;
          this.push(Buffer.alloc(16 * 1024));
        });
      },
    });
    const answer = await fn.invoke(request('/echo', { method: 'POST', body: endless }));
    // Nobody reads the answer: one window is under way each way, and what the streams between them hold.
    await quiet(() => sent);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(4 * BODY_WINDOW_BYTES + 1024 * 1024);
    answer.body.destroy();
    await settled(host);
    endless.destroy();
  });

  it('are made by the guest only as fast as the client takes them', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    const total = 20 * 1024 * 1024;
    const { body } = await fn.invoke(request(`/big?bytes=${total}`));
    await quiet(() => body.readableLength);
    expect(body.readableLength).toBeLessThanOrEqual(2 * BODY_WINDOW_BYTES);
    expect((await readAll(body)).length).toBe(total);
  });

  it('fail with their sender', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    const broken = new Readable({
      read() {
        this.destroy(new Error('the client went away'));
      },
    });
    const { body } = await fn.invoke(request('/echo', { method: 'POST', body: broken }));
    expect(await codeOf(readAll(body))).not.toBe('ok');
    expect((await call(fn, '/hello')).status).toBe(200);
  });

  it('carry trailers', async () => {
    const host = await start();
    const fn = await host.deploy('torture.wasm');
    const { trailers } = await call(fn, '/trailers');
    expect(trailers.length).toBeGreaterThan(0);
  });
});

describe('close', () => {
  it('fails what still waits, and ends the threads', async () => {
    const host = await TestHost.start(1);
    const fn = await host.deploy('torture.wasm');
    const waiting = codeOf(call(fn, '/sleep?ms=60000'));
    await vi.waitFor(() => expect(host.host.stats().inFlight).toBe(1));
    await host.close();
    expect(['THREAD_LOST', 'SHUTTING_DOWN']).toContain(await waiting);
  });
});

function* parts(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Resolves when the value has stopped changing. */
async function quiet(value: () => number): Promise<void> {
  let last = -1;
  for (let same = 0; same < 10;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = value() === last ? same + 1 : 0;
    last = value();
  }
}
