/** Port forwarding against a SPDY client made of the frames' own description; Go's client is in test/integration. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { constants, createDeflate } from 'node:zlib';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { servePortForward } from './port-forward.ts';
import { HEADER_DICTIONARY } from './spdy/dictionary.ts';
import { controlFrame, dataFrame, FLAG_FIN, FrameParser, TYPE, words, type Frame } from './spdy/frames.ts';

let echo: Server;
let forwarder: Server;
let client: Socket;
let port: number;
const open = new Set<Socket>();

async function listen(server: Server): Promise<number> {
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  port = await listen(echo);
  forwarder = createServer((socket) => {
    servePortForward(socket, Buffer.alloc(0), {
      pod: 'router',
      upstreamOf: (wanted) =>
        wanted === 9 ? 'http://127.0.0.1:1' : wanted === port ? `http://127.0.0.1:${port}` : undefined,
      logger: pino({ level: 'silent' }),
    });
  });
  client = connect(await listen(forwarder), '127.0.0.1');
  client.on('error', () => {});
});

afterEach(async () => {
  client.destroy();
  for (const socket of open) socket.destroy();
  open.clear();
  await Promise.all([echo, forwarder].map((server) => new Promise((resolve) => server.close(resolve))));
});

/** Sends as a client would, and hands out what comes back, frame by frame. */
class SpdyClient {
  readonly #deflate = createDeflate({
    dictionary: HEADER_DICTIONARY,
    flush: constants.Z_SYNC_FLUSH,
  });
  readonly #frames: AsyncGenerator<Frame>;

  constructor(socket: Socket) {
    this.#frames = framesOf(socket);
  }

  async openStream(id: number, headers: Readonly<Record<string, string>>, flags = 0): Promise<void> {
    const entries = Object.entries(headers);
    const block = Buffer.concat([
      words(entries.length),
      ...entries.flat().flatMap((word) => [words(word.length), Buffer.from(word)]),
    ]);
    this.#deflate.write(block);
    await new Promise<void>((resolve) => this.#deflate.flush(constants.Z_SYNC_FLUSH, resolve));
    const packed = this.#deflate.read() as Buffer;
    client.write(controlFrame(TYPE.synStream, Buffer.concat([words(id, 0), Buffer.alloc(2), packed]), flags));
  }

  async next(): Promise<Frame> {
    const { value } = (await this.#frames.next()) as { value: Frame };
    return value;
  }

  /** What comes on a stream until its end; frames of other streams are passed over. */
  async dataOf(stream: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (;;) {
      const frame = await this.next();
      if (frame.kind !== 'data' || frame.stream !== stream) continue;
      chunks.push(frame.payload);
      if ((frame.flags & FLAG_FIN) !== 0) return Buffer.concat(chunks);
    }
  }
}

async function* framesOf(socket: Socket): AsyncGenerator<Frame> {
  const parser = new FrameParser();
  let rest = Buffer.alloc(0);
  let upgraded = false;
  for await (const chunk of socket) {
    if (upgraded) {
      yield* parser.push(chunk as Buffer);
      continue;
    }
    rest = Buffer.concat([rest, chunk as Buffer]);
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) continue;
    expect(rest.subarray(0, end).toString()).toMatch(
      /^HTTP\/1\.1 101 [^]*X-Stream-Protocol-Version: portforward\.k8s\.io$/,
    );
    upgraded = true;
    yield* parser.push(rest.subarray(end + 4));
  }
}

/** Both streams of one connection, as client-go opens them. */
async function openPair(spdy: SpdyClient, first: number, request: string, to = port): Promise<void> {
  const headers = { port: String(to), requestid: request };
  await spdy.openStream(first, { ...headers, streamtype: 'error' });
  client.write(dataFrame(first, Buffer.alloc(0), true));
  await spdy.openStream(first + 2, { ...headers, streamtype: 'data' });
}

