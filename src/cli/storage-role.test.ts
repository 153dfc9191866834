import { expect, test } from 'vitest';
import { storageSettings } from './storage-role.ts';

test.each([
  ['', '60', { intervalMs: 3_600_000, graceMs: 3_600_000 }],
  ['5', '0', { intervalMs: 300_000, graceMs: 0 }],
  ['10s', '1m30s', { intervalMs: 10_000, graceMs: 90_000 }],
])('an interval of "%s" and a grace of "%s" are minutes, or durations', (interval, grace, prune) => {
  expect(storageSettings({ PRUNE_INTERVAL: interval }, true, grace).prune).toEqual(prune);
});

test.each([
  ['soon', '60', 'PRUNE_INTERVAL is "soon"'],
  ['-1m', '60', 'PRUNE_INTERVAL is "-1m"'],
  ['0', '60', 'PRUNE_INTERVAL is "0"'],
  ['60', 'never', '--prune-grace is "never"'],
  ['60', '-1m', '--prune-grace is "-1m"'],
])('an interval of "%s" with a grace of "%s" is refused', (interval, grace, message) => {
  expect(() => storageSettings({ PRUNE_INTERVAL: interval }, true, grace)).toThrow(message);
});

test('pruning is off by the environment or by the option', () => {
  expect(storageSettings({ PRUNE_ENABLED: 'false' }, true, '60').prune).toBeNull();
  expect(storageSettings({}, false, '60').prune).toBeNull();
});
