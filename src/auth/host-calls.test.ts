import { expect, test } from 'vitest';
import { HOST_PASS_HEADER, HostCallCheck, hostCallCheck, hostCallSigners, hostKeys } from './host-calls.ts';
import { deriveServiceKey } from './internal-auth.ts';
import type { AuthSecrets } from './request-signer.ts';

const NOW = 1_700_000_000_000;
const now = (): number => NOW;

/** As hosts of the namespace get them. */
const keysOf = (secrets: AuthSecrets, namespace = 'default'): readonly Uint8Array[] => {
  const [current, previous] = [secrets.current, secrets.previous].map((secret) =>
    secret === null ? undefined : deriveServiceKey(secret, 'wasm-host', namespace).toString('hex'),
  );
  return hostKeys(current, previous);
};

/** What a host with these keys says of a call that carries this. */
function judge(keys: readonly Uint8Array[], headers: Readonly<Record<string, string>>): string {
  try {
    hostCallCheck(keys, now)?.({ header: (name) => headers[name] });
    return 'let in';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function sign(secrets: AuthSecrets, namespace = 'default', atMs = NOW): Readonly<Record<string, string>> {
  return hostCallSigners(secrets, () => atMs)(namespace)?.() ?? {};
}

const OLD = { current: 'old', previous: null };
const BOTH = { current: 'new', previous: 'old' };
const NEW = { current: 'new', previous: null };

test.each([
  ['the one secret', OLD, OLD],
  ['a router that has the next secret, at a host that started before', OLD, BOTH],
  ['a router that has not the next secret yet, at a host that started with it', BOTH, OLD],
  ['both in the middle of the exchange', BOTH, BOTH],
  ['a router that has the next secret alone, at a host that takes both', BOTH, NEW],
  ['a router that signs by both, at a host that takes the next alone', NEW, BOTH],
])('a call is let in: %s', (_when, host, router) => {
  expect(judge(keysOf(host), sign(router))).toBe('let in');
});

const pass = sign(OLD)[HOST_PASS_HEADER] ?? '';
const [minute = '', mac = ''] = pass.split('.');

test.each([
  ['without a pass', {}, 'it has no x-fission-auth-pass'],
  ['by a secret that is not taken', sign(NEW), 'of another secret'],
  ['by a key of another namespace', sign(OLD, 'other'), 'of another secret, or of another namespace'],
  [
    'with a pass of another minute',
    { [HOST_PASS_HEADER]: `${Number(minute) + 1}.${mac}` },
    'of another secret',
  ],
  ['with a pass that is cut', { [HOST_PASS_HEADER]: pass.slice(0, -1) }, 'of another secret'],
  ['with what is no pass', { [HOST_PASS_HEADER]: 'let me in' }, 'of another secret'],
  ['with the right one behind two others', { [HOST_PASS_HEADER]: `a,b,${pass}` }, 'of another secret'],
  ['two minutes late', sign(OLD, 'default', NOW - 120_000), '2 minutes old'],
  ['two minutes early', sign(OLD, 'default', NOW + 120_000), '2 minutes ahead'],
])('a call is not let in %s', (_how, headers, why) => {
  expect(judge(keysOf(OLD), headers)).toContain(why);
});

test('clocks may be a minute apart', () => {
  for (const atMs of [NOW - 60_000, NOW + 60_000])
    expect(judge(keysOf(OLD), sign(OLD, 'default', atMs))).toBe('let in');
});

test('a pass that was good is not for ever', () => {
  let nowMs = NOW;
  const check = hostCallCheck(keysOf(OLD), () => nowMs);
  const ask = (headers: Readonly<Record<string, string>>) => () =>
    check?.({ header: (name) => headers[name] });
  const first = sign(OLD);
  expect(ask(first)).not.toThrow();
  nowMs += 60_000;
  expect(ask(first)).not.toThrow();
  nowMs += 60_000;
  expect(ask(first)).toThrow('2 minutes old');
  expect(ask(sign(OLD, 'default', nowMs))).not.toThrow();
  expect(ask(first)).toThrow('2 minutes old');
});

test('what comes beside a right pass is not kept, or not without end', () => {
  const check = new HostCallCheck(keysOf(OLD), now);
  expect(check.refusal(sign(BOTH)[HOST_PASS_HEADER])).toBeNull();
  expect(check.knownCount).toBe(1);
  for (let i = 0; i < 100; i++) {
    expect(check.refusal(`${pass},junk ${i}`)).toBeNull();
    expect(check.refusal(`junk ${i},${pass}`)).toBeNull();
    expect(check.refusal(`${pass},${pass},${i}`)).toBeNull();
  }
  expect(check.knownCount).toBe(1);
  for (let i = 0; i < 100; i++) {
    const other = `${minute}.${i.toString(16).padStart(64, '0')}`;
    expect(check.refusal(`${pass},${other}`)).toBeNull();
  }
  expect(check.knownCount).toBe(32);
  expect(check.refusal(pass)).toBeNull();
});

test('a pass is made once a minute', () => {
  let nowMs = NOW;
  const signer = hostCallSigners(OLD, () => nowMs)('default');
  const first = signer?.();
  expect(signer?.()).toBe(first);
  nowMs += 60_000;
  expect(signer?.()).not.toEqual(first);
});

test('the pass of the old secret is only sent while there is one', () => {
  expect(sign(NEW)[HOST_PASS_HEADER]?.split(',')).toHaveLength(1);
  expect(sign(BOTH)[HOST_PASS_HEADER]?.split(',')).toHaveLength(2);
});

test('nothing is signed or checked without a secret', () => {
  expect(hostCallSigners({ current: null, previous: 'old' })('default')).toBeUndefined();
  expect(hostCallCheck(hostKeys(undefined, 'ab'))).toBeUndefined();
  expect(judge([], {})).toBe('let in');
});
