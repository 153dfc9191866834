import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Connection } from './connection.ts';

interface Answer {
  readonly status: number;
  readonly bytes: number;
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers each connection with the text, a piece at a time, and then hangs up. */
async function answering(text: string, pieceBytes: number): Promise<number> {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.once('data', () => {
      void (async () => {
        for (let at = 0; at < text.length; at += pieceBytes) {
          socket.write(text.slice(at, at + pieceBytes), 'latin1');
          // So that each piece is a packet.
          await new Promise((resolve) => setImmediate(resolve));
        }
        socket.end();
      })();
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function askOnce(text: string, pieceBytes: number): Promise<Answer> {
  const port = await answering(text, pieceBytes);
  const answered = Promise.withResolvers<Answer>();
  const connection = await Connection.open('127.0.0.1', port, {
    answered: (status, bytes) => answered.resolve({ status, bytes }),
    failed: (reason) => answered.reject(new Error(reason)),
  });
  connection.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  try {
    return await answered.promise;
  } finally {
    connection.close();
  }
}

describe('a connection', () => {
  const ANSWERS: readonly (readonly [name: string, text: string, expected: Answer])[] = [
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', { status: 200, bytes: 5 }],
    ['no body', 'HTTP/1.1 204 No Content\r\n\r\n', { status: 204, bytes: 0 }],
    [
      'chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n',
      { status: 200, bytes: 6 },
    ],
    [
      'trailers',
      'HTTP/1.1 201 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-a: b\r\nx-c: d\r\n\r\n',
      { status: 201, bytes: 2 },
    ],
    [
      'an interim answer before',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi',
      { status: 200, bytes: 2 },
    ],
    [
      'neither length nor chunks',
      'HTTP/1.1 200 OK\r\ncontent-type: a\r\n\r\nuntil the end',
      { status: 200, bytes: 13 },
    ],
  ];

  it.for(ANSWERS)('reads an answer with %s, however it arrives', async ([, text, expected]) => {
    for (const size of [1, 3, text.length]) expect(await askOnce(text, size)).toEqual(expected);
  });

  it.for([
    ['a body that is cut off', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello', 'closed'],
    [
      'a chunk size that is none',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n',
      'bad chunk size',
    ],
    ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nhello', 'no HTTP answer'],
    ['something else', 'hello to you\r\n\r\n', 'no HTTP answer'],
    ['a head without an end', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(70_000)}`, 'a line without an end'],
  ] as const)('fails at %s', async ([, text, why]) => {
    await expect(askOnce(text, text.length)).rejects.toThrow(why);
  });
});
