import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { doubtsOf, get, load } from '../src/bench/load/index.ts';

const servers: { close: () => void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push({ close: () => (server.closeAllConnections(), server.close()) });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('the load generator', () => {
  it('sends the headers and the body that it was given', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-bench-load-'));
    const seen = Promise.withResolvers<string>();
    const url = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.resolve(
          `${request.method} ${String(request.headers['x-a'])} ${Buffer.concat(chunks).toString()}`,
        );
        response.end();
      });
    });
    try {
      const bodyFile = join(folder, 'body');
      await writeFile(bodyFile, 'a body, ü');
      const target = { url, method: 'PUT', bodyBytes: 0, bodyFile, headers: { 'x-a': 'b' } };
      const result = await load({ mode: 'burst', targets: [target], connections: 1, limitMs: 5000 });
      expect(result.requests).toBe(1);
      expect(await seen.promise).toBe('PUT b a body, ü');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('refuses what is not plain HTTP', async () => {
    const job = {
      mode: 'burst',
      targets: [get('https://localhost/')],
      connections: 1,
      limitMs: 1000,
    } as const;
    await expect(load(job)).rejects.toThrow('speaks http only');
  });

  it('counts what a server answered, and its bytes', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked++;
      response.end('twelve bytes');
    });
    const result = await load({
      mode: 'closed',
      targets: [get(url)],
      connections: 4,
      warmUpMs: 0,
      durationMs: 300,
    });
    expect(result.requests).toBe(asked);
    expect(result.bytes).toBe(asked * 12);
    expect(result.errors).toEqual({});
    expect(result.latency.count).toBe(asked);
    expect(result.buckets.reduce((sum, [, , count]) => sum + count, 0)).toBe(asked);
    expect(result.generatorUsPerRequest).toBeGreaterThan(0);
  });

  it('keeps the rate of an open loop, and sees a stall that the time of one request hides', async () => {
    let stalledUntil = 0;
    let count = 0;
    // Every answer waits for the end of the one stall.
    const url = await serve((_request, response) => {
      if (++count === 40) stalledUntil = performance.now() + 400;
      setTimeout(() => response.end('late'), Math.max(0, stalledUntil - performance.now()));
    });
    const result = await load({
      mode: 'open',
      targets: [get(url)],
      ratePerS: 200,
      connections: 1,
      warmUpMs: 0,
      durationMs: 1000,
    });
    expect(result.requests).toBe(200);
    // With one connection, all that came during the stall were sent after it and then answered at once.
    expect(result.latency.p90).toBeGreaterThan(100);
    expect(result.service.p90).toBeLessThan(50);
  });

  it('says what failed instead of timing it', async () => {
    const url = await serve((_request, response) => {
      response.statusCode = 503;
      response.end('busy');
    });
    const result = await load({ mode: 'burst', targets: [get(url)], connections: 5, limitMs: 5000 });
    expect(result).toMatchObject({ requests: 0, errors: { 503: 5 } });
    expect(doubtsOf(result)[0]).toContain('5 of 5 requests failed');
  });

  it('counts a body that was cut off as a failure', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('only this');
      setTimeout(() => response.destroy(), 20);
    });
    const result = await load({ mode: 'burst', targets: [get(url)], connections: 2, limitMs: 5000 });
    expect(result.requests).toBe(0);
    expect(Object.values(result.errors)).toEqual([2]);
  });
});
