/** Listener threads with real sockets and real guests. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { hostCallSigners } from '../../auth/host-calls.ts';
import { deriveServiceKey } from '../../auth/internal-auth.ts';
import type { Invoker } from '../../executors/executor.ts';
import { TestExecutor } from '../../executors/process/testing/executor.ts';
import { limits, trigger } from '../testing/resources.ts';
import { Acceptor } from './acceptor.ts';
import { closePlatforms, startPlatform, type Platform } from './testing/platform.ts';

vi.setConfig({ testTimeout: 60_000 });

afterEach(closePlatforms);

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Keeps asking until it is told to stop; gives what was not answered with 200. */
function load(platform: Platform, path: string, clients: number): { stop(): Promise<unknown[]> } {
  let stopping = false;
  const failures: unknown[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const client = async (): Promise<void> => {
    while (!stopping) {
      try {
        const { status, text } = await platform.ask(path, { agent });
        if (status !== 200) failures.push(`${status} ${text}`);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const clientsDone = Promise.all(Array.from({ length: clients }, client));
  return {
    stop: async () => {
      stopping = true;
      await clientsDone;
      agent.destroy();
      return failures;
    },
  };
}

describe('listener threads', () => {
  it('answer beside guests that spin, also where these come first, one to each thread, and nobody watches yet', async () => {
    const platform = await startPlatform();
    await platform.deploy('spinner', 'torture.wasm');
    await platform.deploy('f', 'torture.wasm');
    const ended: string[] = [];
    const ask = async (path: string): Promise<void> => {
      expect((await platform.ask(path)).status).toBe(200);
      ended.push(path);
    };
    const spinners = [ask('/spinner/spin?ms=3000'), ask('/spinner/spin?ms=3000')];
    await Promise.all([...spinners, ask('/f/hello')]);
    expect(ended[0]).toBe('/f/hello');
  });

  it('let guests that compute give way, also those of a function that had never needed a stack of its own', async () => {
    const platform = await startPlatform();
    await platform.deploy('f', 'torture.wasm');
    // A connection in each thread.
    const agents = [0, 1].map(() => new Agent({ keepAlive: true, maxSockets: 1 }));
    for (let i = 0; i < 40; i++) {
      const answers = await Promise.all(agents.map((agent) => platform.ask('/f/hello', { agent })));
      expect(answers.map(({ text }) => text)).toEqual(['Hello, world!\n', 'Hello, world!\n']);
    }
    const ended: string[] = [];
    const spinners = agents.map(async (agent) => {
      const { status } = await platform.ask('/f/spin?ms=1500', { agent });
      ended.push(`spun ${status}`);
    });
    expect((await platform.ask('/f/hello')).status).toBe(200);
    ended.push('hello');
    await Promise.all(spinners);
    expect(ended).toEqual(['hello', 'spun 200', 'spun 200']);
    for (const agent of agents) agent.destroy();
  });

  it('run a function that nobody can call before their first connection, and count nothing of it', async () => {
    const platform = await startPlatform();
    const warm = await platform.host.deploy('torture.wasm', {
      onLog: ({ line }) => platform.lines.push(line),
    });
    await platform.router.warmUp(warm.threadKey ?? '', 3);
    // Whatever becomes of it, the threads serve.
    await platform.router.warmUp('no such function', 3);
    await warm.close();
    expect((await platform.ask('/warm-up')).status).toBe(404);
    await platform.deploy('f', 'torture.wasm');
    expect((await platform.ask('/f/')).status).toBe(200);
    expect(await platform.metrics.registry.metrics()).not.toContain('warm-up');
  });

  it('of a host with keys let in only who signs, and the guest sees no signature', async () => {
    const key = deriveServiceKey('secret', 'wasm-host', 'default');
    const platform = await startPlatform(2, { fromRouters: true, callKeys: [key] });
    await platform.deploy('f', 'torture.wasm');
    const sign = hostCallSigners({ current: 'secret', previous: null })('default');
    for (const method of ['GET', 'POST']) {
      const stranger = await platform.ask('/f/hello', { method });
      expect([stranger.status, stranger.headers['x-fissium-refused']]).toEqual([500, '1']);
      const router = await platform.ask('/f/hello', { method, headers: sign?.() ?? {} });
      expect([router.status, router.headers['x-fissium-refused']]).toEqual([200, undefined]);
    }
    // Nothing of a body is waited for before it is known who sends it.
    const headers = { ...sign?.(), 'transfer-encoding': 'chunked' };
    const streamed = await platform.ask('/f/hello', { method: 'POST', headers, body: 'x'.repeat(100_000) });
    expect(streamed.status).toBe(200);
  });

  it('answer in the thread that has the connection, whichever that is', async () => {
    const platform = await startPlatform();
    await platform.deploy('hello', 'hello.wasm');
    const answers = await Promise.all(Array.from({ length: 8 }, () => platform.ask('/hello')));
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['Hello, world!\n']));
    // A guest may still be leaving when its answer is there.
    await vi.waitFor(() => expect(platform.host.host.stats().inFlight).toBe(0));
    await vi.waitFor(async () =>
      expect((await platform.metrics.page()).body).toMatch(
        /fission_function_calls_total\{[^}]*function_name="hello"[^}]*\} 8/,
      ),
    );
  });

  it('have functions called elsewhere that they cannot interrupt', async () => {
    const platform = await startPlatform();
    await platform.deploy('cgi', 'cgi.wasm');
    const { status, text } = await platform.ask('/cgi/hello', { method: 'POST', body: 'x'.repeat(200_000) });
    expect(status, text).toBe(200);
  });

  it.each([
    { startTimeoutMs: 30_000, says: 'loaded' },
    { startTimeoutMs: 300, says: 'SpecializationTimeout' },
  ])('give the start of a process $startTimeoutMs ms before the call has its own time', async (given) => {
    const platform = await startPlatform(1);
    const processes = await TestExecutor.start();
    try {
      const { startTimeoutMs, says } = given;
      const marker = join(processes.folder, 'first');
      // The first process, of the deployment, loads at once; the next takes longer than a call may.
      const code = `const { existsSync, writeFileSync } = require('node:fs');
        if (existsSync(${JSON.stringify(marker)})) for (const end = Date.now() + 1500; Date.now() < end;);
        else writeFileSync(${JSON.stringify(marker)}, String(process.pid));
        module.exports = async () => ({ status: 200, body: 'loaded' });`;
      const deployed = await processes.deploy('node', code, { idleTimeoutMs: 1 });
      // Not a limit of the deployment's, which the first process would have to keep too.
      const invoker: Invoker = {
        upgrades: deployed.upgrades,
        invoke: ({ clock, ...request }) =>
          deployed.invoke({
            ...request,
            clock: { starting: () => clock?.starting(startTimeoutMs), started: () => clock?.started() },
          }),
      };
      const first = Number(await readFile(marker, 'utf8'));
      await expect.poll(() => isRunning(first), { timeout: 20_000 }).toBe(false);
      platform.functions.set({
        namespace: 'default',
        name: 'slow',
        uid: 'uid-slow',
        limits: limits({ firstByteTimeoutMs: 1000 }),
        state: { phase: 'ready', invoker },
      });
      platform.routes.upsert(trigger('slow'));
      await platform.router.settled();
      expect((await platform.ask('/slow')).text).toContain(says);
    } finally {
      await processes.close();
    }
  });

  it('stream bodies both ways', async () => {
    const platform = await startPlatform();
    await platform.deploy('torture', 'torture.wasm');
    const body = 'abcdefgh'.repeat(400_000);
    const answer = await platform.ask('/torture/echo', { method: 'POST', body });
    expect(answer.text.length).toBe(body.length);
    expect(answer.text === body).toBe(true);
  });

  it('take over routes, functions and limits that change under load, without a failed request', async () => {
    const platform = await startPlatform();
    await platform.deploy('hello', 'hello.wasm');
    const running = load(platform, '/hello', 4);
    for (let i = 0; i < 5; i++) {
      await platform.deploy('hello', 'hello.wasm', { concurrency: 10 + i });
      await platform.deploy(`other${i}`, 'hello.wasm');
      expect((await platform.ask(`/other${i}`)).status).toBe(200);
      platform.routes.delete('default', `other${i}`);
      await platform.router.settled();
      expect((await platform.ask(`/other${i}`)).status).toBe(404);
    }
    expect(await running.stop()).toEqual([]);
  });

  it('drain: requests that are under way are answered, new connections refused', async () => {
    const platform = await startPlatform();
    await platform.deploy('torture', 'torture.wasm');
    const slow = platform.ask('/torture/sleep?ms=300');
    await vi.waitFor(async () =>
      expect((await platform.metrics.page()).body).toMatch(/requests_in_flight\{[^}]*\} 1/),
    );
    expect((await platform.metrics.page()).body).toMatch(
      /fission_function_instances\{[^}]*"torture"[^}]*\} 1/,
    );
    const closed = platform.router.close({ graceMs: 10_000 });
    expect((await slow).status).toBe(200);
    await closed;
    await expect(platform.ask('/torture/hello')).rejects.toThrow(/ECONNREFUSED|hang up/);
  });

  it('that must be ended lose only their own connections, and are replaced', async () => {
    const platform = await startPlatform(1);
    await platform.deploy('torture', 'torture.wasm');
    const socket = connect(platform.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET /torture/sleep?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n');
    socket.on('error', () => undefined);
    await vi.waitFor(async () =>
      expect((await platform.metrics.page()).body).toMatch(/requests_in_flight\{[^}]*\} 1/),
    );
    const gone = once(socket, 'close');
    platform.host.host.terminateThreads();
    await gone;
    expect((await platform.metrics.page()).body).toMatch(/^fissium_connections_lost_total 1$/m);
    const { status, text } = await platform.ask('/torture/hello');
    expect(status, text).toBe(200);
    expect(platform.host.host.stats().threadsReplaced).toBe(1);
    // What the lost thread counted is still there.
    expect((await platform.metrics.page()).body).toMatch(/requests_in_flight\{[^}]*\} 0/);
  });

  it('hold the limits of a function over all of them', async () => {
    const platform = await startPlatform(2);
    await platform.deploy('torture', 'torture.wasm', { concurrency: 2, queue: 0 });
    const answers = Promise.all(Array.from({ length: 6 }, () => platform.ask('/torture/sleep?ms=500')));
    const statuses = (await answers).map(({ status }) => status).sort((a, b) => a - b);
    expect(statuses).toEqual([200, 200, 429, 429, 429, 429]);
    expect((await platform.ask('/torture/hello')).status).toBe(200);
  });

  it("bring a guest's output, and why it failed, to its log", async () => {
    const platform = await startPlatform();
    await platform.deploy('torture', 'torture.wasm');
    expect((await platform.ask('/torture/trap')).status).toBe(502);
    await vi.waitFor(() => expect(platform.lines.join('\n')).toMatch(/GUEST_TRAPPED/));
  });

  it('end a guest that computes for longer than it may, while its neighbours are answered', async () => {
    const platform = await startPlatform(1);
    await platform.deploy('torture', 'torture.wasm');
    const spinning = platform.ask('/torture/spin?ms=1500');
    for (let i = 0; i < 5; i++) expect((await platform.ask('/torture/hello')).status).toBe(200);
    expect((await spinning).status).toBe(200);
  });

  it('say which port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const acceptor = new Acceptor({ logger: pino({ level: 'silent' }), give: () => false });
    await expect(acceptor.listen('127.0.0.1', port)).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining(String(port)) as string,
    });
    taken.close();
  });
});

