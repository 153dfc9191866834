/** What becomes of connections where a thread ends, drains, or has a client that does not read. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { DeployedFunction } from '../../../runtimes/wasm/host.ts';
import { entryFolder } from '../../../runtimes/wasm/prepare/cache.ts';
import { runPrepareJob } from '../../../runtimes/wasm/prepare/job.ts';
import { tryLink } from '../../../runtimes/wasm/prepare/link.ts';
import { spinner } from '../../../runtimes/wasm/testing/components.ts';
import type { TestHost } from '../../../runtimes/wasm/testing/host.ts';
import { RawClient } from '../testing/harness.ts';
import { closePlatforms, startPlatform } from './testing/platform.ts';

vi.setConfig({ testTimeout: 60_000 });

const folders: string[] = [];
afterEach(async () => {
  await closePlatforms();
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

/** A guest that spins, prepared without the check by which it could be ended: as a fault of the rewriter would leave it. */
async function uninterruptible({ host }: TestHost, cpuTimeMs: number): Promise<DeployedFunction> {
  const source = await spinner();
  const digest = createHash('sha256').update(source).digest('hex');
  const cacheDir = await mkdtemp(join(tmpdir(), 'fissium-unchecked-'));
  folders.push(cacheDir);
  const manifest = await runPrepareJob({ source, digest, cacheDir });
  const folder = entryFolder(cacheDir, digest);
  const linked = await tryLink(source, manifest.entry ?? '');
  if ('declined' in linked) throw new Error(linked.declined);
  for (const { name, bytes } of linked.cores) await writeFile(join(folder, `${name}.wasm`), bytes);
  return host.deploy({
    namespace: 'default',
    name: 'stuck',
    manifest,
    folder,
    grants: { env: [], args: [], allowedOutboundHosts: [] },
    limits: { memoryBytes: 1 << 26, cpuTimeMs, bodyLimitBytes: 1 << 20 },
    onLog: () => undefined,
  });
}

/** The bodies of the answers in what a connection received. */
function* bodies(received: string): Generator<string> {
  for (let at = 0; at < received.length;) {
    const end = received.indexOf('\r\n\r\n', at) + 4;
    const head = received.slice(at, end);
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    at = end;
    const length = /^content-length: (\d+)\r$/im.exec(head)?.[1];
    if (length !== undefined) {
      yield received.slice(at, (at += Number(length)));
      continue;
    }
    let body = '';
    for (let bytes = -1; bytes !== 0;) {
      const line = received.indexOf('\r\n', at);
      bytes = Number.parseInt(received.slice(at, line), 16);
      body += received.slice(line + 2, line + 2 + bytes);
      at = line + 4 + bytes;
    }
    yield body;
  }
}

describe('a guest that cannot be interrupted', () => {
  it('costs its thread and the connections of that, and nobody else', async () => {
    const platform = await startPlatform(2);
    await platform.deploy('torture', 'torture.wasm');
    await platform.deploy('stuck', await uninterruptible(platform.host, 200));
    // One connection after the other: two in each thread.
    const sleeping: Promise<string>[] = [];
    for (let i = 0; i < 4; i++) {
      const client = await RawClient.open(platform.port);
      client.send('GET /torture/sleep?ms=4000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      sleeping.push(client.untilClosed());
      await vi.waitFor(async () =>
        expect((await platform.metrics.page()).body).toMatch(
          new RegExp(`requests_in_flight\\{[^}]*\\} ${i + 1}`),
        ),
      );
    }
    const stuck = await RawClient.open(platform.port);
    stuck.send('GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await stuck.untilClosed()).toBe('');
    const ends = await Promise.all(sleeping);
    expect(ends.filter((text) => text === '')).toHaveLength(2);
    expect(ends.filter((text) => text.startsWith('HTTP/1.1 200 '))).toHaveLength(2);
    expect(platform.host.host.stats()).toMatchObject({ threads: 2, threadsReplaced: 1 });
    expect((await platform.metrics.page()).body).toMatch(/^fissium_connections_lost_total 3$/m);
    const answers = await Promise.all(Array.from({ length: 6 }, () => platform.ask('/torture/hello')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });
});

describe('a drain', () => {
  it('fails no request of connections that clients kept: it answers what is on its way, and closes them', async () => {
    const platform = await startPlatform(2);
    await platform.deploy('hello', 'hello.wasm');
    const get = 'GET /hello HTTP/1.1\r\nHost: a\r\n\r\n';
    const kept: RawClient[] = [];
    for (let i = 0; i < 6; i++) {
      const client = await RawClient.open(platform.port);
      client.send(get);
      await client.until(/Hello, world!\n/);
      kept.push(client);
    }
    const closed = platform.router.close({ graceMs: 10_000 });
    for (const client of kept) client.send(get);
    const received = await Promise.all(kept.map((client) => client.untilClosed()));
    for (const text of received) expect([...bodies(text)]).toEqual(['Hello, world!\n', 'Hello, world!\n']);
    await closed;
  });
});

describe('a client that does not read', () => {
  it.each([
    // 100 MB: more than a system's buffers of a connection hold there and back (37 MB each way, say).
    ['whole', 40_000, 2500],
    ['streamed', 400_000, 250],
  ])(
    'gets its own bytes later, of answers that are %s, while their instance serves others',
    async (_, bytes, count) => {
      const platform = await startPlatform(1);
      await platform.deploy('torture', 'torture.wasm');
      const post = (body: string, last: boolean): string =>
        `POST /torture/echo HTTP/1.1\r\nHost: a\r\n${last ? 'Connection: close\r\n' : ''}` +
        `Content-Length: ${body.length}\r\n\r\n${body}`;
      const bodyOf = (i: number): string => String.fromCharCode(97 + (i % 26)).repeat(bytes);
      const socket: Socket = connect(platform.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.pause();
      for (let i = 0; i < count; i++) socket.write(post(bodyOf(i), i === count - 1), 'latin1');
      for (let i = 0; i < 20; i++) {
        const body = '0123456789'.repeat(i % 2 === 0 ? 4000 : 40_000);
        const answer = await platform.ask('/torture/echo', { method: 'POST', body });
        expect(answer.text === body).toBe(true);
      }
      // So much waits for it that its requests are not all under way, or even read.
      expect(socket.writableLength).toBeGreaterThan(0);
      const received: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => received.push(chunk));
      socket.resume();
      if (!socket.closed) await once(socket, 'close');
      const got = [...bodies(Buffer.concat(received).toString('latin1'))];
      expect(got).toHaveLength(count);
      expect(got.findIndex((body, i) => body !== bodyOf(i))).toBe(-1);
    },
  );
});
