/** Fission's environment contract, held by both container servers over TCP, as their images run them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { findPython } from '../../src/executors/process/python.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 300_000 });

const RUNTIMES = fileURLToPath(new URL('..', import.meta.url));

interface Runtime {
  readonly name: 'python' | 'node';
  readonly file: string;
  /** Answers with its request's path and the variable A; `/slow` takes a while; `/wrong` throws. */
  readonly code: string;
  readonly specialized: number;
}

const PYTHON: Runtime = {
  name: 'python',
  file: 'main.py',
  code: `
import os, time
from flask import request
def main():
    if request.path == "/slow": time.sleep(0.5)
    if request.path == "/wrong": raise ValueError("wrong")
    return f"{request.path} {os.environ.get('A')}"
def socket(ws, clients):
    while True:
        message = ws.receive()
        if message is None: return
        ws.send("echo " + message)

def slow_socket(ws, clients):
    import time
    class Slow:
        def __init__(self, sock): self.sock = sock
        def __getattr__(self, name): return getattr(self.sock, name)
        def send(self, data):
            time.sleep(0.3)
            return self.sock.send(data)
    ws._server.sock = Slow(ws._server.sock)
    return socket(ws, clients)
`,
  specialized: 200,
};
const NODE: Runtime = {
  name: 'node',
  file: 'main.js',
  code: `
module.exports = async ({ request }) => {
  if (request.path === '/slow') await new Promise((resolve) => setTimeout(resolve, 500));
  if (request.path === '/wrong') throw new Error('wrong');
  return { status: 200, body: request.path + ' ' + process.env.A };
};
module.exports.socket = (ws, clients) => {
  ws.on('message', (message) => ws.send('echo ' + message));
};
`,
  specialized: 202,
};

interface Running {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
}

let python: string;
const running: Running[] = [];

beforeAll(async () => {
  python = await findPython({
    cacheFolder: join(homedir(), '.cache', 'fissium'),
    requirementsPath: join(RUNTIMES, 'python', 'requirements.txt'),
  });
});

