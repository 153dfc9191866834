import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { deriveServiceKey, serviceVerifier, signedHeaders } from '../../auth/internal-auth.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { ArchiveStore } from '../archives.ts';
import { FolderStorage } from './folder-storage.ts';
import { createStorageHandler } from './service.ts';

let folder: string;
let archives: ArchiveStore;
let server: Server;
let url: string;
let users: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-storage-'));
  archives = await ArchiveStore.open(folder);
  users = [];
  const handler = createStorageHandler({
    storage: new FolderStorage(archives),
    logger: pino({ level: 'silent' }),
    limitBytes: 1024 * 1024,
    usersOf: () => users,
  });
  server = createServer((request, response) => void handler(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/archive`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function upload(
  content: Uint8Array,
  { field = 'uploadfile', size = String(content.length) } = {},
): Promise<Response> {
  const form = new FormData();
  form.append('note', 'a field that nobody reads');
  form.append(field, new Blob([content as Uint8Array<ArrayBuffer>]), 'code.wasm');
  return fetch(url, { method: 'POST', body: form, headers: size === '' ? {} : { 'x-file-size': size } });
}

describe('/v1/archive', () => {
  it('stores, tells, gives, lists and deletes an archive', async () => {
    const content = Buffer.alloc(300_000, 'x');
    const id = sha256(content);
    const stored = await upload(content);
    expect([stored.status, await stored.json()]).toEqual([200, { id }]);

    const head = await fetch(`${url}?id=${id}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('x-fission-storagetype')]).toEqual([200, 'local']);
    const got = await fetch(`${url}?id=${id}`);
    expect(got.headers.get('content-length')).toBe('300000');
    expect(sha256(await got.bytes())).toBe(id);
    expect(await (await fetch(url)).json()).toEqual([id]);
    expect((await fetch(`${url}?id=${id}`, { method: 'DELETE' })).status).toBe(200);
    expect((await fetch(`${url}?id=${id}`)).status).toBe(404);
  });

  it('opens nothing but archives', async () => {
    for (const id of ['../../etc/passwd', '/etc/passwd', '.tmp', '%2e%2e', '']) {
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        expect((await fetch(`${url}?id=${encodeURIComponent(id)}`, { method })).status).toBe(404);
      }
    }
  });

  it('keeps an archive that a package names', async () => {
    await upload(Buffer.from('code'));
    users = ['default/hello'];
    const answer = await fetch(`${url}?id=${sha256('code')}`, { method: 'DELETE' });
    expect([answer.status, await answer.json()]).toEqual([
      409,
      expect.objectContaining({ message: expect.stringContaining('Package default/hello') as unknown }),
    ]);
    expect(await archives.list()).toHaveLength(1);
  });

  it.each<[string, () => Promise<Response>, number, RegExp]>([
    ['no length', () => upload(Buffer.from('code'), { size: '' }), 400, /X-File-Size/],
    ['a wrong length', () => upload(Buffer.from('code'), { size: '3' }), 422, /has 4 bytes, but 3/],
    ['another field', () => upload(Buffer.from('code'), { field: 'other' }), 400, /no file "uploadfile"/],
    ['too large a file', () => upload(Buffer.alloc(1024 * 1024 + 1)), 413, /larger than 1 MiB/],
    [
      'no form',
      () => fetch(url, { method: 'POST', body: 'x', headers: { 'x-file-size': '1' } }),
      400,
      /multipart/,
    ],
    ['another method', () => fetch(url, { method: 'PUT', body: 'x' }), 405, /PUT is not one of/],
  ])('refuses %s', async (_, call, status, message) => {
    const answer = await call();
    expect([answer.status, await answer.json()]).toEqual([
      status,
      expect.objectContaining({ message: expect.stringMatching(message) as unknown }),
    ]);
    expect(await archives.list()).toEqual([]);
    await eventually('no leftovers', async () => (await readdir(archives.temporaryFolder)).length === 0);
  });

  it('stops a file that grows past what its headers said', async () => {
    const boundary = 'b';
    const request = httpRequest(url, {
      method: 'POST',
      headers: { 'x-file-size': '5', 'content-type': `multipart/form-data; boundary=${boundary}` },
    });
    request.on('error', () => {});
    request.write(`--${boundary}\r\ncontent-disposition: form-data; name="uploadfile"; filename="x"\r\n\r\n`);
    const answered = once(request, 'response');
    const chunk = Buffer.alloc(64 * 1024);
    const pump = setInterval(() => request.write(chunk), 1);
    const [answer] = (await answered) as [{ statusCode: number }];
    clearInterval(pump);
    request.destroy();
    expect(answer.statusCode).toBe(413);
    expect(await archives.list()).toEqual([]);
  });

  it('answers a sender that writes all of a refused upload before it reads', async () => {
    const answer = await upload(Buffer.alloc(20 * 1024 * 1024));
    expect([answer.status, (await answer.json()) as unknown]).toEqual([
      413,
      expect.objectContaining({ code: 'BODY_TOO_LARGE' }),
    ]);
  });

  it('forgets an upload that breaks off', async () => {
    const request = httpRequest(url, {
      method: 'POST',
      headers: { 'x-file-size': '500000', 'content-type': 'multipart/form-data; boundary=b' },
    });
    request.on('error', () => {});
    request.write('--b\r\ncontent-disposition: form-data; name="uploadfile"; filename="x"\r\n\r\n');
    request.write(Buffer.alloc(200_000));
    await eventually('a file begun', async () => (await readdir(archives.temporaryFolder)).length === 1);
    request.destroy();
    await eventually('no leftovers', async () => (await readdir(archives.temporaryFolder)).length === 0);
    expect(await archives.list()).toEqual([]);
  });
});

