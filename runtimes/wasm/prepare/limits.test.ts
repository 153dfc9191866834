import { expect, test } from 'vitest';
import type { PreparedManifest } from '../engine.ts';
import type { InstanceLife } from '../pool/index.ts';
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
      bytes: 1,
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

test('instances are reused only where the engine can, one request at a time', () => {
  const reuse = { mode: 'reuse', maxRequests: null, idleTimeoutMs: 1000 } as const;
  const [p1, jco, component] = (['p1', 'jco', 'component'] as const).map((engine) => ({
    ...manifest(1),
    engine,
    reason: 'run by it for a reason',
  }));
  const check = (of: PreparedManifest | undefined, instance: InstanceLife): (() => void) => {
    if (!of) throw new Error('no manifest');
    return () => validateLimits(of, { memoryBytes: MIB, instance });
  };
  expect(check(p1, reuse)).toThrow(/preview 1.*use mode fresh/s);
  expect(check(jco, reuse)).toThrow(/only the component engine.*for a reason/s);
  expect(check(jco, { ...reuse, mode: 'fresh' })).not.toThrow();
  expect(check(component, reuse)).not.toThrow();
  expect(check(component, { ...reuse, maxConcurrent: 1 })).not.toThrow();
  expect(check(component, { ...reuse, maxConcurrent: 2 })).toThrow(
    /maxConcurrent is 2.*one request at a time/s,
  );
});
