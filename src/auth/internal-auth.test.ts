import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import {
  AUTH_NAMESPACE_HEADER,
  decodeKey,
  deriveServiceKey,
  serviceVerifier,
  signature,
  signedHeaders,
} from './internal-auth.ts';

const NOW = 1_700_000_123_000;
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function verify(
  headers: Record<string, string>,
  { body = '', method = 'POST', url = '/v1/archive', nowMs = NOW, secrets = ['master'] } = {},
): { namespace: string } | null {
  const verifier = serviceVerifier('storagesvc', secrets, { tenants: true, now: () => nowMs });
  return verifier?.begin({ method, url, headers })?.finish(digestOf(body)) ?? null;
}

describe('internal authentication', () => {
  // Computed with Fission 1.27's own pkg/auth/hmac (Go 1.26).
  it("derives Fission's keys and signatures", () => {
    expect(deriveServiceKey('test-master-secret', 'storagesvc').toString('hex')).toBe(GO.key);
    expect(deriveServiceKey('test-master-secret', 'storagesvc', 'team-a').toString('hex')).toBe(GO.tenantKey);
    const request = { method: 'POST', uri: '/v1/archive?id=x%2Fy', bodyDigest: digestOf('the body') };
    expect(signature(Buffer.from(GO.key, 'hex'), request, 1_700_000_123)).toBe(GO.signature);
  });

  it('accepts what the installation signed, and says so', () => {
    const key = deriveServiceKey('master', 'storagesvc');
    const headers = signedHeaders(
      key,
      { method: 'POST', uri: '/v1/archive', bodyDigest: digestOf('b') },
      undefined,
      NOW,
    );
    expect(verify(headers, { body: 'b' })).toEqual({ namespace: '' });
    expect(verify(headers, { body: 'b', secrets: ['new', 'master'] })).toEqual({ namespace: '' });
    expect(verify(headers, { body: 'c' })).toBeNull();
    expect(verify(headers, { body: 'b', method: 'DELETE' })).toBeNull();
    expect(verify(headers, { body: 'b', url: '/v1/archive?id=1' })).toBeNull();
    expect(verify(headers, { body: 'b', nowMs: NOW + 61_000 })).toBeNull();
    expect(verify(headers, { body: 'b', nowMs: NOW - 61_000 })).toBeNull();
    expect(verify(headers, { body: 'b', secrets: ['other'] })).toBeNull();
  });

  it("takes a tenant's key for that tenant only", () => {
    const key = deriveServiceKey('master', 'storagesvc', 'team-a');
    const headers = signedHeaders(key, { method: 'POST', uri: '/v1/archive' }, 'team-a', NOW);
    expect(verify(headers)).toEqual({ namespace: 'team-a' });
    expect(verify({ ...headers, [AUTH_NAMESPACE_HEADER]: 'team-b' })).toBeNull();
    expect(verify({ ...headers, [AUTH_NAMESPACE_HEADER]: '' })).toBeNull();
  });

  it('takes another channel’s key for nothing', () => {
    const key = deriveServiceKey('master', 'fetcher');
    expect(verify(signedHeaders(key, { method: 'POST', uri: '/v1/archive' }, undefined, NOW))).toBeNull();
  });

  it('is off without a secret', () => {
    expect(serviceVerifier('storagesvc', ['', ''])).toBeNull();
  });

  it('reads derived keys in hex, and others as they are', () => {
    expect(decodeKey('')).toBeNull();
    expect(decodeKey('00ff')).toEqual(Buffer.from([0, 255]));
    expect(decodeKey('not hex')).toEqual(Buffer.from('not hex'));
  });
});

const GO = {
  key: '44895e0db08fdf28cfc8c6eabc51fba08312a0d25f34936cec8bcba2ad54c76a',
  tenantKey: '4c31dcb026edbcf9c0659f8f60866cc38047bb8ae7280123bacab4f81fe3af94',
  signature: 'dbdfb5bb57a995202a0a61fb67754c4a1f043fd89c3acd9db1a83c58ac1ba094',
};
