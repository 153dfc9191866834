import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addFissionHeaders,
  isFieldName,
  isFieldValue,
  requestHeaders,
  requestId,
  responseHead,
  responseTrailers,
} from './headers.ts';

const FACTS = {
  requestId: 'r1',
  fullUrl: '/x?y',
  authority: 'h:1',
  clientAddress: '127.0.0.1',
  function: { namespace: 'default', name: 'f', uid: 'u', resourceVersion: '7' },
  parameters: [['Id', 'caf\u00e9 \u2603']],
} as const;

const name = fc.oneof(
  fc.constantFrom(
    'Connection',
    'X-Fission-Params-Id',
    'x_fission_x',
    'TE',
    'Host',
    'Set-Cookie',
    'X-A',
    'Content-Length',
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 12 }),
);
const value = fc.oneof(
  fc.constantFrom('close', 'x-a, te', '1', ''),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
const fields = fc.array(fc.tuple(name, value), { maxLength: 12 });

describe('requestHeaders', () => {
  it('never lets through what is the router’s to say, whatever is sent', () => {
    fc.assert(
      fc.property(fields, (list) => {
        const kept = requestHeaders(list.flat());
        const nominated = list
          .filter(([field]) => field.toLowerCase() === 'connection')
          .flatMap(([, text]) => text.split(',').map((token) => token.trim().toLowerCase()));
        for (const [field] of kept) {
          expect(field).toBe(field.toLowerCase());
          expect(field.replaceAll('_', '-').startsWith('x-fission-')).toBe(false);
          expect(['connection', 'te', 'host', 'transfer-encoding', 'upgrade']).not.toContain(field);
          expect(nominated.filter((nominee) => nominee !== '')).not.toContain(field);
        }
      }),
    );
  });

  it('keeps the order and repeats of the rest', () => {
    expect(requestHeaders(['B', '1', 'A', '2', 'b', '3'])).toEqual([
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
    ]);
  });
});

describe('addFissionHeaders', () => {
  it('writes parameters as UTF-8, a character a byte', () => {
    const headers: [string, string][] = [];
    addFissionHeaders(headers, FACTS);
    const text = new Map(headers).get('x-fission-params-id') ?? '';
    expect(Buffer.from(text, 'latin1').toString('utf8')).toBe('café ☃');
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-fission-function-resourceversion': '7',
      forwarded: 'host="h:1";',
    });
    for (const [field, sent] of headers)
      expect([isFieldName(field), isFieldValue(sent)]).toEqual([true, true]);
  });

  it('leaves a proxy’s forwarded fields alone', () => {
    const headers: [string, string][] = [['x-forwarded-host', 'outer']];
    addFissionHeaders(headers, FACTS);
    expect(headers.filter(([field]) => field === 'forwarded' || field === 'x-forwarded-host')).toEqual([
      ['x-forwarded-host', 'outer'],
    ]);
  });
});

describe('responseHead', () => {
  it('gives what node can send, or says what is wrong, whatever a guest answers', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer(), fc.constant(200)), fields, (status, list) => {
        const head = responseHead(status, list, () => false);
        if (typeof head === 'string') return head !== '';
        for (let at = 0; at < head.headers.length; at += 2) {
          expect(isFieldName(head.headers[at] ?? '')).toBe(true);
          expect(isFieldValue(head.headers[at + 1] ?? '')).toBe(true);
        }
        expect(head.headers.join('')).not.toMatch(/[\r\n]/);
        expect(
          head.headers.filter((_, at) => at % 2 === 0).map((field) => field.toLowerCase()),
        ).not.toContain('connection');
        return true;
      }),
    );
  });

  it('sends a length once, and none with 204', () => {
    const twice = [
      ['content-length', '3'],
      ['Content-Length', '3'],
    ] as const;
    expect(responseHead(200, twice, () => false)).toMatchObject({
      status: 200,
      headers: ['content-length', '3'],
      contentLength: 3,
    });
    expect(responseHead(204, twice, () => false)).toMatchObject({ headers: [] });
  });
});

describe('responseTrailers', () => {
  it('leaves out what steers the message and what cannot be sent', () => {
    const trailers = [
      ['x-sum', '1'],
      ['Content-Length', '3'],
      ['bad name', '1'],
      ['x-bad', 'a\nb'],
    ] as const;
    expect(responseTrailers(trailers)).toEqual([['x-sum', '1']]);
  });
});

describe('requestId', () => {
  it('is always 1 to 192 visible characters', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.constant(undefined), fc.array(fc.string())),
        (received) => {
          expect(requestId(received)).toMatch(/^[\x21-\x7e]{1,192}$/);
        },
      ),
    );
  });
});
