import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Package } from '../../api/index.ts';
import { ArchiveStore, archiveUrl, pinNameOf } from '../../packages/index.ts';
import { archivesInUse, pinOf } from './archives-in-use.ts';

let folder: string;
let archives: ArchiveStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-in-use-'));
  archives = await ArchiveStore.open(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const URL_WITHOUT_SUM = 'https://example.com/code.wasm';

function pkg(name: string, spec: Partial<Package['spec']>, generation = 1): Package {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { name, namespace: 'default', uid: `uid-${name}`, generation },
    spec: { environment: { name: 'wasm', namespace: 'default' }, ...spec },
  };
}

describe('archivesInUse', () => {
  it('holds literals, ids, checksums and sources, and what an invalid package names', async () => {
    const literal = await archives.put(Buffer.from('literal'));
    const source = await archives.put(Buffer.from('source'));
    const [byUrl, bySum, byInvalid] = ['1'.repeat(64), '2'.repeat(64), '3'.repeat(64)] as const;
    const used = await archivesInUse(
      [
        pkg('a', {
          deployment: { literal: Buffer.from('literal').toString('base64') },
          source: { literal: Buffer.from('source').toString('base64') },
        }),
        pkg('b', { deployment: { url: archiveUrl(byUrl) } }),
        pkg('c', {
          source: { url: 'https://x.example/s.zip', checksum: { type: 'sha256', sum: bySum } },
        }),
        pkg('d', { deployment: { url: archiveUrl(byInvalid), literal: 'AAAA' } }),
      ],
      archives,
      0,
    );
    expect(used).toEqual(new Set([literal.digest, source.digest, byUrl, bySum, byInvalid]));
  });

  it('holds what a URL without a checksum gave to a package as it is now, and forgets the rest', async () => {
    const now = pkg('a', { deployment: { url: URL_WITHOUT_SUM } }, 2);
    await archives.pin(pinNameOf(pinOf(now), URL_WITHOUT_SUM), '4'.repeat(64));
    const before = pkg('a', { deployment: { url: URL_WITHOUT_SUM } }, 1);
    await archives.pin(pinNameOf(pinOf(before), URL_WITHOUT_SUM), '5'.repeat(64));
    for (const file of await readdir(join(folder, '.pins'))) {
      await utimes(join(folder, '.pins', file), 1000, 1000);
    }
    expect(await archivesInUse([now], archives, 1000)).toEqual(new Set(['4'.repeat(64)]));
    expect(await readdir(join(folder, '.pins'))).toHaveLength(1);
  });
});
