import { expect, test } from 'vitest';
import type { PreparedManifest } from '../engine.ts';
import { memoryPages, validateLimits } from './limits.ts';

const MIB = 1024 * 1024;

function manifest(...initialPages: (number | undefined)[]): PreparedManifest {
  return {
    prepareVersion: 1,
    engine: 'jco',
    reason: '',
    digest: '',
    entry: '',
    imports: [],
    modules: initialPages.map((pages, i) => ({
      name: `module${i}`,
      file: '',
      interruptible: true,
      ...(pages === undefined ? {} : { initialPages: pages }),
    })),
  };
}

test('one memory may have all of the limit, several share it', () => {
  expect(memoryPages(manifest(17, undefined), 128 * MIB)).toBe(2048);
  expect(memoryPages(manifest(17, undefined, 1), 128 * MIB)).toBe(1024);
  expect(memoryPages(manifest(undefined), 128 * MIB)).toBe(2048);
});

test('a memory that begins larger than it may become is refused, with both figures', () => {
  expect(() => validateLimits(manifest(2048), { memoryBytes: 128 * MIB })).not.toThrow();
  expect(() => validateLimits(manifest(2049), { memoryBytes: 128 * MIB })).toThrow(/128\.1 MiB.*128 MiB/s);
  expect(() => validateLimits(manifest(1025, 1), { memoryBytes: 128 * MIB })).toThrow(/module0.*64 MiB/s);
});
