import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { wat } from '../rewrite/testing/wat.ts';
import { asUnstable } from './testing/dialect.ts';
import { bodyOf, cgiGuest, guestBytes, type CgiGuest } from './testing/run-cgi.ts';

vi.setConfig({ testTimeout: 60_000 });

const GRANTS = {
  env: [
    ['GREETING', 'hello'],
    ['REQUEST_METHOD', 'forged'],
    ['HTTP_X_TOKEN', 'granted'],
  ],
} as const;

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

describe.each([
  ['our own host', async (wasm: Uint8Array) => Promise.resolve(wasm)],
  ['@wasmer/wasi', asUnstable],
])('over %s', (_, build) => {
  let cgi: CgiGuest;

  beforeAll(async () => {
    cgi = await cgiGuest(await build(await guestBytes('cgi.wasm')), GRANTS);
  });

  describe('a CGI command', () => {
    it('answers with the head and body that it wrote', async () => {
      expect(await cgi.run()).toMatchObject({
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
      const small = await cgiGuest(await build(await guestBytes('cgi.wasm')), {}, 10);
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

    it('sees a root of its own, which it cannot write to', async () => {
      const { body } = await cgi.run({ pathWithQuery: '/file' });
      expect(body).toMatch(/^Ok\(1\) Err\(.*ReadOnlyFilesystem/);
    });

    it('redirects, with the status that a location stands for', async () => {
      const { status, headers } = await cgi.run({ pathWithQuery: '/redirect' });
      expect([status, headers]).toEqual([302, [['location', 'https://example.com/elsewhere']]]);
    });

    it('answers with every byte as it is', async () => {
      const { bytes } = await cgi.run({ pathWithQuery: '/binary' });
      expect(bytes).toEqual(Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
    });

    it('streams 10 MB in and out, in the memory of a few chunks', async () => {
      const big = await cgiGuest(await build(await guestBytes('cgi.wasm')), {}, 16 * 1024 * 1024);
      const chunk = Buffer.alloc(65_536, 'abcdefgh');
      const chunks = Array.from({ length: 160 }, () => chunk);
      const headers: [string, string][] = [['content-length', String(160 * 65_536)]];
      const { bytes } = await big.run({ pathWithQuery: '/cat', headers, body: bodyOf(chunks) });
      expect(bytes.equals(Buffer.concat(chunks))).toBe(true);
    });

    it('is given arguments and environment as UTF-8, whatever they were', async () => {
      const env = [
        ['GREETING', 'gr\u00fc\u00df dich \u{1f680}'],
        ['BROKEN', 'half \ud83d of a pair'],
      ] as const;
      const guest = await cgiGuest(await build(await guestBytes('cgi.wasm')), {
        env,
        args: ['one', 'zw\u00f6lf', ''],
      });
      const { body } = await guest.run({ pathWithQuery: '/show/%ff', headers: [['x-raw', 'caf\u00e9']] });
      expect(body).toContain('args=["one", "zw\u00f6lf", ""]');
      expect(body).toContain('GREETING=gr\u00fc\u00df dich \u{1f680}\n');
      expect(body).toContain('BROKEN=half \ufffd of a pair\n');
      expect(body).toContain('PATH_INFO=/show/%ff\n');
      expect(body).toContain('HTTP_X_RAW=caf\u00e9\n');
    });

    it('starts clean for each request', async () => {
      for (const before of ['/count', '/count?exit', '/trap', '/exit']) {
        await cgi.run({ pathWithQuery: before }).catch(() => null);
        expect((await cgi.run({ pathWithQuery: '/count' })).body).toMatch(/^1 1 /);
      }
    });
  });

  describe('a CGI command that fails', () => {
    it.each([
      ['/exit', 'GUEST_EXITED', /code 7/],
      ['/no-output', 'GUEST_NO_RESPONSE', /without writing/],
      ['/bad-output', 'GUEST_BAD_RESPONSE', /this is no header/],
      ['/bad-header', 'GUEST_BAD_RESPONSE', /control character/],
      ['/alloc', 'GUEST_OUT_OF_MEMORY', /32 MiB/],
      ['/panic', 'GUEST_TRAPPED', /unreachable/],
      ['/recurse', 'GUEST_TRAPPED', /./],
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

    it('has its log cut where it floods it', async () => {
      const { body, log } = await cgi.run({ pathWithQuery: '/flood-log' });
      expect(body).toBe('said it all\n');
      expect(log.length).toBeLessThan(4.1 * 1024 * 1024);
      expect(log.slice(-200)).toContain('what follows is dropped');
    });

    it('has a limited number of descriptors', async () => {
      const { body } = await cgi.run({ pathWithQuery: '/hoard-files' });
      expect(body).toMatch(/^\d{3,4} Some\((33|19|51)\)/);
    });

    it.each(['catch-all-loop.wasm', 'start-spins.wasm'])('%s is stopped', async (module) => {
      const guest = await cgiGuest(await build(await guestBytes(module)));
      killLater(guest, 1);
      await expect(guest.run()).rejects.toMatchObject({ code: 'GUEST_TRAPPED' });
    });

    it('says nothing where it wrote nothing', async () => {
      const guest = await cgiGuest(await build(await guestBytes('empty-start.wasm')));
      await expect(guest.run()).rejects.toMatchObject({ code: 'GUEST_NO_RESPONSE' });
    });
  });
});

describe.each(['wasi_snapshot_preview1', 'wasi_unstable'] as const)('waiting, as in %s', (dialect) => {
  it('gives the thread to others: 20 sleeps of 100 ms take no 2 s', async () => {
    const guest = await cgiGuest(await sleeper(dialect));
    const before = performance.now();
    const answers = await Promise.all(Array.from({ length: 20 }, () => guest.run()));
    expect(answers.every(({ body }) => body === 'slept')).toBe(true);
    expect(performance.now() - before).toBeLessThan(1500);
    expect(guest.control.running().life).toBe(0);
  });

  it('ends when nobody waits any more, and leaves the turn free', async () => {
    const guest = await cgiGuest(await sleeper(dialect));
    const abort = new AbortController();
    const running = guest.run({}, { signal: abort.signal });
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: 'CLIENT_GONE' });
    expect((await guest.run()).body).toBe('slept');
  });

  it('does not begin for a client that is already gone', async () => {
    const guest = await cgiGuest('cgi.wasm');
    await expect(guest.run({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'CLIENT_GONE',
    });
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
function sleeper(dialect: 'wasi_snapshot_preview1' | 'wasi_unstable'): Promise<Uint8Array> {
  const old = dialect === 'wasi_unstable';
  return wat(`(module
    (import "${dialect}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "${dialect}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "A: b\\0a\\0aslept")
    (func (export "_start")
      (i32.store (i32.const ${old ? 124 : 116}) (i32.const 1))
      (i64.store (i32.const ${old ? 132 : 124}) (i64.const 100000000))
      (if (call $poll (i32.const 100) (i32.const 200) (i32.const 1) (i32.const 300)) (then unreachable))
      (i32.store (i32.const 400) (i32.const 0))
      (i32.store (i32.const 404) (i32.const 11))
      (drop (call $write (i32.const 1) (i32.const 400) (i32.const 1) (i32.const 300)))))`);
}
