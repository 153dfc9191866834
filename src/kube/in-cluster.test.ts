import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { inClusterConnection } from './in-cluster.ts';

let folder: string;
const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '6443' };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-account-'));
  await writeFile(join(folder, 'ca.crt'), 'CA');
  await writeFile(join(folder, 'token'), 'one\n');
  await writeFile(join(folder, 'namespace'), 'team');
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true, force: true });
});

describe('inClusterConnection', () => {
  it('has the server, the namespace, and a token that is read anew', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const connection = inClusterConnection(env, folder);
    expect(connection).toMatchObject({ server: 'https://10.96.0.1:6443', namespace: 'team' });
    expect((await connection.credentials.next()).headers).toEqual({ authorization: 'Bearer one' });
    await writeFile(join(folder, 'token'), 'two');
    expect((await connection.credentials.next()).headers).toEqual({ authorization: 'Bearer one' });
    vi.setSystemTime(Date.now() + 61_000);
    expect((await connection.credentials.next()).headers).toEqual({ authorization: 'Bearer two' });
    connection.credentials.close();
  });

  it('writes an IPv6 address as a URL has it', () => {
    const { server } = inClusterConnection({ ...env, KUBERNETES_SERVICE_HOST: 'fd00::1' }, folder);
    expect(server).toBe('https://[fd00::1]:6443');
  });

  it('says what is missing', async () => {
    expect(() => inClusterConnection({}, folder)).toThrow('KUBERNETES_SERVICE_HOST');
    await rm(join(folder, 'ca.crt'));
    expect(() => inClusterConnection(env, folder)).toThrow('no service account');
  });
});
