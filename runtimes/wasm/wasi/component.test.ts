/** Real components through jco's generated code and this host, from request to answer. */
import { createServer } from 'node:http';
import { beforeAll, describe, expect, it } from 'vitest';
import { FissiumError } from '../../../src/errors.ts';
import { GuestTrap } from './stops.ts';
import { MemoryInvocation, type MemoryInvocationOptions } from './testing/memory-invocation.ts';
import { loadComponent, type RunningComponent } from './testing/run-component.ts';

const TORTURE = new URL('../../../test/guests/built/torture.wasm', import.meta.url).pathname;

let torture: RunningComponent;
beforeAll(async () => {
  torture = await loadComponent(TORTURE);
}, 60_000);

function at(pathWithQuery: string, options: MemoryInvocationOptions = {}): MemoryInvocation {
  return new MemoryInvocation({ ...options, request: { ...options.request, pathWithQuery } });
}

async function call(pathWithQuery: string, options: MemoryInvocationOptions = {}): Promise<MemoryInvocation> {
  const invocation = at(pathWithQuery, options);
  await torture.handle(invocation);
  return invocation;
}

async function failureAt(pathWithQuery: string): Promise<unknown> {
  return torture.handle(at(pathWithQuery)).then(
    () => 'answered',
    (error: unknown) => (error instanceof FissiumError ? error.code : error),
  );
}

describe('a component', () => {
  it('answers, and logs', async () => {
    const { sink } = await call('/hello');
    expect([sink.status, sink.trailers]).toEqual([200, []]);
    expect(sink.bytes).toBeGreaterThan(0);
  });

  it.each(['/echo', '/echo-splice'])('streams %s both ways, in bounded pieces', async (path) => {
    const chunks = Array.from({ length: 40 }, (_, index) => Buffer.alloc(50_000, index));
    const { sink, body } = await call(path, { request: { method: 'POST' }, body: chunks });
    expect(Buffer.concat(sink.chunks).equals(Buffer.concat(chunks))).toBe(true);
    expect(body?.reads).toBe(41);
    expect(Math.max(...sink.chunks.map((chunk) => chunk.byteLength))).toBeLessThanOrEqual(128 * 1024);
  });

  it('is kept waiting by a slow client, and reads no further meanwhile', async () => {
    const invocation = at('/echo', {
      request: { method: 'POST' },
      body: Array.from({ length: 40 }, () => Buffer.alloc(50_000, 1)),
    });
    invocation.sink.stall();
    const answered = torture.handle(invocation);
    let before = -1;
    while (before !== invocation.body?.reads) {
      before = invocation.body?.reads ?? 0;
      for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(invocation.body?.reads).toBeLessThan(10);
    expect(invocation.turn.held).toBe(false);
    invocation.sink.resume();
    await answered;
    expect(invocation.sink.bytes).toBe(2_000_000);
  });

  it('sees its own environment and nothing of the process', async () => {
    const { sink } = await call('/env', { grants: { env: [['GREETING', 'hello']] } });
    expect(sink.text).toMatch('hello');
    expect(sink.text).not.toMatch('PATH');
  });

  it('sleeps without its turn, many at once', async () => {
    const before = performance.now();
    const sleepers = await Promise.all(Array.from({ length: 10 }, async () => call('/sleep?ms=100')));
    expect(performance.now() - before).toBeLessThan(900);
    for (const { turn, sink } of sleepers) expect([turn.released > 0, sink.status]).toEqual([true, 200]);
  });

  it.each(['/sleep?ms=3600000', '/poll?ms=3600000', '/read-all', '/echo-splice'])(
    'that waits in %s ends when nobody waits for it any more',
    async (path) => {
      const never = (async function* (): AsyncGenerator<string> {
        yield 'a';
        await new Promise(() => undefined);
      })();
      const invocation = at(path, { body: never });
      const answered = torture.handle(invocation);
      setImmediate(() => invocation.abort.abort());
      await expect(answered).rejects.toMatchObject({ code: 'CLIENT_GONE' });
    },
  );

  it('calls out where it may', async () => {
    const server = createServer((_request, response) => response.writeHead(201).end('from the server'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    try {
      const url = `/outbound?url=http://127.0.0.1:${port}/x`;
      const allowed = await call(url, { grants: { allowedOutboundHosts: [`http://127.0.0.1:${port}`] } });
      expect(allowed.sink.headers).toContainEqual(['x-outbound-status', '201']);
      expect(allowed.sink.text).toBe('from the server');
      const denied = await call(url);
      expect(denied.sink.status).toBe(502);
      expect(denied.sink.text).toMatch(/denied/i);
    } finally {
      server.close();
    }
  });

  it.each([
    ['/exit', 'GUEST_EXITED'],
    ['/no-response', 'GUEST_NO_RESPONSE'],
    ['/error-code', 'GUEST_ERROR_CODE'],
    ['/drop-body', 'GUEST_BAD_RESPONSE'],
  ])('that fails by %s is told apart', async (path, code) => {
    expect(await failureAt(path)).toBe(code);
  });

  it('that traps fails with the trap', async () => {
    expect(await failureAt('/panic')).toBeInstanceOf(WebAssembly.RuntimeError);
  });

  it.each([
    ['/hoard-pollables', /pollable handles/],
    ['/hoard-fields', /fields handles|header fields/],
  ])('that hoards by %s ends at the cap', async (path, message) => {
    const trap = await failureAt(path);
    expect(trap).toBeInstanceOf(GuestTrap);
    expect(String(trap)).toMatch(message);
  });
});