describe('/v1/archive of an installation with a secret', () => {
  const SECRET = 'an installation’s secret';
  const tenantKey = (namespace: string): Buffer => deriveServiceKey(SECRET, 'storagesvc', namespace);

  beforeEach(async () => {
    server.close();
    const handler = createStorageHandler({
      storage: new FolderStorage(archives),
      logger: pino({ level: 'silent' }),
      verifier: serviceVerifier('storagesvc', [SECRET], { tenants: true }),
    });
    server = createServer((request, response) => void handler(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/archive`;
  });

  async function signed(method: string, id: string | null, key: Uint8Array, namespace?: string, body = '') {
    const uri = `/v1/archive${id === null ? '' : `?id=${encodeURIComponent(id)}`}`;
    const headers = signedHeaders(key, { method, uri, bodyDigest: sha256(body) }, namespace);
    const form = { 'content-type': 'multipart/form-data; boundary=b', 'x-file-size': '4' };
    return fetch(new URL(uri, url), {
      method,
      headers: { ...headers, ...(method === 'POST' ? form : {}) },
      ...(method === 'POST' ? { body } : {}),
    });
  }

  const form = (content: string): string =>
    `--b\r\ncontent-disposition: form-data; name="uploadfile"; filename="x"\r\n\r\n${content}\r\n--b--\r\n`;
  const master = deriveServiceKey(SECRET, 'storagesvc');

  it('refuses what is not signed, before and after the body', async () => {
    const content = Buffer.from('code');
    expect((await upload(content)).status).toBe(401);
    expect((await fetch(url)).status).toBe(401);
    const headers = signedHeaders(master, {
      method: 'POST',
      uri: '/v1/archive',
      bodyDigest: sha256('other'),
    });
    const changed = await fetch(url, {
      method: 'POST',
      body: form('code'),
      headers: { ...headers, 'content-type': 'multipart/form-data; boundary=b', 'x-file-size': '4' },
    });
    expect([changed.status, await changed.json()]).toMatchObject([401, { code: 'NOT_SIGNED' }]);
    expect(await archives.list()).toEqual([]);
    expect(await readdir(archives.temporaryFolder)).toEqual([]);
  });

  it('takes and gives what the installation signed', async () => {
    const stored = await signed('POST', null, master, undefined, form('code'));
    expect([stored.status, await stored.json()]).toEqual([200, { id: sha256('code') }]);
    expect(await (await signed('GET', sha256('code'), master)).text()).toBe('code');
  });

  it("keeps tenants' archives apart", async () => {
    const stored = await signed('POST', null, tenantKey('a'), 'a', form('mine'));
    const { id } = (await stored.json()) as { id: string };
    expect(id).toBe(`_tenant_/a/${sha256('mine')}`);
    await signed('POST', null, master, undefined, form('ours'));

    expect(await (await signed('GET', id, tenantKey('a'), 'a')).text()).toBe('mine');
    expect(await (await signed('GET', sha256('ours'), tenantKey('a'), 'a')).text()).toBe('ours');
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      expect((await signed(method, id, tenantKey('b'), 'b')).status, method).toBe(404);
    }
    expect(await (await signed('GET', null, tenantKey('a'), 'a')).json()).toEqual([id]);
    expect(await (await signed('GET', null, tenantKey('b'), 'b')).json()).toEqual([]);
    const all = new Set((await (await signed('GET', null, master)).json()) as string[]);
    expect(all).toEqual(new Set([id, sha256('ours')]));
    // Nobody's archive may be another's code.
    expect((await signed('DELETE', sha256('ours'), tenantKey('a'), 'a')).status).toBe(404);
    expect((await signed('DELETE', id, tenantKey('a'), 'a')).status).toBe(200);
    expect((await signed('HEAD', id, master)).status).toBe(404);
  });
});
