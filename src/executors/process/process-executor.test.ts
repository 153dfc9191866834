import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterEach, describe, expect, it, vi } from 'vitest';

import type { InvokeReceipt } from '../executor.ts';
import { call, post, request, TestExecutor } from './testing/executor.ts';

// Liveness only: a virtual environment is made on the first run.
vi.setConfig({ testTimeout: 300_000 });

const NODE = 'ghcr.io/fission/node-env-22';
const open: TestExecutor[] = [];

async function executor(options: Parameters<typeof TestExecutor.start>[0] = {}): Promise<TestExecutor> {
  const started = await TestExecutor.start(options);
  open.push(started);
  return started;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a Node function', () => {
  it('is called with a context, and keeps its globals between calls', async () => {
    const fn = await (
      await executor()
    ).deploy(
      NODE,
      `let calls = 0;
      module.exports = async (context) => ({ status: 201, body: { calls: ++calls, path: context.request.url }, headers: { 'x-a': 'b' } });`,
    );
    await call(fn, '/one');
    const { status, headers, text } = await call(fn, '/two?x=1');
    expect([status, headers['x-a'], JSON.parse(text)]).toEqual([201, 'b', { calls: 2, path: '/two?x=1' }]);
  });

  it('has a receipt that says whether a process had to be started for it', async () => {
    const fn = await (
      await executor()
    ).deploy(NODE, `module.exports = async () => ({ status: 200, body: 'x' });`);
    const receipts: (InvokeReceipt | null)[] = [];
    for (let i = 0; i < 2; i++) {
      await call(fn, '/', { onReceipt: (receipt) => receipts.push(receipt) });
    }
    expect(receipts).toHaveLength(2);
    expect(receipts[1]).toMatchObject({ instance: 'reused', instantiateMs: 0, hostMs: 0 });
    expect(receipts[1]?.guestMs).toBeGreaterThan(0);
  });

  it('gets bodies of any size and sends them as they come', async () => {
    const fn = await (
      await executor()
    ).deploy(NODE, `module.exports = async ({ request }) => ({ status: 200, body: request });`);
    const bytes = Buffer.alloc(5_000_000, 'fissium');
    const { text } = await call(fn, '/', {
      method: 'POST',
      headers: [['content-type', 'image/png']],
      body: Readable.from([bytes.subarray(0, 100), bytes.subarray(100)]),
    });
    expect(text === bytes.toString()).toBe(true);
  });

  it('has its lines in the log under their requests, also of requests at once', async () => {
    const platform = await executor();
    const fn = await platform.deploy(
      NODE,
      `module.exports = async ({ request }) => { console.log('a ' + request.path); await new Promise((r) => setTimeout(r, 20)); console.error('b ' + request.path); return 'x'; }`,
      { requestsPerPod: 5 },
    );
    await Promise.all(['1', '2', '3'].map((id) => call(fn, `/${id}`, { id })));
    const of = (id: string): string[] =>
      platform.lines
        .filter(({ requestId }) => requestId === id)
        .map(({ stream, line }) => `${stream} ${line}`);
    await vi.waitFor(() => expect(of('2')).toEqual(['stdout a /2', 'stderr b /2']));
  });

  it('finds nothing of the platform in its environment, and its own variables', async () => {
    process.env['PLATFORM_SECRET'] = 'x';
    const fn = await (
      await executor()
    ).deploy(
      NODE,
      `const early = process.env.DB_URL; module.exports = async () => ({ status: 200, body: { ...process.env, early } });`,
      {
        env: [['DB_URL', 'postgres://db']],
      },
    );
    const env = JSON.parse((await call(fn, '/')).text) as Record<string, string>;
    expect(env).toMatchObject({ DB_URL: 'postgres://db', early: 'postgres://db' });
    expect(env).not.toHaveProperty('PLATFORM_SECRET');
    delete process.env['PLATFORM_SECRET'];
  });

  it('finds its secrets and config maps as files', async () => {
    const platform = await executor();
    const code = `const { readFileSync } = require('node:fs'); module.exports = async () => ({ status: 200, body: readFileSync(process.env.FISSIUM_FILES + '/secrets/default/db/password', 'utf8') });`;
    const fn = await platform.deploy(NODE, code, {
      files: [{ path: 'secrets/default/db/password', content: Buffer.from('hidden') }],
    });
    expect((await call(fn, '/')).text).toBe('hidden');
    const outside = [{ path: '../../escaped', content: Buffer.from('x') }];
    await expect(platform.deploy(NODE, code, { files: outside })).rejects.toMatchObject({
      code: 'RESOURCE_INVALID',
    });
  });

  it('is started as often as its calls need, up to its concurrency', async () => {
    const fn = await (
      await executor()
    ).deploy(
      NODE,
      `module.exports = async () => { await new Promise((r) => setTimeout(r, 300)); return { status: 200, body: String(process.pid) }; }`,
      { concurrency: 3 },
    );
    const answers = await Promise.all(Array.from({ length: 8 }, () => call(fn, '/')));
    const pids = new Set(answers.map(({ text }) => text));
    expect(pids.size).toBeGreaterThan(1);
    expect(pids.size).toBeLessThanOrEqual(3);
  });

  it('that crashes answers GUEST_EXITED, and the next call finds a new process', async () => {
    const fn = await (
      await executor()
    ).deploy(
      NODE,
      `module.exports = async ({ request }) => { if (request.path === '/crash') process.exit(3); return { status: 200, body: 'alive' }; }`,
    );
    await expect(call(fn, '/crash')).rejects.toMatchObject({
      code: 'GUEST_EXITED',
      message: expect.stringContaining('exit code 3') as string,
    });
    const { text, coldStart } = await call(fn, '/');
    expect([text, coldStart]).toEqual(['alive', true]);
  });

  it('whose answer breaks off has its body destroyed', async () => {
    const fn = await (
      await executor()
    ).deploy(
      NODE,
      `module.exports = async () => ({ status: 200, body: (async function* () { yield 'begun'; await new Promise((r) => setTimeout(r, 50)); throw new Error('mid'); })() });`,
    );
    await expect(call(fn, '/')).rejects.toMatchObject({ code: 'GUEST_TRAPPED' });
  });

  it('over its memory limit is ended', async () => {
    const platform = await executor();
    const fn = await platform.deploy(
      NODE,
      `const kept = []; module.exports = async () => { for (let i = 0; i < 60; i++) { kept.push(Buffer.alloc(10e6, 1)); await new Promise((r) => setTimeout(r, 20)); } return 'x'; }`,
      { memoryBytes: 200 * 1024 * 1024 },
    );
    await expect(call(fn, '/')).rejects.toMatchObject({ code: 'GUEST_OUT_OF_MEMORY' });
    expect(platform.lines.some(({ stream }) => stream === 'platform')).toBe(true);
  });

  it('is ended when it has been idle, and started again when it is called', async () => {
    const fn = await (
      await executor()
    ).deploy(NODE, `module.exports = async () => ({ status: 200, body: String(process.pid) });`, {
      idleTimeoutMs: 100,
      startTimeoutMs: 70_000,
    });
    const told: (number | 'started')[] = [];
    const clock = {
      starting: (withinMs: number) => told.push(withinMs),
      started: () => told.push('started'),
    };
    const first = Number((await call(fn, '/', { clock })).text);
    expect(told).toEqual([]);
    await vi.waitFor(() => expect(isRunning(first)).toBe(false), 20_000);
    const { text, coldStart } = await call(fn, '/', { clock });
    expect([Number(text) === first, coldStart]).toEqual([false, true]);
    // Its own time begins when its process is there.
    expect(told).toEqual([70_000, 'started']);
  });

  it('has its own time from when its process is there, also where another call has that first', async () => {
    const fn = await (
      await executor()
    ).deploy(
      NODE,
      `module.exports = async ({ request }) => { if (request.path === '/pid') return { status: 200, body: String(process.pid) }; for await (const _ of request); return 'held'; };`,
      { concurrency: 1, idleTimeoutMs: 1, startTimeoutMs: 70_000 },
    );
    const first = Number((await call(fn, '/pid')).text);
    await vi.waitFor(() => expect(isRunning(first)).toBe(false), 20_000);
    const told: (number | 'started')[][] = [[], []];
    const [holding, waiting] = told.map((of) => ({
      starting: (withinMs: number) => of.push(withinMs),
      started: () => of.push('started'),
    }));
    const body = new PassThrough();
    const held = call(fn, '/', {
      ...post('', 'image/png'),
      headers: [],
      body,
      ...(holding && { clock: holding }),
    });
    const behind = call(fn, '/pid', { ...(waiting && { clock: waiting }) });
    await vi.waitFor(() => expect(told[0]).toEqual([70_000, 'started']), 20_000);
    expect(told[1]).toEqual([70_000, 'started']);
    body.end('x');
    expect([(await held).text, Number((await behind).text) > 0]).toEqual(['held', true]);
    expect(told[1]).toHaveLength(2);
  });

  it('that goes on when nobody waits any more loses its process', async () => {
    const fn = await (
      await executor({ abandonedMs: 50, graceMs: 100 })
    ).deploy(
      NODE,
      `module.exports = async ({ request }) => { if (request.path === '/spin') for (;;); return { status: 200, body: String(process.pid) }; }`,
      { concurrency: 1 },
    );
    const pid = Number((await call(fn, '/')).text);
    const controller = new AbortController();
    const spinning = call(fn, '/spin', { signal: controller.signal });
    controller.abort(new Error('deadline'));
    await expect(spinning).rejects.toThrow('deadline');
    const { text } = await call(fn, '/');
    expect([Number(text) === pid, isRunning(pid)]).toEqual([false, false]);
  });

  it('whose code cannot be loaded is refused with what the runtime said', async () => {
    const platform = await executor();
    await expect(platform.deploy(NODE, `throw new Error('no database')`)).rejects.toMatchObject({
      code: 'FUNCTION_FAILED',
      message: expect.stringContaining('no database') as string,
    });
    expect(readdirSync(join(platform.folder, 'x', 'code'))).toEqual([]);
  });

  it('whose code takes too long to load was not started in time, as the router says it', async () => {
    const platform = await executor();
    await expect(platform.deploy(NODE, `for (;;);`, { startTimeoutMs: 100 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message:
        'Function default/fn was not started in time (SpecializationTimeout): its code had not loaded after 0.1 s.',
    });
    expect(readdirSync(join(platform.folder, 'x', 'code'))).toEqual([]);
  });

  it('is found by its entry point, or without one where that may be missing', async () => {
    const platform = await executor();
    const code = {
      'index.js': `module.exports = async () => ({ status: 200, body: 'default' });`,
      'lib/other.mjs': `export const hello = async () => ({ status: 200, body: 'hello' });`,
    };
    const named = await platform.deploy(NODE, code, { entrypoint: 'lib/other.hello' });
    const missing = await platform.deploy(NODE, code, { entrypoint: 'fn-name', entrypointOptional: true });
    expect([(await call(named, '/')).text, (await call(missing, '/')).text]).toEqual(['hello', 'default']);
    await expect(platform.deploy(NODE, code, { entrypoint: 'fn-name' })).rejects.toMatchObject({
      message: expect.stringContaining('index.js') as string,
    });
  });

  it('leaves nothing behind when it is closed, and finishes what it has', async () => {
    const platform = await executor({ spares: 1 });
    const fn = await platform.deploy(
      NODE,
      `module.exports = async () => { await new Promise((r) => setTimeout(r, 200)); return { status: 200, body: String(process.pid) }; }`,
    );
    const running = call(fn, '/');
    await new Promise((resolve) => setImmediate(resolve));
    await fn.close();
    const { text } = await running;
    expect(isRunning(Number(text))).toBe(false);
    await expect(fn.invoke(request('/'))).rejects.toMatchObject({ code: 'FUNCTION_NOT_READY' });
    await platform.executor.close();
    expect(existsSync(join(platform.folder, 'x', 'code'))).toBe(false);
  });

  it('reads JSON, forms and text by their content type', async () => {
    const fn = await (
      await executor()
    ).deploy(
      NODE,
      `module.exports = async ({ request }) => ({ status: 200, body: { body: request.body } });`,
    );
    const bodies = await Promise.all([
      call(fn, '/', post('{"a":[1]}', 'application/json')),
      call(fn, '/', post('a=1&a=2', 'application/x-www-form-urlencoded')),
      call(fn, '/', post('text', 'text/plain')),
    ]);
    expect(bodies.map(({ text }) => (JSON.parse(text) as { body: unknown }).body)).toEqual([
      { a: [1] },
      { a: ['1', '2'] },
      'text',
    ]);
  });
});

