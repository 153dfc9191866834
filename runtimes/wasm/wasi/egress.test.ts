import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EgressPolicy, mayConnect } from './egress.ts';
import { parseAuthority } from './http/message-parts.ts';

describe('reach', () => {
  const policy = new EgressPolicy(['https://api.example.com', '*.example.org', 'http://10.0.0.5:8080']);

  it('is how the list names the destination', () => {
    expect(policy.reach({ scheme: 'https', host: 'api.example.com', port: 443 })).toBe('named');
    expect(policy.reach({ scheme: 'https', host: 'a.b.example.org', port: 443 })).toBe('public');
    expect(policy.reach({ scheme: 'http', host: '10.0.0.5', port: 8080 })).toBe('address');
    expect(policy.reach({ scheme: 'http', host: '10.0.0.6', port: 8080 })).toBe(null);
    expect(policy.reach({ scheme: 'http', host: 'api.example.com', port: 80 })).toBe(null);
    expect(new EgressPolicy([]).reach({ scheme: 'https', host: 'example.org', port: 443 })).toBe(null);
  });

  it('refuses a list with what is no entry, by name', () => {
    expect(() => new EgressPolicy(['ftp://example.org'])).toThrow(/"ftp:\/\/example.org"/);
  });
});

describe('mayConnect', () => {
  const cases: [address: string, wildcard: boolean, named: boolean][] = [
    ['93.184.215.14', true, true],
    ['2606:2800:21f:cb07::1', true, true],
    ['10.1.2.3', false, true],
    ['172.16.0.1', false, true],
    ['192.168.1.1', false, true],
    ['100.64.0.1', false, true],
    ['fd00::1', false, true],
    ['::ffff:10.1.2.3', false, true],
    ['127.0.0.1', false, false],
    ['127.8.8.8', false, false],
    ['::1', false, false],
    ['::ffff:127.0.0.1', false, false],
    ['64:ff9b::7f00:1', false, false],
    ['169.254.169.254', false, false],
    ['::ffff:169.254.169.254', false, false],
    ['fe80::1', false, false],
    ['fe80::1%eth0', false, false],
    ['0.0.0.0', false, false],
    ['::', false, false],
    ['224.0.0.1', false, false],
    ['ff02::1', false, false],
    ['255.255.255.255', false, false],
    ['2002:7f00:1::', false, false],
    ['not an address', false, false],
  ];

  it.each(cases)('%s by a wildcard: %s, by its name: %s', (address, wildcard, named) => {
    expect(mayConnect(address, 'api.example.com', 'public')).toBe(wildcard);
    expect(mayConnect(address, 'api.example.com', 'named')).toBe(named);
    expect(mayConnect(address, address, 'address')).toBe(true);
  });

  it('leads to loopback by the name localhost alone', () => {
    expect(mayConnect('127.0.0.1', 'localhost', 'named')).toBe(true);
    expect(mayConnect('::1', 'app.localhost', 'named')).toBe(true);
    expect(mayConnect('127.0.0.1', 'localhost.example.com', 'named')).toBe(false);
    expect(mayConnect('127.0.0.1', 'app.localhost', 'public')).toBe(false);
  });
});

describe('parseAuthority', () => {
  it('normalises every spelling of a host', () => {
    expect(parseAuthority('Example.COM')).toEqual({ host: 'example.com', port: null });
    expect(parseAuthority('example.com.:80')).toEqual({ host: 'example.com', port: 80 });
    expect(parseAuthority('0x7f.1')).toEqual({ host: '127.0.0.1', port: null });
    expect(parseAuthority('[::FFFF:127.0.0.1]:8080')).toEqual({ host: '::ffff:7f00:1', port: 8080 });
  });

  it('takes no user information, path or anything else than host and port', () => {
    for (const text of [
      '',
      ':80',
      'a@b',
      'a/b',
      'a?b',
      'a#b',
      'a\\b',
      'a b',
      'a:99999',
      'a:-1',
      'a:b',
      '[::1',
      'a\nb',
    ]) {
      expect(parseAuthority(text), text).toBe(null);
    }
  });

  it('gives hosts that a URL keeps as they are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.webAuthority(), fc.string(), fc.ipV4(), fc.ipV6()), (text) => {
        const authority = parseAuthority(text);
        if (!authority) return;
        const host = authority.host.includes(':') ? `[${authority.host}]` : authority.host;
        expect(new URL(`http://${host}/`).hostname).toBe(host);
      }),
    );
  });
});