describe('a receipt', () => {
  const stages =
    /^queue=[\d.]+; specialise=[\d.]+; instantiate=[\d.]+; guest=[\d.]+; host=[\d.]+; wait=[\d.]+; /;

  it('is a header where the guest had ended before its answer began, and says what the call found', async () => {
    const platform = await startPlatform(1);
    await platform.deploy('hello', 'hello.wasm');
    const asked = { headers: { 'X-Fissium-Receipt': '1' } };
    const answer = await platform.ask('/hello', asked);
    const receipt = String(answer.headers['x-fissium-receipt']);
    expect(receipt).toMatch(stages);
    expect(receipt).toMatch(/memory=\d{6,}; instance=ready; cold=warm$/);
    expect((await platform.ask('/hello')).headers['x-fissium-receipt']).toBeUndefined();
    expect((await platform.metrics.page()).body).toMatch(
      /fissium_invocation_stage_seconds_count\{[^}]*function_name="hello"[^}]*stage="guest"[^}]*\} [1-9]/,
    );
  });

  it('is a trailer where the answer began before; waiting is no computing', async () => {
    const platform = await startPlatform(1);
    await platform.deploy('torture', 'torture.wasm');
    const body = 'x'.repeat(500_000);
    const answer = await platform.ask('/torture/echo', {
      method: 'POST',
      body,
      headers: { 'X-Fissium-Receipt': '1' },
    });
    expect(answer.text.length).toBe(body.length);
    expect(String(answer.trailers['x-fissium-receipt'])).toMatch(stages);
    const slept = await platform.ask('/torture/sleep?ms=80', { headers: { 'X-Fissium-Receipt': '1' } });
    // In the head, unless the machine is so busy that the head went before the body was there.
    const receipt = String(slept.headers['x-fissium-receipt'] ?? slept.trailers['x-fissium-receipt']);
    const waitMs = Number(/wait=([\d.]+)/.exec(receipt)?.[1]);
    expect(waitMs).toBeGreaterThan(70);
    expect(Number(/guest=([\d.]+)/.exec(receipt)?.[1])).toBeLessThan(waitMs);
  });
});
