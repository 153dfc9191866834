import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, it, onTestFinished } from 'vitest';
import type { Exchange } from '../exchange.ts';
import { HttpListener } from '../listener.ts';
import { silent } from '../testing/harness.ts';

/** Everything that makes a request another one. */
type Seen = readonly [method: string, target: string, fields: string, body: string];

interface Listening {
  readonly port: number;
  /** Whole requests since the last look, and how many of them the quick path read. */
  taken(): { readonly seen: readonly Seen[]; readonly quick: number };
}

async function listening(quick: boolean): Promise<Listening> {
  let seen: (Seen | null)[] = [];
  let quickOnes = 0;
  const handle = async (exchange: Exchange): Promise<void> => {
    const { method, target, rawHeaders, body } = exchange;
    const fields = rawHeaders.map((item, at) => (at % 2 === 0 ? item.toLowerCase() : item)).join('\n');
    // In the order of their heads, however long their bodies take; null for one that never became whole.
    const place = seen.push(null) - 1;
    const list = seen;
    const whole = body ?? (exchange.hasBody ? await buffer(exchange.req).catch(() => null) : Buffer.alloc(0));
    if (whole === null) return;
    if (body !== null) quickOnes++;
    list[place] = [method, target, fields, Buffer.from(whole).toString('latin1')];
    exchange.sendWhole(200, ['content-length', '2'], false, Buffer.from('hi'));
  };
  const listener = new HttpListener({ handle, logger: silent, quick });
  const port = await listener.listen('127.0.0.1', 0);
  onTestFinished(() => listener.close({ graceMs: 0 }));
  return {
    port,
    taken: () => {
      const result = { seen: seen.filter((request) => request !== null), quick: quickOnes };
      seen = [];
      quickOnes = 0;
      return result;
    },
  };
}

/** Sends the pieces, ends its side, and waits for the other's end. */
async function send(port: number, pieces: readonly Buffer[]): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.setNoDelay(true).resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
  await closed;
}

const bodies = fc.oneof(
  fc.constantFrom('', 'GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n', '0\r\n\r\n', '\r\n'),
  fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
    maxLength: 40,
  }),
);
const framings = fc.constantFrom(
  (length: number) => `Content-Length: ${length}\r\n`,
  (length: number) => `content-length:\t${length} \r\n`,
  (length: number) => `Content-Length: 0${length}\r\n`,
  (length: number) => `Content-Length: ${length + 1}\r\n`,
  (length: number) => `Content-Length: ${Math.max(0, length - 1)}\r\n`,
  (length: number) => `Content-Length: ${length}\r\nContent-Length: ${length}\r\n`,
  (length: number) => `Content-Length: ${length}\r\nTransfer-Encoding: chunked\r\n`,
  (length: number) => `Content-Length: ${length}\r\nExpect: 100-continue\r\n`,
  () => '',
);
const right = (length: number): string => `Content-Length: ${length}\r\n`;
const requests = fc
  .tuple(
    fc.constantFrom('POST', 'PUT', 'GET', 'DELETE'),
    fc.oneof({ weight: 4, arbitrary: fc.constant(right) }, { weight: 1, arbitrary: framings }),
    bodies,
  )
  .map(([method, framing, body]) => `${method} /a HTTP/1.1\r\nHost: x\r\n${framing(body.length)}\r\n${body}`);

/** A connection's bytes, in pieces; a byte is put in, taken out or changed in some. */
const streams = fc
  .tuple(
    fc.array(requests, { minLength: 1, maxLength: 5 }),
    fc.option(fc.tuple(fc.nat(), fc.constantFrom('insert', 'remove', 'replace'), fc.nat({ max: 255 }))),
    fc.array(fc.nat(), { maxLength: 3 }),
  )
  .map(([all, change, cuts]) => {
    let bytes = all.join('');
    if (change !== null) {
      const [where, how, code] = change;
      const at = where % (bytes.length + 1);
      const byte = how === 'remove' ? '' : String.fromCharCode(code);
      bytes = bytes.slice(0, at) + byte + bytes.slice(how === 'insert' ? at : at + 1);
    }
    const places = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b);
    return [0, ...places].map((from, i) => Buffer.from(bytes.slice(from, places[i]), 'latin1'));
  });

describe('a quick connection', () => {
  it('finds the requests, and the bodies, that node:http finds in the same bytes', async ({ expect }) => {
    const [quick, plain] = await Promise.all([listening(true), listening(false)]);
    let read = 0;
    await fc.assert(
      fc.asyncProperty(streams, async (pieces) => {
        await Promise.all([send(quick.port, pieces), send(plain.port, pieces)]);
        const found = quick.taken();
        read += found.quick;
        expect(found.seen).toEqual(plain.taken().seen);
      }),
      { numRuns: 600 },
    );
    expect(read).toBeGreaterThan(100);
  });
});
