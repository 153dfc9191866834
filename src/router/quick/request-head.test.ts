import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, it, onTestFinished } from 'vitest';
import { parseRequestHead } from './request-head.ts';

const lines = (...all: string[]): string => all.map((line) => `${line}\r\n`).join('');

describe('parseRequestHead', () => {
  it('reads a request line and fields', ({ expect }) => {
    const head = lines(
      'POST /a%20b?c=d HTTP/1.1',
      'Host: x',
      'X-One:  a \tb \t ',
      'x-one:',
      'Content-Length: 3',
    );
    expect(parseRequestHead(head)).toEqual({
      method: 'POST',
      target: '/a%20b?c=d',
      headers: ['host', 'x', 'x-one', 'a \tb', 'x-one', '', 'content-length', '3'],
      contentLength: 3,
      close: false,
    });
    expect(parseRequestHead(lines('GET / HTTP/1.1', 'Host: x', 'Connection: Close'))).toMatchObject({
      close: true,
    });
    expect(parseRequestHead(lines('GET / HTTP/1.1', 'Host: x', 'Connection: keep-alive'))).toMatchObject({
      close: false,
    });
  });

  it.for([
    ['another version', lines('GET / HTTP/1.0', 'Host: x')],
    ['HTTP/2', lines('PRI * HTTP/2.0')],
    ['a method that it does not know', lines('PURGE / HTTP/1.1', 'Host: x')],
    ['a method in lower case', lines('get / HTTP/1.1', 'Host: x')],
    ['CONNECT', lines('CONNECT x:80 HTTP/1.1', 'Host: x')],
    ['absolute form', lines('GET http://x/ HTTP/1.1', 'Host: x')],
    ['asterisk form', lines('OPTIONS * HTTP/1.1', 'Host: x')],
    ['two blanks in the request line', lines('GET  / HTTP/1.1', 'Host: x')],
    ['a tab in the request line', lines('GET\t/ HTTP/1.1', 'Host: x')],
    ['a blank at the end of the request line', lines('GET / HTTP/1.1 ', 'Host: x')],
    ['a blank in the target', lines('GET /a b HTTP/1.1', 'Host: x')],
    ['a byte over 127 in the target', lines('GET /\xe4 HTTP/1.1', 'Host: x')],
    ['an empty line first', `\r\n${lines('GET / HTTP/1.1', 'Host: x')}`],
    ['a bare LF after the request line', 'GET / HTTP/1.1\nHost: x\r\n'],
    ['a bare LF after a field', 'GET / HTTP/1.1\r\nHost: x\nA: b\r\n'],
    ['a bare CR in a value', lines('GET / HTTP/1.1', 'Host: x', 'A: b\rc')],
    ['a NUL in a value', lines('GET / HTTP/1.1', 'Host: x', 'A: b\0c')],
    ['a DEL in a value', lines('GET / HTTP/1.1', 'Host: x', 'A: b\x7fc')],
    ['a folded line', lines('GET / HTTP/1.1', 'Host: x', 'A: b', ' c')],
    ['a field before which is a blank', lines('GET / HTTP/1.1', ' Host: x')],
    ['a blank before the colon', lines('GET / HTTP/1.1', 'Host : x')],
    ['no colon', lines('GET / HTTP/1.1', 'Host: x', 'A')],
    ['no name', lines('GET / HTTP/1.1', 'Host: x', ': b')],
    ['a name that is no token', lines('GET / HTTP/1.1', 'Host: x', 'A(b): c')],
    ['no Host', lines('GET / HTTP/1.1', 'A: b')],
    ['two Hosts', lines('GET / HTTP/1.1', 'Host: x', 'Host: x')],
    ['Transfer-Encoding', lines('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked')],
    [
      'Transfer-Encoding and Content-Length',
      lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 3', 'transfer-encoding: x'),
    ],
    ['two Content-Lengths', lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 3', 'Content-Length: 3')],
    ['a list of Content-Lengths', lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 3, 3')],
    ['a signed Content-Length', lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: +3')],
    ['a Content-Length in hexadecimal', lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 0x3')],
    ['an empty Content-Length', lines('POST / HTTP/1.1', 'Host: x', 'Content-Length:')],
    ['a Content-Length that is too long', lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 12345678901')],
    ['Upgrade', lines('GET / HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket')],
    ['Upgrade without Connection', lines('GET / HTTP/1.1', 'Host: x', 'Upgrade: h2c')],
    ['a Connection field that names others', lines('GET / HTTP/1.1', 'Host: x', 'Connection: close, x-a')],
    ['Expect', lines('POST / HTTP/1.1', 'Host: x', 'Expect: 100-continue')],
  ] as const)('leaves to node:http: %s', ([, head], { expect }) => {
    expect(parseRequestHead(head)).toBeNull();
  });

  it('takes nothing that node:http refuses, and reads the rest as that does', async ({ expect }) => {
    const server = createServer((req, res) => {
      res.setHeader('connection', 'close');
      const { method, url, rawHeaders } = req;
      req.resume().on('end', () => res.end(JSON.stringify({ method, url, rawHeaders })));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const ask = async (bytes: Buffer): Promise<string> => {
      const socket = connect(port, '127.0.0.1');
      socket.write(bytes);
      return text(socket);
    };
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(heads, async (head) => {
        const read = parseRequestHead(head);
        if (read === null) return;
        taken++;
        const answer = await ask(Buffer.from(`${head}\r\n${'b'.repeat(read.contentLength)}`, 'latin1'));
        const [first = '', body = ''] = answer.split('\r\n\r\n');
        expect(first, JSON.stringify(head)).toMatch(/^HTTP\/1\.1 200 /);
        const { method, url, rawHeaders } = JSON.parse(body) as {
          method: string;
          url: string;
          rawHeaders: string[];
        };
        expect({ method, url }).toEqual({ method: read.method, url: read.target });
        expect(rawHeaders.map((item, at) => (at % 2 === 0 ? item.toLowerCase() : item))).toEqual(
          read.headers,
        );
      }),
      { numRuns: 1500 },
    );
    expect(taken).toBeGreaterThan(100);
  });
});

const anyByte = fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte));
const names = fc.constantFrom(
  'A',
  'x-b',
  'Content-Length',
  'Connection',
  'Host',
  'Cookie',
  'te',
  'X_c',
  'Keep-Alive',
);
const values = fc.oneof(
  fc.constantFrom('', '3', '0', 'close', 'keep-alive', 'a b', '\t', ' x ', '"q"', 'a, b', '\xa0', 'ä'),
  fc.array(anyByte, { maxLength: 8 }).map((bytes) => bytes.join('')),
);
const fields = fc
  .tuple(names, fc.constantFrom('', ' ', '\t ', '  '), values)
  .map(([name, blank, value]) => `${name}:${blank}${value}\r\n`);
const targets = fc
  .array(fc.integer({ min: 0x20, max: 0x80 }), { maxLength: 6 })
  .map((codes) => `/${String.fromCharCode(...codes)}`);

/** Heads that are almost right: a byte is put in, taken out or changed in half of them. */
const heads = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS', 'DELETE'),
    fc.oneof(fc.constant('/'), targets),
    fc.array(fields, { maxLength: 4 }),
    fc.option(fc.tuple(fc.nat(), fc.constantFrom('insert', 'remove', 'replace'), anyByte)),
  )
  .map(([method, target, others, change]) => {
    const head = `${method} ${target} HTTP/1.1\r\nHost: x\r\n${others.join('')}`;
    if (change === null) return head;
    const [where, how, byte] = change;
    const at = where % (head.length + 1);
    return head.slice(0, at) + (how === 'remove' ? '' : byte) + head.slice(how === 'insert' ? at : at + 1);
  })
  // What ends a head is found before it is read.
  .filter((head) => !head.includes('\r\n\r\n'));