describe('port forwarding', () => {
  it('has the dictionary of SPDY/3', () => {
    expect(createHash('sha256').update(HEADER_DICTIONARY).digest('hex')).toBe(
      '51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02',
    );
  });

  it('answers each stream, and carries bytes both ways until both have ended', async () => {
    const spdy = new SpdyClient(client);
    await openPair(spdy, 1, '0');
    expect(await spdy.next()).toMatchObject({ kind: 'control', type: TYPE.synReply });
    client.write(dataFrame(3, Buffer.from('hello '), false));
    client.write(dataFrame(3, Buffer.from('there'), true));
    expect(String(await spdy.dataOf(3))).toBe('hello there');
    // Nothing went wrong: the error stream ends empty.
    expect(String(await spdy.dataOf(1))).toBe('');
  });

  it('takes frames that arrive a byte at a time', async () => {
    const spdy = new SpdyClient(client);
    await openPair(spdy, 1, '0');
    for (const byte of dataFrame(3, Buffer.from('slow'), true)) client.write(Buffer.from([byte]));
    expect(String(await spdy.dataOf(3))).toBe('slow');
  });

  it('carries many connections at once, more than any buffer holds', async () => {
    const spdy = new SpdyClient(client);
    const body = Buffer.alloc(3_000_000, 'x');
    for (const [index, first] of [1, 5, 9].entries()) await openPair(spdy, first, String(index));
    for (const stream of [3, 7, 11]) {
      for (let at = 0; at < body.length; at += 32_768) {
        client.write(dataFrame(stream, body.subarray(at, at + 32_768), false));
      }
      client.write(dataFrame(stream, Buffer.alloc(0), true));
    }
    const bytes = new Map([3, 7, 11].map((stream) => [stream, 0]));
    let open_ = 3;
    while (open_ > 0) {
      const frame = await spdy.next();
      if (frame.kind !== 'data' || !bytes.has(frame.stream)) continue;
      bytes.set(frame.stream, (bytes.get(frame.stream) ?? 0) + frame.payload.length);
      if ((frame.flags & FLAG_FIN) !== 0) open_--;
    }
    expect([...bytes.values()]).toEqual([body.length, body.length, body.length]);
  });

  it('says on the error stream what went wrong, and goes on', async () => {
    const spdy = new SpdyClient(client);
    await openPair(spdy, 1, '0', 9);
    expect(String(await spdy.dataOf(1))).toMatch(/error forwarding port 9 to pod router: .*ECONNREFUSED/);
    await openPair(spdy, 5, '1', 10);
    expect(String(await spdy.dataOf(5))).toBe(
      'error forwarding port 10 to pod router: the pod has no such port',
    );
    await openPair(spdy, 9, '2');
    client.write(dataFrame(11, Buffer.from('still here'), true));
    expect(String(await spdy.dataOf(11))).toBe('still here');
  });

  it('ends the other side when the client resets its stream or goes', async () => {
    const spdy = new SpdyClient(client);
    const reached = once(echo, 'connection') as Promise<[Socket]>;
    await openPair(spdy, 1, '0');
    const [first] = await reached;
    const ended = once(first, 'close');
    client.write(controlFrame(TYPE.rstStream, words(3, 5)));
    await ended;
    const again = once(echo, 'connection') as Promise<[Socket]>;
    await openPair(spdy, 5, '1');
    const [second] = await again;
    const gone = once(second, 'close');
    client.destroy();
    await gone;
    expect([first.destroyed, second.destroyed]).toEqual([true, true]);
  });

  it('answers a ping, and cuts who speaks something else', async () => {
    const spdy = new SpdyClient(client);
    client.write(controlFrame(TYPE.ping, words(7)));
    expect(await spdy.next()).toMatchObject({ type: TYPE.ping, payload: words(7) });
    const closed = once(client, 'close');
    client.write('GET / HTTP/1.1\r\n\r\n'.repeat(10));
    client.resume();
    await closed;
  });
});
