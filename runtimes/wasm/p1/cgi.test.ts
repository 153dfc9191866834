import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cgiEnvironment } from './cgi-request.ts';
import { CGI_HEAD_BYTES, CgiHeadReader, type CgiHead } from './cgi-response.ts';
import type { GuestRequest } from '../engine.ts';

function request(parts: Partial<GuestRequest>): GuestRequest {
  return {
    id: 'test',
    method: 'GET',
    scheme: 'http',
    authority: 'example.test',
    pathWithQuery: '/',
    headers: [],
    body: null,
    ...parts,
  };
}

describe('the environment', () => {
  it('has no HTTP_PROXY from a header, but the one that was granted', () => {
    const forged = request({ headers: [['Proxy', 'http://evil.test']] });
    expect(cgiEnvironment(forged, [], null).has('HTTP_PROXY')).toBe(false);
    expect(cgiEnvironment(forged, [['HTTP_PROXY', 'http://own.test']], null).get('HTTP_PROXY')).toBe(
      'http://own.test',
    );
  });

  it.each([
    ['example.test', 'http', 'example.test', '80'],
    ['example.test', 'https', 'example.test', '443'],
    ['example.test:81', 'https', 'example.test', '81'],
    ['[::1]:8888', 'http', '[::1]', '8888'],
    ['[::1]', 'http', '[::1]', '80'],
  ] as const)('splits %s over %s', (authority, scheme, name, port) => {
    const variables = cgiEnvironment(request({ authority, scheme }), [], null);
    expect([variables.get('SERVER_NAME'), variables.get('SERVER_PORT')]).toEqual([name, port]);
    expect(variables.get('HTTPS')).toBe(scheme === 'https' ? 'on' : undefined);
  });

  it('decodes the path, unless that would hide something', () => {
    const path = (pathWithQuery: string): unknown =>
      cgiEnvironment(request({ pathWithQuery }), [], null).get('PATH_INFO');
    expect(path('/%C3%A4/b?c=%20')).toBe('/ä/b');
    expect(path('/%zz')).toBe('/%zz');
    expect(path('/a%00b')).toBe('/a%00b');
  });

  it('has no CONTENT_LENGTH without a body', () => {
    expect(cgiEnvironment(request({}), [], null).has('CONTENT_LENGTH')).toBe(false);
    expect(cgiEnvironment(request({}), [], 0).get('CONTENT_LENGTH')).toBe('0');
  });

  it('joins cookies with a semicolon', () => {
    const headers = [
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
    ] as const;
    expect(cgiEnvironment(request({ headers }), [], null).get('HTTP_COOKIE')).toBe('a=1; b=2');
  });
});

describe('the head', () => {
  const read = (text: string): CgiHead | null => new CgiHeadReader().push(Buffer.from(text, 'latin1'));
  const rest = (head: CgiHead | null): string => Buffer.from(head?.rest ?? []).toString('latin1');

  it.each(['\n', '\r\n'])('takes lines that end with %j', (end) => {
    const head = read(`Status: 418 Teapot${end}Content-Type: a/b${end}${end}body${end}${end}`);
    expect(head).toMatchObject({ status: 418, headers: [['content-type', 'a/b']] });
    expect(rest(head)).toBe(`body${end}${end}`);
  });

  it('is a redirect where only Location says so', () => {
    expect(read('Location: /x\n\n')?.status).toBe(302);
    expect(read('Status: 201\nLocation: /x\n\n')?.status).toBe(201);
  });

  it('leaves out what belongs to the connection', () => {
    expect(read('A: 1\nConnection: close\nTransfer-Encoding: chunked\n\n')?.headers).toEqual([['a', '1']]);
  });

  it.each([
    ['Status: 100\n\n', /status is "100"/],
    ['Status: none\n\n', /status is "none"/],
    ['Status: 200\nStatus: 201\n\n', /two Status lines/],
    ['no header\n\n', /"no header" is not a header/],
    ['a b: c\n\n', /is not a header/],
    [': c\n\n', /is not a header/],
    ['\nbody', /is not a header/],
    ['A: b\u0000c\n\n', /control character/],
    [`${'A:\n'.repeat(1025)}\n`, /more than 1024 headers/],
    [`A: ${'x'.repeat(CGI_HEAD_BYTES)}\n\n`, /no blank line in its first 64 KiB/],
  ])('%j is refused', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  it('is the same however the output is cut', () => {
    const line = fc.tuple(fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,8}$/), fc.stringMatching(/^[!-~]{0,10}$/));
    const head = fc.array(
      line.filter(([name]) => !/^(status|te|trailer|upgrade|connection)$/i.test(name)),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(
        head,
        fc.constantFrom('\n', '\r\n'),
        fc.uint8Array({ maxLength: 30 }),
        fc.array(fc.nat(80)),
        (lines, end, body, cuts) => {
          const text = lines.map(([name, value]) => `${name}: ${value}${end}`).join('') + end;
          const output = Buffer.concat([Buffer.from(text), body]);
          const places = [...new Set([0, ...cuts.filter((cut) => cut < output.length), output.length])].sort(
            (a, b) => a - b,
          );
          const reader = new CgiHeadReader();
          let found: CgiHead | null = null;
          const bytes: Uint8Array[] = [];
          for (const [index, place] of places.slice(1).entries()) {
            const part = output.subarray(places[index], place);
            if (found) {
              bytes.push(part);
              continue;
            }
            found = reader.push(part);
            if (found) bytes.push(found.rest);
          }
          expect(found?.headers).toEqual(lines.map(([name, value]) => [name.toLowerCase(), value]));
          expect(Buffer.concat(bytes)).toEqual(Buffer.from(body));
        },
      ),
    );
  });

  it('takes or refuses any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect([null, 'GUEST_BAD_RESPONSE']).toContain(codeOf(() => new CgiHeadReader().push(bytes)));
      }),
    );
  });
});

/** The code of the failure, null where there is none. */
function codeOf(call: () => unknown): unknown {
  try {
    call();
    return null;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}
