import { describe, expect, it } from 'vitest';
import { describeErrorCode, errorCodeOf, OutboundFailure } from './error-codes.ts';

const failed = (code: string, message = ''): Error => Object.assign(new Error(message), { code });

describe('errorCodeOf', () => {
  it.each([
    ['ENOTFOUND', { tag: 'DNS-error', val: { rcode: 'NXDOMAIN', infoCode: undefined } }],
    ['ETIMEOUT', { tag: 'DNS-timeout' }],
    ['ECONNREFUSED', { tag: 'connection-refused' }],
    ['ECONNRESET', { tag: 'connection-terminated' }],
    ['UND_ERR_SOCKET', { tag: 'connection-terminated' }],
    ['UND_ERR_CONNECT_TIMEOUT', { tag: 'connection-timeout' }],
    ['UND_ERR_HEADERS_OVERFLOW', { tag: 'HTTP-response-header-section-size', val: undefined }],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', { tag: 'TLS-certificate-error' }],
    ['ERR_SSL_WRONG_VERSION_NUMBER', { tag: 'TLS-protocol-error' }],
    [
      'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
      { tag: 'TLS-alert-received', val: { alertId: 48, alertMessage: 'unknown ca' } },
    ],
    [
      'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
      { tag: 'TLS-alert-received', val: { alertId: 40, alertMessage: 'handshake failure' } },
    ],
    ['HPE_INVALID_CONSTANT', { tag: 'HTTP-protocol-error' }],
  ])('gives %s its error-code', (code, errorCode) => {
    expect(errorCodeOf(failed(code))).toEqual(errorCode);
  });

  it('looks into causes and into what happy eyeballs bundles', () => {
    expect(errorCodeOf(new Error('outer', { cause: failed('ECONNREFUSED') }))).toEqual({
      tag: 'connection-refused',
    });
    const bundle = new AggregateError([failed('ENETUNREACH'), failed('ECONNREFUSED')]);
    expect(errorCodeOf(bundle)).toEqual({ tag: 'destination-IP-unroutable' });
    const own = new OutboundFailure({ tag: 'HTTP-request-denied' }, 'denied');
    expect(errorCodeOf(new Error('outer', { cause: own }))).toEqual({ tag: 'HTTP-request-denied' });
  });

  it('gives everything else internal-error with its words, and survives a cause that is itself', () => {
    expect(errorCodeOf('just a string')).toEqual({ tag: 'internal-error', val: 'just a string' });
    const loop = new Error('loop');
    loop.cause = loop;
    expect(errorCodeOf(loop)).toEqual({ tag: 'internal-error', val: 'loop' });
  });
});

describe('describeErrorCode', () => {
  it('says what there is to say', () => {
    expect(describeErrorCode({ tag: 'DNS-timeout' })).toBe('DNS-timeout');
    expect(describeErrorCode({ tag: 'internal-error', val: 'oh no' })).toBe('internal-error (oh no)');
    expect(describeErrorCode({ tag: 'HTTP-response-body-size', val: 5n })).toBe(
      'HTTP-response-body-size (5)',
    );
    expect(describeErrorCode({ tag: 'DNS-error', val: { rcode: 'SERVFAIL', infoCode: undefined } })).toBe(
      'DNS-error (rcode SERVFAIL)',
    );
  });
});
