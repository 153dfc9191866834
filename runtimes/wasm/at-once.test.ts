/** Calls that are run on their caller's stack: the same answers, each effect once, and a way back where a guest waits. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { MessageChannel } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FissiumError } from '../../src/errors.ts';
import { CallAbort } from '../../src/executors/call-abort.ts';
import type { InvokeReceipt, InvokeResponse } from '../../src/executors/executor.ts';
import { ControlBlock } from './control.ts';
import type { GuestGrants, GuestLimits, PreparedManifest } from './engine.ts';
import { GuestThread } from './guest-thread.worker.ts';
import { ModuleCache } from './module-cache.ts';
import { SharedLimits } from './pool/index.ts';
import { entryFolder } from './prepare/cache.ts';
import { runPrepareJob } from './prepare/job.ts';
import type { FromExecutor, ToExecutor } from './protocol.ts';

const GUEST = join(import.meta.dirname, '../../test/guests/built/torture.wasm');
const MEMORY_BYTES = 64 * 1024 * 1024;
/** Calls that wait for nothing, after which one is tried at once (`component/at-once.ts`). */
const WARM_CALLS = 32;

interface Call {
  readonly path: string;
  readonly method?: string;
  readonly body?: string | Readable;
  readonly measured?: boolean;
}

interface Answer {
  readonly status: number | null;
  readonly headers: readonly (readonly [string, string])[];
  readonly text: string;
  readonly trailers: readonly (readonly [string, string])[];
  readonly error: string | null;
  /** Whether it was there before the call returned. */
  readonly now: boolean;
  readonly coldStart: boolean;
  readonly receipt: InvokeReceipt | null;
  readonly log: readonly string[];
}

let folder: string;
let manifest: PreparedManifest;
let entry: string;
let outbound: { readonly url: string; readonly asked: string[]; close(): void };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fissium-at-once-'));
  const source = new Uint8Array(readFileSync(GUEST));
  const digest = createHash('sha256').update(source).digest('hex');
  manifest = await runPrepareJob({ source, digest, cacheDir: folder, componentEngine: 'component' });
  entry = entryFolder(folder, digest);
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end('from outside');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  outbound = { url, asked, close: () => server.close().closeAllConnections() };
});