describe('a Python function', () => {
  const PYTHON = 'fission/python-env:3.9';

  it('is called with and without a context, with Flask at hand', async () => {
    const platform = await executor();
    const plain = await platform.deploy(
      PYTHON,
      'def main(context):\n    return {"message": "Hello, Fission!"}\n',
    );
    const flask = await platform.deploy(
      PYTHON,
      {
        'handlers/web.py': `
from flask import request
calls = 0
def entry():
    global calls
    calls += 1
    return f"{request.method} {request.path} {request.args.get('x')} {calls} {request.get_json(silent=True)}", 202, {"X-A": "b"}
`,
      },
      { entrypoint: 'handlers.web.entry' },
    );
    expect(JSON.parse((await call(plain, '/')).text)).toEqual({ message: 'Hello, Fission!' });
    await call(flask, '/');
    const { status, headers, text } = await call(flask, '/p?x=1', post('{"a":1}', 'application/json'));
    expect([status, headers['x-a'], text]).toEqual([202, 'b', "POST /p 1 2 {'a': 1}"]);
  });

  it('may be asynchronous, stream, raise, and write to the log', async () => {
    const platform = await executor();
    const fn = await platform.deploy(
      PYTHON,
      `
import asyncio
async def main(context):
    print("at", context.request.path)
    await asyncio.sleep(0)
    if context.request.path == "/raise": raise ValueError("wrong")
    async def parts():
        for part in ("a", "b"):
            yield part
    return parts()
`,
    );
    expect((await call(fn, '/', { id: 'r1' })).text).toBe('ab');
    expect((await call(fn, '/raise', { id: 'r2' })).status).toBe(500);
    await vi.waitFor(() => {
      const lines = platform.lines.filter(({ requestId }) => requestId === 'r2').map(({ line }) => line);
      expect([lines[0], lines.at(-1)]).toEqual(['at /raise', 'ValueError: wrong']);
    });
  });

  it('whose code cannot be loaded is refused with the line', async () => {
    await expect((await executor()).deploy(PYTHON, 'import nothing_there\n')).rejects.toMatchObject({
      code: 'FUNCTION_FAILED',
      message: expect.stringContaining("No module named 'nothing_there' (line 1") as string,
    });
  });
});

describe('an image that no local runtime stands for', () => {
  it('is refused with its name', async () => {
    await expect((await executor()).deploy('fission/ruby-env', '')).rejects.toMatchObject({
      code: 'ENVIRONMENT_NOT_SERVED',
      message: expect.stringContaining('fission/ruby-env') as string,
    });
  });
});
