import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { bodyOf, cgiGuest, type CgiGuest } from './testing/run-cgi.ts';

vi.setConfig({ testTimeout: 60_000 });

let cgi: CgiGuest;

beforeAll(async () => {
  cgi = await cgiGuest('cgi.wasm', {
    env: [
      ['GREETING', 'hello'],
      ['REQUEST_METHOD', 'forged'],
      ['HTTP_X_TOKEN', 'granted'],
    ],
  });
});

const threads: Worker[] = [];
afterAll(async () => {
  await Promise.all(threads.map((thread) => thread.terminate()));
});

/** Ends a life from another thread, as the watchdog does, 100 ms from now. */
function killLater(guest: CgiGuest, life: number): void {
  const code = `const { workerData } = require('node:worker_threads');
    const words = new Int32Array(workerData.memory.buffer);
    Atomics.wait(words, 8, 0, 100);
    Atomics.store(words, 0, workerData.life);`;
  threads.push(new Worker(code, { eval: true, workerData: { memory: guest.control.memory, life } }));
}

describe('a CGI command', () => {
  it('answers with the head and body that it wrote', async () => {
    expect(await cgi.run()).toEqual({
      status: 200,
      headers: [['content-type', 'text/plain']],
      body: 'Hello from CGI!\n',
      log: '',
    });
  });

  it('sets its status and keeps repeated headers', async () => {
    const answer = await cgi.run({ pathWithQuery: '/status404' });
    expect(answer.status).toBe(404);
    expect(answer.headers).toEqual([
      ['content-type', 'text/plain'],
      ['x-one', '1'],
      ['x-one', '2'],
    ]);
    expect(answer.body).toBe('nothing here\n');
  });

  it('sees the request in its environment, and nothing of the platform', async () => {
    const { body } = await cgi.run({
      method: 'POST',
      pathWithQuery: '/a%20b?x=1&y=2',
      headers: [
        ['content-type', 'text/x'],
        ['content-length', '5'],
        ['proxy', 'http://evil.test'],
        ['x-token', 'forged'],
        ['x-other', '1'],
        ['x-other', '2'],
        ['x_other', 'smuggled'],
      ],
      body: bodyOf(['he', 'llo']),
    });
    const variables = Object.fromEntries(
      body
        .split('\n')
        .filter((line) => line.includes('='))
        .map((line) => line.split(/=(.*)/s).slice(0, 2)),
    ) as Record<string, string>;
    expect(variables).toEqual({
      args: '["guest"]',
      GREETING: 'hello',
      GATEWAY_INTERFACE: 'CGI/1.1',
      REQUEST_METHOD: 'POST',
      PATH_INFO: '/a b',
      QUERY_STRING: 'x=1&y=2',
      REQUEST_URI: '/a%20b?x=1&y=2',
      REQUEST_SCHEME: 'http',
      REMOTE_ADDR: '',
      SCRIPT_NAME: '',
      SERVER_NAME: 'example.test',
      SERVER_PORT: '8888',
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_SOFTWARE: 'fissium',
      CONTENT_TYPE: 'text/x',
      CONTENT_LENGTH: '5',
      HTTP_X_TOKEN: 'granted',
      HTTP_X_OTHER: '1, 2',
      body: '5 bytes',
    });
  });

  it('reads its body from stdin, chunk by chunk or buffered where no length was sent', async () => {
    const text = 'x'.repeat(100_000);
    for (const headers of [[['content-length', '100003']], []] as [string, string][][]) {
      const { body } = await cgi.run({
        method: 'POST',
        pathWithQuery: '/echo',
        headers,
        body: bodyOf(['abc', text]),
      });
      expect(body).toBe(`abc${text}`);
    }
  });

  it('refuses a body over the limit, announced or not', async () => {
    const small = await cgiGuest('cgi.wasm', {}, 10);
    const announced = { headers: [['content-length', '11']] as [string, string][] };
    for (const more of [announced, {}]) {
      const body = bodyOf(['12345', '678901']);
      await expect(small.run({ pathWithQuery: '/echo', body, ...more })).rejects.toMatchObject({
        code: 'BODY_TOO_LARGE',
      });
      expect(body.cancelled).toBe(true);
    }
    const lying = { headers: [['content-length', '5']] as [string, string][] };
    await expect(
      small.run({ pathWithQuery: '/echo', body: bodyOf(['12345', '678901']), ...lying }),
    ).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
  });

  it('fails with its sender', async () => {
    await expect(cgi.run({ pathWithQuery: '/echo', body: bodyOf(['abc', null]) })).rejects.toThrow(
      'went away',
    );
  });

  it('writes stderr to the log', async () => {
    const { body, log } = await cgi.run({ pathWithQuery: '/log' });
    expect(body).toBe('logged\n');
    expect(log).toBe('a line on stderr\n');
  });

  it('streams a large answer and waits for its reader', async () => {
    const sizes: number[] = [];
    let taken = 0;
    const { body } = await cgi.run(
      { pathWithQuery: '/big?1000000' },
      {
        onChunk: async (chunk) => {
          expect(taken).toBe(sizes.length);
          sizes.push(chunk.length);
          await new Promise((resolve) => setImmediate(resolve));
          taken++;
        },
      },
    );
    expect(body.length).toBe(1_000_000);
    expect(sizes.length).toBeGreaterThan(0);
  });

  it('has no files', async () => {
    const { body } = await cgi.run({ pathWithQuery: '/file' });
    expect(body).toMatch(/^Err\(.*\) Err\(/);
  });

  it('starts clean for each request', async () => {
    expect(await cgi.run()).toEqual(await cgi.run());
  });
});

describe('a CGI command that fails', () => {
  it.each([
    ['/exit', 'GUEST_EXITED', /code 7/],
    ['/no-output', 'GUEST_NO_RESPONSE', /without writing/],
    ['/bad-output', 'GUEST_BAD_RESPONSE', /this is no header/],
    ['/bad-header', 'GUEST_BAD_RESPONSE', /control character/],
    ['/alloc', 'GUEST_OUT_OF_MEMORY', /32 MiB/],
  ])('%s gives %s', async (pathWithQuery, code, message) => {
    await expect(cgi.run({ pathWithQuery })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  it('shows the stack of a trap', async () => {
    await expect(cgi.run({ pathWithQuery: '/trap' })).rejects.toMatchObject({
      code: 'GUEST_TRAPPED',
      guestStack: expect.stringContaining('inner_trap') as string,
    });
  });

  it('keeps an answer that was whole before the exit code', async () => {
    const { body, log } = await cgi.run({ pathWithQuery: '/exit-after' });
    expect(body).toBe('said before leaving\n');
    expect(log).toContain('exited with code 3');
  });

  it('is stopped while it spins, and the next request is served', async () => {
    const life = 1_000_001;
    killLater(cgi, life);
    await expect(cgi.run({ pathWithQuery: '/spin' }, { life })).rejects.toMatchObject({
      code: 'GUEST_TRAPPED',
    });
    expect((await cgi.run()).status).toBe(200);
  });

  it.each(['catch-all-loop.wasm', 'start-spins.wasm'])('%s is stopped', async (module) => {
    const guest = await cgiGuest(module);
    killLater(guest, 1);
    await expect(guest.run()).rejects.toMatchObject({ code: 'GUEST_TRAPPED' });
  });

  it('says nothing where it wrote nothing', async () => {
    const guest = await cgiGuest('empty-start.wasm');
    await expect(guest.run()).rejects.toMatchObject({ code: 'GUEST_NO_RESPONSE' });
  });
});

describe('waiting', () => {
  it('gives the thread to others: 20 sleeps of 100 ms take no 2 s', async () => {
    const guest = await cgiGuest(await sleeper());
    const before = performance.now();
    const answers = await Promise.all(Array.from({ length: 20 }, () => guest.run()));
    expect(answers.every(({ body }) => body === 'slept')).toBe(true);
    expect(performance.now() - before).toBeLessThan(1500);
    expect(guest.control.running().life).toBe(0);
  });

  it('ends when nobody waits any more, and leaves the turn free', async () => {
    const guest = await cgiGuest(await sleeper());
    const abort = new AbortController();
    const running = guest.run({}, { signal: abort.signal });
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: 'CLIENT_GONE' });
    expect((await guest.run()).body).toBe('slept');
  });

  it('does not begin for a client that is already gone', async () => {
    await expect(cgi.run({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CLIENT_GONE' });
  });
});

describe('memory', () => {
  it('is not kept from run to run', async () => {
    const guest = await cgiGuest('cgi.wasm');
    const rss = async (runs: number): Promise<number> => {
      for (let i = 0; i < runs; i++) await guest.run();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return process.memoryUsage().rss;
    };
    const before = await rss(200);
    const after = await rss(1000);
    // A leaked instance alone would keep 1.1 MB: 1,000 of them would be over 1 GB.
    expect(after - before).toBeLessThan(150 * 1024 * 1024);
  });
});

describe('a Go program', () => {
  it('answers', async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-go-'));
    try {
      await writeFile(join(folder, 'go.mod'), 'module hello\n\ngo 1.21\n');
      await writeFile(
        join(folder, 'main.go'),
        'package main\nimport ("fmt"; "io"; "os"; "time")\nfunc main() {\n' +
          'body, _ := io.ReadAll(os.Stdin)\ntime.Sleep(5 * time.Millisecond)\n' +
          'fmt.Printf("Content-Type: text/plain\\n\\n%s %d", os.Getenv("PATH_INFO"), len(body))\n}\n',
      );
      const env = { ...process.env, GOOS: 'wasip1', GOARCH: 'wasm' };
      const built = await promisify(execFile)('go', ['build', '-o', 'hello.wasm', '.'], {
        cwd: folder,
        env,
      }).then(
        () => true,
        () => false,
      );
      if (!built) return context.skip('no Go that builds for wasip1');
      const guest = await cgiGuest(await readFile(join(folder, 'hello.wasm')));
      const { body } = await guest.run({ pathWithQuery: '/go', body: bodyOf(['12345']) });
      expect(body).toBe('/go 5');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** Sleeps 100 ms by `poll_oneoff`, then answers. */
async function sleeper(): Promise<Uint8Array> {
  const { parse } = await import('@bytecodealliance/jco-transpile/wasm-tools');
  return parse(`(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "A: b\\0a\\0aslept")
    (func (export "_start")
      (i32.store (i32.const 116) (i32.const 1))
      (i64.store (i32.const 124) (i64.const 100000000))
      (if (call $poll (i32.const 100) (i32.const 200) (i32.const 1) (i32.const 300)) (then unreachable))
      (i32.store (i32.const 400) (i32.const 0))
      (i32.store (i32.const 404) (i32.const 11))
      (drop (call $write (i32.const 1) (i32.const 400) (i32.const 1) (i32.const 300)))))`);
}