afterEach(async () => {
  for (const { child, ended, folder } of running.splice(0)) {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
});

/** @param folder one that an earlier container of the same pod left, where this is its restart */
async function start({ name, file, code }: Runtime, folder?: string): Promise<Running> {
  const volume = folder ?? (await mkdtemp(join(tmpdir(), 'fissium-contract-')));
  if (folder === undefined) {
    await writeFile(join(volume, 'user'), code);
    await mkdir(join(volume, 'deployarchive'));
    await writeFile(join(volume, 'deployarchive', file), code);
  }
  const [command, script] =
    name === 'python' ? [python, 'python/server.py'] : [process.execPath, 'node/server.ts'];
  const child = spawn(command, [join(RUNTIMES, script)], {
    env: { PATH: process.env['PATH'], RUNTIME_PORT: '0', USERFUNCVOL: volume },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const port = await new Promise<number>((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const found = /listening on port (\d+)/.exec(said);
      if (found !== null) resolve(Number(found[1]));
    });
    child.once('close', () => reject(new Error(said)));
  });
  const started = { url: `http://127.0.0.1:${port}`, port, folder: volume, child, ended };
  running.push(started);
  return started;
}

const post = (url: string, body?: object): Promise<Response> =>
  fetch(url, { method: 'POST', ...(body === undefined ? {} : { body: JSON.stringify(body) }) });

const textOf = async (answer: Promise<Response>): Promise<[number, string]> => {
  const { status, text } = await answer.then(async (got) => ({ status: got.status, text: await got.text() }));
  return [status, text];
};

describe.each([PYTHON, NODE])('the $name server', (runtime) => {
  it('is healthy and serves no requests before it is specialised', async () => {
    const { url } = await start(runtime);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(await textOf(fetch(`${url}/x`))).toEqual([500, 'Generic container: no requests supported']);
  });

  it('takes many connections at once, also while it is busy', async () => {
    const { port, child } = await start(runtime);
    // It accepts nothing meanwhile, so that all of them are the kernel's to keep.
    child.kill('SIGSTOP');
    const startedMs = performance.now();
    const sockets = Array.from({ length: 200 }, () =>
      connect(port, '127.0.0.1').on('error', () => undefined),
    );
    try {
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      // One that found no place is tried again after a second.
      expect(performance.now() - startedMs).toBeLessThan(900);
    } finally {
      for (const socket of sockets) socket.destroy();
      child.kill('SIGCONT');
    }
  });

  it('is specialised once, by version 1', async () => {
    const { url } = await start(runtime);
    expect((await post(`${url}/specialize`)).status).toBe(runtime.specialized);
    expect(await textOf(fetch(`${url}/x`))).toEqual([200, expect.stringMatching(/^\/x /)]);
    expect(await textOf(post(`${url}/specialize`))).toEqual([400, 'Not a generic container']);
    expect(await textOf(post(`${url}/v2/specialize`, {}))).toEqual([400, 'Not a generic container']);
  });

  it('is specialised by version 2, with variables, and once more when its container is restarted', async () => {
    const { url, folder, child, ended } = await start(runtime);
    const filepath = join(folder, 'deployarchive');
    const load = { filepath, functionName: '', url: '', envVersion: 3, env: { A: 'one' } };
    expect((await post(`${url}/v2/specialize`, load)).status).toBe(runtime.specialized);
    expect(await textOf(fetch(`${url}/x?y=1`))).toEqual([200, '/x one']);
    child.kill('SIGKILL');
    await ended;
    const again = await start(runtime, folder);
    expect(await textOf(fetch(`${again.url}/x`))).toEqual([200, '/x one']);
  });

  it('says what is wrong with code that cannot be loaded, and stays generic', async () => {
    const { url, folder } = await start(runtime);
    const filepath = join(folder, 'deployarchive');
    const [status, text] = await textOf(
      post(`${url}/v2/specialize`, { filepath, functionName: 'nowhere.fn' }),
    );
    expect([status, text]).toEqual([500, expect.stringContaining(runtime.file)]);
    expect((await post(`${url}/v2/specialize`, { filepath, functionName: 7 })).status).toBe(400);
    expect((await post(`${url}/v2/specialize`, { filepath, env: { A: 1 } })).status).toBe(400);
    expect((await post(`${url}/v2/specialize`, { filepath, functionName: '' })).status).toBe(
      runtime.specialized,
    );
  });

  it('answers 500 for an exception and goes on', async () => {
    const { url } = await start(runtime);
    await post(`${url}/specialize`);
    const [status, text] = await textOf(fetch(`${url}/wrong`));
    expect([status, text]).toEqual([500, expect.not.stringContaining('wrong')]);
    expect((await fetch(`${url}/x`)).status).toBe(200);
  });

  it('finishes what it has when it is told to stop, and ends with 0', async () => {
    const { url, port, child, ended } = await start(runtime);
    await post(`${url}/specialize`);
    const slow = textOf(fetch(`${url}/slow`));
    // The request is there once a second connection's answer is.
    await fetch(`${url}/x`);
    child.kill('SIGTERM');
    expect(await slow).toEqual([200, expect.stringContaining('/slow')]);
    expect(await ended).toBe(0);
    await expect(
      new Promise((resolve, reject) =>
        connect(port, '127.0.0.1').once('connect', resolve).once('error', reject),
      ),
    ).rejects.toThrow('ECONNREFUSED');
  });
});

/** The second one's answer to the close is on its way for longer than the function takes to return. */
describe.each([
  [PYTHON, 'socket'],
  [PYTHON, 'slow_socket'],
  [NODE, 'main.socket'],
] as const)('the $name server', (runtime, functionName) => {
  async function opened(url: string): Promise<{ socket: WebSocket; closed: Promise<number> }> {
    const socket = new WebSocket(url.replace('http', 'ws'));
    const closed = new Promise<number>((resolve) => {
      socket.addEventListener('close', ({ code }) => resolve(code));
    });
    const got = await new Promise((resolve, reject) => {
      socket.addEventListener('open', () => socket.send('one'));
      socket.addEventListener('message', ({ data }) => resolve(data));
      socket.addEventListener('error', reject);
    });
    expect(got).toBe('echo one');
    return { socket, closed };
  }

  it(`hands WebSockets to (ws, clients), and closes them: ${functionName}`, async () => {
    const { url, folder } = await start(runtime);
    await post(`${url}/v2/specialize`, { filepath: join(folder, 'deployarchive'), functionName });
    const { socket, closed } = await opened(url);
    socket.close(1000);
    expect(await closed).toBe(1000);
  });

  it(`tells WebSockets that it goes away: ${functionName}`, async () => {
    const { url, folder, child, ended } = await start(runtime);
    await post(`${url}/v2/specialize`, { filepath: join(folder, 'deployarchive'), functionName });
    const { closed } = await opened(url);
    child.kill('SIGTERM');
    expect(await closed).toBe(1001);
    expect(await ended).toBe(0);
  });
});

describe('the python server', () => {
  it('loses none of its threads to WebSockets that have ended', async () => {
    const { url, folder } = await start(PYTHON);
    const functionName = 'socket';
    await post(`${url}/v2/specialize`, { filepath: join(folder, 'deployarchive'), functionName });
    // More than it has threads.
    for (let count = 0; count < 40; count++) {
      const socket = new WebSocket(url.replace('http', 'ws'));
      const code = await new Promise((resolve) => {
        socket.addEventListener('open', () => socket.close(1000));
        socket.addEventListener('close', (event) => resolve(event.code));
      });
      expect(code).toBe(1000);
    }
  });
});