afterAll(() => {
  outbound.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A thread's calls, without the thread. */
class Thread {
  readonly #channel = new MessageChannel();
  readonly #thread: GuestThread;
  readonly #logs = new Map<string, string[]>();
  readonly #specialised = new Map<string, PromiseWithResolvers<void>>();
  #calls = 0;

  constructor() {
    const { port1, port2 } = this.#channel;
    port1.on('message', (messages: readonly FromExecutor[]) => {
      for (const message of messages) {
        if (message.type === 'specialised') this.#specialised.get(message.key)?.resolve();
        if (message.type === 'specialise-failed')
          this.#specialised.get(message.key)?.reject(new Error(message.error.message));
        if (message.type === 'guest-log')
          this.#linesOf(message.requestId).push(...message.lines.map((line) => `${message.stream}: ${line}`));
      }
    });
    this.#thread = new GuestThread({
      port: port2 as unknown as MessagePort,
      control: new ControlBlock().memory,
      codeBytes: 1e9,
      limits: SharedLimits.create().open(),
      listener: null,
    });
  }

  /** A function of its own, with instances of its own. */
  async deploy(
    key: string,
    limits: Partial<GuestLimits> = {},
    grants: Partial<GuestGrants> = {},
  ): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#specialised.set(key, done);
    const message: ToExecutor = {
      type: 'specialise',
      deployment: {
        key,
        namespace: key,
        name: 'guest',
        manifest,
        folder: entry,
        modules: await new ModuleCache().load('test', manifest, entry, MEMORY_BYTES),
        codeBytes: 1,
        grants: { env: [['A', 'b']], args: [], allowedOutboundHosts: [outbound.url], ...grants },
        limits: { memoryBytes: MEMORY_BYTES, cpuTimeMs: 10_000, bodyLimitBytes: 1e6, ...limits },
      },
    };
    this.#channel.port1.postMessage([message]);
    await done.promise;
  }

  async call(key: string, { path, method = 'GET', body, measured = false }: Call): Promise<Answer> {
    const id = String(++this.#calls);
    const response = Promise.withResolvers<InvokeResponse>();
    const receipt = Promise.withResolvers<InvokeReceipt | null>();
    let returned = false;
    let now = false;
    if (!measured) receipt.resolve(null);
    this.#thread.start(
      key,
      {
        id,
        method,
        scheme: 'http',
        authority: 'test',
        pathWithQuery: path,
        headers: [['x-test', 'yes']],
        body: typeof body === 'string' ? Buffer.from(body) : (body ?? null),
        signal: new CallAbort(),
        ...(measured ? { onReceipt: receipt.resolve } : {}),
      },
      {
        answered: (answer) => {
          now = !returned;
          response.resolve(answer);
        },
        failed: (thrown) => response.reject(thrown),
      },
    );
    returned = true;
    let answer: Omit<Answer, 'log' | 'receipt' | 'now'>;
    try {
      const { status, headers, body: sent, trailers, coldStart } = await response.promise;
      const bytes = sent instanceof Readable ? await buffer(sent) : (sent ?? '');
      answer = {
        status,
        headers,
        text: Buffer.from(bytes).toString(),
        trailers: (await trailers) ?? [],
        error: null,
        coldStart,
      };
    } catch (thrown) {
      const error = thrown instanceof FissiumError ? `${thrown.code} ${thrown.message}` : String(thrown);
      answer = { status: null, headers: [], text: '', trailers: [], error, coldStart: false };
    }
    // What it logged comes over the port, after everything that was posted before.
    await this.#turned();
    return { ...answer, now, receipt: await receipt.promise, log: this.#linesOf(id) };
  }

  /** After this a call is tried at once. */
  async warm(key: string, calls = WARM_CALLS): Promise<void> {
    for (let i = 0; i < calls; i++) await this.call(key, { path: '/hello' });
  }

  async close(): Promise<void> {
    this.#channel.port1.postMessage([{ type: 'close' } satisfies ToExecutor]);
    await this.#thread.closed;
    this.#channel.port1.close();
  }

  async #turned(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  #linesOf(id: string): string[] {
    const lines = this.#logs.get(id) ?? [];
    this.#logs.set(id, lines);
    return lines;
  }
}

let thread: Thread;
beforeAll(() => {
  thread = new Thread();
});
afterAll(() => thread.close());

/** What callers see of an answer. */
function seen({ status, headers, text, trailers, error, log, coldStart }: Answer): unknown {
  return { status, headers, text, trailers, error, log, coldStart };
}

/** Paths whose answers do not depend on when they are asked. @see test/guests/torture/src/lib.rs */
const STRAIGHT: readonly Call[] = [
  { path: '/hello' },
  { path: '/echo', method: 'POST', body: 'some bytes' },
  { path: '/read-all', method: 'POST', body: 'x'.repeat(10_000) },
  { path: '/echo-headers' },
  { path: '/status?code=404' },
  { path: '/many-headers' },
  { path: '/log?lines=3' },
  { path: '/counter' },
  { path: '/env' },
  { path: '/big?bytes=60000' },
];
const NOT_STRAIGHT: readonly Call[] = [
  { path: '/sleep?ms=2' },
  { path: '/poll?ms=3,1' },
  { path: '/big?bytes=1000000' },
  { path: '/slow-body?ms=2&chunks=3' },
  { path: '/trap' },
  { path: '/panic?message=oops' },
  { path: '/exit?code=3' },
  { path: '/exit?after=head' },
  { path: '/no-response' },
  { path: '/error-code' },
  { path: '/trap-after-head' },
  { path: '/drop-body' },
  { path: '/content-length-wrong' },
  { path: '/alloc' },
  { path: '/recurse' },
  { path: '/hoard-pollables' },
  { path: '/hoard-fields' },
];

