/** WebSockets and server-sent events of container functions, in one process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { NODE_STREAMS, PYTHON_STREAMS, readEvents } from './support/stream-functions.ts';
import { type Platform, startPlatform } from './support/platform.ts';
import { type OpenSocket, openSocket, refusalOf } from './support/web-socket.ts';

// A Python environment may have to be made first.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 300_000 });

let platform: Platform;
let folder: string;

async function cli(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await platform.cli(args, { timeoutMs: 240_000 });
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  return stdout;
}

const logOf = (name: string): Promise<string> => cli('function', 'logs', '--name', name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-streams-'));
  platform = await startPlatform({ workers: 2 });
  await writeFile(join(folder, 'main.py'), PYTHON_STREAMS);
  await writeFile(join(folder, 'main.js'), NODE_STREAMS);
  for (const [language, file] of [
    ['python', 'main.py'],
    ['node', 'main.js'],
  ] as const) {
    await cli('environment', 'create', '--name', language, '--image', language);
    for (const kind of ['socket', 'events']) {
      const name = `${language}-${kind}`;
      const code = join(folder, file);
      const made = ['function', 'create', '--name', name, '--env', language, '--code', code];
      await cli(...made, '--entrypoint', `main.${kind}`, '--requestsperpod', '4');
      await cli(
        'route',
        'create',
        '--name',
        name,
        '--function',
        name,
        '--url',
        `/${name}`,
        '--method',
        'GET',
      );
    }
  }
});
afterAll(async () => {
  await platform?.stop();
  await rm(folder, { recursive: true, force: true });
});

const open = (path: string): Promise<OpenSocket> => openSocket(platform.router + path);

describe.each(['python', 'node'])('a %s function', (language) => {
  test('has WebSockets, several at once, both ways, and hears of their end', async () => {
    const one = await open(`/${language}-socket`);
    const two = await open(`/${language}-socket`);
    one.socket.send('first');
    two.socket.send('second');
    expect([await one.next(), await two.next()]).toEqual(['echo first', 'echo second']);
    const long = 'x'.repeat(3_000_000);
    one.socket.send(long);
    expect(await one.next()).toBe(`echo ${long}`);
    one.socket.close(1000);
    expect(await one.closed).toEqual({ code: 1000, wasClean: true });
    two.socket.send('quit');
    expect((await two.closed).wasClean).toBe(true);
    await expect.poll(() => logOf(`${language}-socket`), { timeout: 10_000 }).toMatch(/over[^]*over/);
  });

  test('tells its WebSockets to go elsewhere when it is replaced', async () => {
    const { socket, next, closed } = await open(`/${language}-socket`);
    socket.send('before');
    expect(await next()).toBe('echo before');
    await cli('function', 'update', '--name', `${language}-socket`, '--requestsperpod', '5');
    expect(await closed).toEqual({ code: 1001, wasClean: true });
    const again = await open(`/${language}-socket`);
    again.socket.send('after');
    expect(await again.next()).toBe('echo after');
  });

  test('sends each event when it makes it, and hears when its client goes', async () => {
    const controller = new AbortController();
    const answer = await fetch(`${platform.router}/${language}-events`, { signal: controller.signal });
    expect(answer.headers.get('content-type')).toContain('text/event-stream');
    await readEvents(answer, `${platform.router}/${language}-events`);
    controller.abort();
    await expect.poll(() => logOf(`${language}-events`), { timeout: 15_000 }).toContain('the client went');
  });
});

test('a Wasm function answers a WebSocket with 501 and the reason', async () => {
  const guest = join(import.meta.dirname, '../../wasm-envs/rust/template/hello.wasm');
  await cli('function', 'create', '--name', 'wasm', '--code', guest, '--env', 'wasm');
  await cli('route', 'create', '--name', 'wasm', '--function', 'wasm', '--url', '/wasm', '--method', 'GET');
  const answer = await fetch(`${platform.router}/wasm`);
  expect(answer.status).toBe(200);
  const { status, body } = await refusalOf(`${platform.router}/wasm`);
  expect(status).toBe(501);
  expect(body).toContain('UPGRADE_NOT_SERVED');
});

test('WebSockets are closed with 1001 when the platform ends, which waits for nobody', async () => {
  const { socket, next, closed } = await open('/node-socket');
  socket.send('last');
  expect(await next()).toBe('echo last');
  const began = performance.now();
  const ended = platform.stop();
  expect(await closed).toEqual({ code: 1001, wasClean: true });
  expect(await ended).toMatchObject({ code: 0 });
  // Far from the 30 s that requests in flight may take.
  expect(performance.now() - began).toBeLessThan(15_000);
});
