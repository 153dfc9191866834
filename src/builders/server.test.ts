import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { deriveServiceKey, serviceVerifier, signedHeaders } from '../auth/internal-auth.ts';
import { createBuilderHandler } from './server.ts';

let folder: string;
let server: Server;
let url: string;

async function start(secret = ''): Promise<void> {
  const handler = createBuilderHandler({
    sharedFolder: folder,
    logger: pino({ level: 'silent' }),
    version: '1',
    timeoutMs: 30_000,
    env: { PATH: process.env['PATH'] ?? '' },
    verifier: serviceVerifier('builder', [secret]),
  });
  server = createServer((request, response) => void handler(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-builder-'));
  await mkdir(join(folder, 'src-1'));
  await writeFile(
    join(folder, 'src-1', 'build.sh'),
    '#!/bin/sh\necho "from $PWD"\ncp "$SRC_PKG/a" "$DEPLOY_PKG"\n',
    {
      mode: 0o755,
    },
  );
  await writeFile(join(folder, 'src-1', 'a'), 'code');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  artifactFilename: string;
  buildLogs: string;
}

async function post(body: object | string, headers: Record<string, string> = {}): Promise<[number, Answer]> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(url, { method: 'POST', body: text, headers });
  return [response.status, (await response.json()) as Answer];
}

describe('the builder server', () => {
  it("builds a source of the shared volume, with Fission's answer, and cleans it away", async () => {
    await start();
    const [status, { artifactFilename, buildLogs }] = await post({
      srcPkgFilename: 'src-1',
      command: './build.sh',
    });
    expect([status, buildLogs]).toEqual([200, `from ${join(folder, 'src-1')}\n`]);
    expect(artifactFilename).toMatch(/^src-1-[0-9a-f]{6}$/);
    expect(await readFile(join(folder, artifactFilename), 'utf8')).toBe('code');
    expect((await fetch(`${url}/clean?name=src-1`, { method: 'DELETE' })).status).toBe(200);
    expect(existsSync(join(folder, 'src-1'))).toBe(false);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it('answers 500 with the log where the build fails', async () => {
    await start();
    await rm(join(folder, 'src-1', 'a'));
    const [status, { buildLogs }] = await post({ srcPkgFilename: 'src-1', command: './build.sh' });
    expect(status).toBe(500);
    expect(buildLogs).toMatch(
      /^from [^]*The build failed: \.\/build\.sh ended with exit code 1 \(.*No such file.*\)\.\n$/,
    );
  });

  it('refuses paths, shells, and what is no request', async () => {
    await start();
    for (const [body, message] of [
      [{ srcPkgFilename: '../x', command: '' }, 'must be a name in the shared volume'],
      [{ command: 'build' }, 'must be a name in the shared volume'],
      ['{', 'in JSON'],
    ] as const) {
      const [status, { buildLogs }] = await post(body);
      expect([status, buildLogs]).toEqual([400, expect.stringContaining(message)]);
    }
    const [status, { buildLogs }] = await post({ srcPkgFilename: 'src-1', command: 'a;b' });
    expect([status, buildLogs]).toEqual([500, expect.stringContaining('only a shell')]);
    expect((await fetch(url)).status).toBe(405);
    expect((await fetch(`${url}/clean?name=..`, { method: 'DELETE' })).status).toBe(400);
  });

  it('takes signed requests only where the installation has a secret', async () => {
    await start('secret');
    const body = JSON.stringify({ srcPkgFilename: 'src-1', command: './build.sh' });
    expect((await post(body))[0]).toBe(401);
    const bodyDigest = createHash('sha256').update(body).digest('hex');
    const headers = signedHeaders(deriveServiceKey('secret', 'builder'), {
      method: 'POST',
      uri: '/',
      bodyDigest,
    });
    expect((await post(body, headers))[0]).toBe(200);
    expect((await post(`${body} `, headers))[0]).toBe(401);
  });
});
