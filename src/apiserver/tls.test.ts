import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadToken, writeKubeconfig } from './kubeconfig.ts';
import { certificateHosts, loadServerIdentity } from './tls.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-tls-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('loadServerIdentity', () => {
  const hosts = certificateHosts('127.0.0.1');
  const load = (now = new Date(), names = hosts) => loadServerIdentity(join(folder, 'pki'), names, now);

  test('makes a leaf for the hosts that its CA has signed', async () => {
    const { certificate, caCertificate } = await load();
    const leaf = new X509Certificate(certificate);
    const ca = new X509Certificate(caCertificate);
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.checkIssued(ca)).toBe(true);
    expect([ca.ca, leaf.ca]).toEqual([true, false]);
    expect(leaf.checkHost('localhost')).toBe('localhost');
    expect([leaf.checkIP('127.0.0.1'), leaf.checkIP('::1'), leaf.checkIP('10.0.0.1')]).toEqual([
      '127.0.0.1',
      '::1',
      undefined,
    ]);
    expect((await stat(join(folder, 'pki/server.key'))).mode & 0o777).toBe(0o600);
  });

  test('keeps both over restarts, and renews the leaf alone before it expires', async () => {
    const first = await load();
    expect(await load()).toEqual(first);
    const later = await load(new Date(Date.now() + 340 * DAY_MS));
    expect(later.caCertificate).toBe(first.caCertificate);
    expect(later.certificate).not.toBe(first.certificate);
  });

  test('renews the leaf for another host, and the CA before it expires', async () => {
    const first = await load();
    const moved = await load(new Date(), certificateHosts('10.1.2.3'));
    expect(new X509Certificate(moved.certificate).checkIP('10.1.2.3')).toBe('10.1.2.3');
    expect(moved.caCertificate).toBe(first.caCertificate);
    const muchLater = await load(new Date(Date.now() + 3400 * DAY_MS));
    expect(muchLater.caCertificate).not.toBe(first.caCertificate);
  });

  test('replaces what a crash or an accident has left broken', async () => {
    const first = await load();
    await writeFile(join(folder, 'pki/server.key'), 'nonsense');
    const second = await load();
    expect(second.certificate).not.toBe(first.certificate);
    await writeFile(join(folder, 'pki/ca.crt'), first.certificate);
    const third = await load();
    expect(new X509Certificate(third.caCertificate).ca).toBe(true);
  });
});

describe('kubeconfig', () => {
  const options = { url: 'https://127.0.0.1:1', caCertificate: 'CA', token: 't' };

  test('is written with mode 0600, and again only when it changes', async () => {
    const path = join(folder, 'kubeconfig');
    await writeKubeconfig(path, options);
    const first = await stat(path);
    expect(first.mode & 0o777).toBe(0o600);
    await writeKubeconfig(path, options);
    expect((await stat(path)).ino).toBe(first.ino);
    await writeKubeconfig(path, { ...options, url: 'https://127.0.0.1:2' });
    const text = await readFile(path, 'utf8');
    expect(text).toContain('server: https://127.0.0.1:2');
    expect(text).toContain('current-context: fissium');
  });

  test('the token is made once', async () => {
    const token = await loadToken(join(folder, 'pki'));
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect(await loadToken(join(folder, 'pki'))).toBe(token);
  });
});
