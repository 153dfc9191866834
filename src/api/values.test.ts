import { describe, expect, it } from 'vitest';
import {
  outboundHostAllows,
  parseBytes,
  parseDuration,
  parseOutboundHost,
  parseQuantity,
  parseSecondsOrDuration,
  setCondition,
} from './index.ts';
import type { Condition } from './index.ts';

describe('quantities', () => {
  it.each<[string | number, number | null]>([
    ['128Mi', 134_217_728],
    ['1Gi', 1_073_741_824],
    ['1.5Ki', 1536],
    ['0.1k', 100],
    ['500m', 0.5],
    ['1e3', 1000],
    ['1E3', 1000],
    ['2E', 2e18],
    ['.5', 0.5],
    ['5.', 5],
    ['-1', -1],
    ['+1M', 1_000_000],
    [7, 7],
    ['', null],
    ['Mi', null],
    ['1mi', null],
    ['1 Mi', null],
    ['1KiB', null],
    ['1e999', null],
    [Number.NaN, null],
  ])('%j is %j', (text, value) => {
    expect(parseQuantity(text)).toBe(value);
  });

  it('of bytes are whole and not negative', () => {
    expect([parseBytes('1100m'), parseBytes('-1'), parseBytes('x')]).toEqual([2, null, null]);
  });
});

describe('durations', () => {
  it.each<[string, number | null]>([
    ['10s', 10_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
    ['5us', 0.005],
    ['-1s', -1000],
    ['0', 0],
    ['10', null],
    ['', null],
    ['s', null],
    ['1d', null],
    ['1s ', null],
    ['1s2', null],
  ])('%j is %j ms', (text, value) => {
    expect(parseDuration(text)).toBe(value);
  });

  it('may be whole seconds where a field says so', () => {
    expect([
      parseSecondsOrDuration(3),
      parseSecondsOrDuration('3'),
      parseSecondsOrDuration('3ms'),
      parseSecondsOrDuration('x'),
    ]).toEqual([3000, 3000, 3, null]);
  });
});

describe('outbound hosts', () => {
  it.each([
    ['https://api.example.com:443', { scheme: 'https', host: 'api.example.com', wildcard: false, port: 443 }],
    ['*.Example.org', { scheme: null, host: 'example.org', wildcard: true, port: null }],
    ['http://10.0.0.5:8080', { scheme: 'http', host: '10.0.0.5', wildcard: false, port: 8080 }],
    ['HTTP://*.a.example:1', { scheme: 'http', host: 'a.example', wildcard: true, port: 1 }],
    ['[::1]:80', { scheme: null, host: '::1', wildcard: false, port: 80 }],
    ['https://[2001:DB8:0:0::1]', { scheme: 'https', host: '2001:db8::1', wildcard: false, port: null }],
    ['localhost', { scheme: null, host: 'localhost', wildcard: false, port: null }],
  ])('%s is read', (text, host) => {
    expect(parseOutboundHost(text)).toEqual(host);
  });

  it.each([
    ['', 'names no host'],
    ['*', 'names no host'],
    ['*.', 'names no host'],
    ['a.*.example', 'has a * that is not the whole first part'],
    ['*a.example', 'has a * that is not the whole first part'],
    ['https://a.example/', 'has a path or query'],
    ['a.example?x', 'has a path or query'],
    ['ftp://a.example', 'has the scheme "ftp"'],
    ['user@a.example', 'has a user name'],
    ['a.example:0', 'has the port "0"'],
    ['a.example:65536', 'has the port "65536"'],
    ['a.example:', 'has the port ""'],
    ['::1', 'has the port ":1"'],
    ['[fe80::1%eth0]', 'which is no IPv6 address'],
    ['127.1', 'which is no IPv4 address in dotted form'],
    ['0x7f000001', 'which is no IPv4 address in dotted form'],
    ['2130706433', 'which is no IPv4 address in dotted form'],
    ['*.0.0.1', 'which is no IPv4 address in dotted form'],
    ['exämple.com', 'which is no host name'],
    ['a..example', 'which is no host name'],
    ['a example', 'which is no host name'],
    ['x'.repeat(600), 'is longer than 512 characters'],
  ])('%j is refused', (text, message) => {
    const read = parseOutboundHost(text);
    expect('error' in read ? read.error : 'accepted').toContain(message);
  });

  it.each([
    ['api.example.com', 'https', 'api.example.com', 443, true],
    ['api.example.com', 'https', 'API.example.com.', 443, true],
    ['api.example.com', 'http', 'api.example.com', 80, true],
    ['api.example.com', 'http', 'api.example.com', 8080, false],
    ['api.example.com:8080', 'http', 'api.example.com', 8080, true],
    ['https://api.example.com', 'http', 'api.example.com', 443, false],
    ['*.example.com', 'https', 'a.b.example.com', 443, true],
    ['*.example.com', 'https', 'example.com', 443, false],
    ['*.example.com', 'https', 'badexample.com', 443, false],
    ['api.example.com', 'https', 'x.api.example.com', 443, false],
    ['[::1]:80', 'http', '::1', 80, true],
  ] as const)('%s for %s://%s:%i is %s', (text, scheme, host, port, allowed) => {
    const entry = parseOutboundHost(text);
    expect('error' in entry ? entry.error : outboundHostAllows(entry, { scheme, host, port })).toBe(allowed);
  });
});

describe('setCondition', () => {
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: 'Available',
    message: 'ok',
    observedGeneration: 1,
  } as const;
  const first = new Date('2026-01-01T00:00:00.123Z');
  const later = new Date('2026-01-02T00:00:00Z');

  it('adds, and gives back the same list where nothing changed', () => {
    const list = setCondition(undefined, ready, first);
    expect(list).toEqual([{ ...ready, lastTransitionTime: '2026-01-01T00:00:00Z' }]);
    expect(setCondition(list, ready, later)).toBe(list);
  });

  it('moves the time only with the status, and leaves the others and their order', () => {
    const other: Condition = {
      type: 'Other',
      status: 'False',
      reason: 'No',
      message: '',
      lastTransitionTime: 'x',
    };
    const list = [...setCondition([], ready, first), other];
    const reworded = setCondition(list, { ...ready, message: 'new', observedGeneration: 2 }, later);
    expect(reworded).toEqual([
      { ...ready, message: 'new', observedGeneration: 2, lastTransitionTime: '2026-01-01T00:00:00Z' },
      other,
    ]);
    const flipped = setCondition(list, { ...ready, status: 'False' }, later);
    expect(flipped[0]?.lastTransitionTime).toBe('2026-01-02T00:00:00Z');
  });
});
