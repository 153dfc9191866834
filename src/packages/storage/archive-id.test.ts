import { describe, expect, it } from 'vitest';

import { archiveIdOf, formatArchiveId, parseArchiveId } from './archive-id.ts';

const DIGEST = 'a'.repeat(64);
const UUID = '0f9d6f7e-3f0a-4f5e-9a10-7a1b2c3d4e5f';

describe('parseArchiveId', () => {
  it.each([
    [DIGEST, '', DIGEST],
    [`_tenant_/team-a/${DIGEST}`, 'team-a', DIGEST],
    [UUID, '', UUID],
    [`/fission/fission-functions/${UUID}`, '', UUID],
    [`sub/dir/_tenant_/team-a/${UUID}`, 'team-a', UUID],
  ])('%s is of %j', (text, namespace, name) => {
    expect(parseArchiveId(text)).toEqual({ namespace, name });
  });

  it.each([
    '',
    'x',
    `${DIGEST}x`,
    `../${DIGEST}`,
    `_tenant_/a/../b/${DIGEST}`,
    `_tenant_/${DIGEST}`,
    `_tenant_/Team/${DIGEST}`,
    `_tenant_/a/b/${DIGEST}`,
    DIGEST.toUpperCase(),
  ])('%j is none', (text) => {
    expect(parseArchiveId(text)).toBeNull();
  });

  it('reads what a URL asks for', () => {
    const url = `http://storagesvc.fission/v1/archive?id=${encodeURIComponent(`_tenant_/team-a/${DIGEST}`)}`;
    const id = archiveIdOf(url);
    expect(id).toEqual({ namespace: 'team-a', name: DIGEST });
    expect(id && formatArchiveId(id)).toBe(`_tenant_/team-a/${DIGEST}`);
    expect(archiveIdOf('https://example.com/code.zip')).toBeNull();
    expect(archiveIdOf(`https://example.com/x?id=${DIGEST}`)).toBeNull();
    expect(archiveIdOf('no url')).toBeNull();
  });
});
