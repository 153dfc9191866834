import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ArchiveStore, spoolArchive } from '../archives.ts';
import { type ArchiveId, formatArchiveId } from './archive-id.ts';
import { FolderStorage } from './folder-storage.ts';
import { ArchivePruner } from './pruner.ts';

const HOUR_MS = 3_600_000;
let folder: string;
let storage: FolderStorage;
let named: Set<string>;
let nowMs: number;
let pruner: ArchivePruner;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-prune-'));
  storage = new FolderStorage(await ArchiveStore.open(folder));
  named = new Set();
  nowMs = Date.now();
  pruner = new ArchivePruner({
    storage,
    named: () => Promise.resolve(named),
    logger: pino({ level: 'silent' }),
    now: () => nowMs,
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(text: string, { namespace = '', ageMs = 0 } = {}): Promise<ArchiveId> {
  const spooled = await spoolArchive(storage.spoolFolder, Buffer.from(text));
  const id = { namespace, name: spooled.digest };
  await storage.put(id, spooled);
  const time = new Date(nowMs - ageMs);
  await utimes(join(folder, formatArchiveId(id)), time, time);
  return id;
}

/** A look, and another once the grace is over. */
async function twoLooks(): Promise<string[]> {
  const first = await pruner.prune();
  nowMs += HOUR_MS;
  return [...first, ...(await pruner.prune())];
}

describe('ArchivePruner', () => {
  it('removes what nothing names for an hour, and keeps what a Package names by id or by digest', async () => {
    const gone = await put('gone', { ageMs: 2 * HOUR_MS });
    const byId = await put('by id', { namespace: 'team', ageMs: 2 * HOUR_MS });
    const byDigest = await put('by digest', { namespace: 'team', ageMs: 2 * HOUR_MS });
    named = new Set([formatArchiveId(byId), byDigest.name]);
    expect(await twoLooks()).toEqual([formatArchiveId(gone)]);
    expect(await storage.find(gone)).toBeUndefined();
    expect(await storage.find(byId)).toBeDefined();
    expect(await storage.find(byDigest)).toBeDefined();
  });

  it('leaves fresh uploads alone, also of content that was there before', async () => {
    const fresh = await put('fresh');
    expect(await pruner.prune()).toEqual([]);
    const again = await put('again', { ageMs: 2 * HOUR_MS });
    await pruner.prune();
    nowMs += HOUR_MS;
    await put('again');
    expect(await pruner.prune()).toEqual([]);
    expect(await storage.find(fresh)).toBeDefined();
    expect(await storage.find(again)).toBeDefined();
  });

  it('begins anew where a Package named it in between', async () => {
    const id = await put('named again', { ageMs: 2 * HOUR_MS });
    await pruner.prune();
    nowMs += HOUR_MS / 2;
    named = new Set([id.name]);
    await pruner.prune();
    named = new Set();
    nowMs += HOUR_MS / 2;
    expect(await pruner.prune()).toEqual([]);
    nowMs += HOUR_MS;
    expect(await pruner.prune()).toEqual([id.name]);
  });

  it('removes nothing where the Packages cannot be read', async () => {
    const id = await put('there', { ageMs: 5 * HOUR_MS });
    const blind = new ArchivePruner({
      storage,
      named: () => Promise.reject(new Error('the API does not answer')),
      logger: pino({ level: 'silent' }),
      graceMs: 0,
    });
    await expect(blind.prune()).rejects.toThrow('does not answer');
    expect(await storage.find(id)).toBeDefined();
  });
});
