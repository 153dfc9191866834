import { describe, expect, it } from 'vitest';

import { type FissionFunction, resolveFunction } from '../../api/index.ts';
import type { ConfigMap, Secret } from '../../kube/index.ts';
import { fn } from '../testing/platform.ts';
import { resolveGrants } from './grants.ts';
import { mountedFiles, type MountsResult } from './mounts.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const metadata = (name: string): Secret['metadata'] => ({
  namespace: 'default',
  name,
  creationTimestamp: '2026-11-23T12:00:00Z',
});
const SECRETS: Record<string, Secret> = {
  db: { metadata: metadata('db'), data: { user: base64('me'), '..': base64('x'), 'a/b': base64('x') } },
  huge: { metadata: metadata('huge'), data: { a: Buffer.alloc(65 * 1024 * 1024).toString('base64') } },
  empty: { metadata: metadata('empty') },
};
const CONFIGS: Record<string, ConfigMap> = {
  app: { metadata: metadata('app'), data: { color: 'blue', size: '3' }, binaryData: { raw: '/wA=' } },
  more: { metadata: metadata('more'), data: { color: 'red' } },
};
const SOURCES = {
  secret: ({ name }: { name: string }) => SECRETS[name],
  configMap: ({ name }: { name: string }) => CONFIGS[name],
};

function mounts(spec: Partial<FissionFunction['spec']>): MountsResult {
  return mountedFiles(resolveFunction(fn('f', spec)), SOURCES);
}

function contents(result: MountsResult): Record<string, string> | null {
  if (!result.ok || result.files === null) return null;
  const bytes = Buffer.from(new Uint8Array(result.files.bytes));
  return Object.fromEntries(
    result.files.entries.map(({ path, offset, sizeBytes }) => [
      path,
      bytes.subarray(offset, offset + sizeBytes).toString('latin1'),
    ]),
  );
}

describe('mountedFiles', () => {
  it('lays them out as Fission does, keys that are no file names left out', () => {
    const spec = {
      secrets: [{ name: 'db' }, { name: 'empty' }],
      configmaps: [{ name: 'app' }, { name: 'more', mountPath: './deep//folder/' }],
    };
    expect(contents(mounts(spec))).toEqual({
      'secrets/default/db/user': 'me',
      'configs/default/app/color': 'blue',
      'configs/default/app/size': '3',
      'configs/default/app/raw': '\xff\0',
      'configs/deep/folder/color': 'red',
    });
  });

  it('gives the time of the object', () => {
    const result = mounts({ secrets: [{ name: 'db' }] });
    expect(result.ok && result.files?.entries[0]?.modifiedMs).toBe(Date.parse('2026-11-23T12:00:00Z'));
  });

  it('is nothing where nothing is named', () => {
    expect(mounts({})).toEqual({ ok: true, files: null });
    expect(mounts({ secrets: [{ name: 'empty' }] })).toEqual({ ok: true, files: null });
  });

  it('refuses more than fits in memory', () => {
    expect(mounts({ secrets: [{ name: 'huge' }] })).toMatchObject({
      ok: false,
      reason: 'MountsTooLarge',
      message: expect.stringMatching(/65 MiB together; 64 MiB are allowed/) as unknown,
    });
  });

  it('gives the config maps as configuration in their order, and no secret', () => {
    const resolved = resolveFunction(
      fn('f', { secrets: [{ name: 'db' }], configmaps: [{ name: 'app' }, { name: 'more' }] }),
    );
    const result = resolveGrants(resolved, SOURCES);
    expect(result.ok && result.grants.config).toEqual([
      ['color', 'blue'],
      ['size', '3'],
      ['color', 'red'],
    ]);
    expect(result.ok && result.grants.env).toEqual([]);
  });
});