describe('a call that is run on its caller’s stack', () => {
  it.for(STRAIGHT)(
    'has its answer before it returns, which is the usual one: $path',
    async (call, { expect }) => {
      const key = `straight ${call.path}`;
      await thread.deploy(key);
      const usual = await thread.call(key, call);
      expect(usual.error).toBeNull();
      await thread.warm(key);
      for (let i = 0; i < 3; i++) {
        const answer = await thread.call(key, call);
        expect(seen(answer)).toEqual(seen(usual));
        expect(answer.now).toBe(true);
      }
    },
  );

  it.for(NOT_STRAIGHT)(
    'is run again, as usual, where it cannot end there: $path',
    async (call, { expect }) => {
      const key = `not straight ${call.path}`;
      await thread.deploy(key);
      const usual = await thread.call(key, call);
      await thread.warm(key);
      const tried = await thread.call(key, call);
      expect(seen(tried)).toEqual(seen(usual));
      expect(seen(await thread.call(key, call))).toEqual(seen(usual));
      expect((await thread.call(key, { path: '/hello' })).text).toBe('Hello, world!\n');
    },
  );

  it('asks no server twice', async () => {
    await thread.deploy('outbound');
    await thread.warm('outbound');
    const answer = await thread.call('outbound', { path: `/outbound?url=${outbound.url}/once` });
    expect(answer.text).toContain('from outside');
    expect(outbound.asked).toEqual(['/once']);
  });

  it('has the whole body again where it is run again', async () => {
    await thread.deploy('body');
    await thread.warm('body');
    // More than is held back: it is given up after it has read.
    const body = 'y'.repeat(100_000);
    const answer = await thread.call('body', { path: '/echo', method: 'POST', body });
    expect(answer.now).toBe(false);
    expect(answer.text).toBe(body);
  });

  it('is not tried with a body that comes in pieces, which could not be read twice', async () => {
    await thread.deploy('stream');
    await thread.warm('stream');
    const body = Readable.from([Buffer.from('one '), Buffer.from('two')]);
    expect((await thread.call('stream', { path: '/echo', method: 'POST', body })).text).toBe('one two');
    // It has waited, as usual; a try that failed would have made the next twice as late.
    await thread.warm('stream');
    expect((await thread.call('stream', { path: '/hello' })).now).toBe(true);
  });

  it('finds a clean instance, and leaves one', async () => {
    await thread.deploy('clean');
    const first = (await thread.call('clean', { path: '/counter' })).text;
    await thread.warm('clean');
    for (let i = 0; i < 3; i++) {
      const answer = await thread.call('clean', { path: '/counter' });
      expect(answer.now).toBe(true);
      expect(answer.text).toBe(first);
    }
  });

  it('is measured like any other', async () => {
    await thread.deploy('measured');
    await thread.warm('measured');
    await thread.call('measured', { path: '/hello' });
    const { now, receipt } = await thread.call('measured', { path: '/hello', measured: true });
    expect(now).toBe(true);
    expect(receipt).toMatchObject({ instance: 'ready', queueMs: 0, specialiseMs: 0, waitingMs: 0 });
    expect(receipt?.guestMs).toBeGreaterThan(0);
    expect(receipt?.peakMemoryBytes).toBeGreaterThan(0);
  });

  it('is not tried where instances keep their state', async () => {
    const instance = { mode: 'reuse', maxRequests: null, idleTimeoutMs: 60_000 } as const;
    await thread.deploy('reuse', { instance });
    await thread.warm('reuse');
    expect((await thread.call('reuse', { path: '/hello' })).now).toBe(false);
  });

  it('is tried again twice as late after one that waited', async () => {
    await thread.deploy('late');
    await thread.warm('late');
    expect((await thread.call('late', { path: '/sleep?ms=1' })).text).toBe('slept\n');
    await thread.warm('late', 2 * WARM_CALLS - 1);
    expect((await thread.call('late', { path: '/hello' })).now).toBe(false);
    expect((await thread.call('late', { path: '/hello' })).now).toBe(true);
  });
});
