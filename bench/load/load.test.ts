import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Connection, type Answer } from './connection.ts';
import { doubtsOf, get, load } from './index.ts';

const servers: { close: () => void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push({ close: () => (server.closeAllConnections(), server.close()) });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('the load generator', () => {
  it('counts what a server answered, and its bytes', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked++;
      response.end('twelve bytes');
    });
    const result = await load({
      mode: 'closed',
      targets: [get(url)],
      connections: 4,
      warmUpMs: 0,
      durationMs: 300,
    });
    expect(result.requests).toBe(asked);
    expect(result.bytes).toBe(asked * 12);
    expect(result.errors).toEqual({});
    expect(result.latency.count).toBe(asked);
  });

  it('keeps the rate of an open loop, and sees a stall that the time of one request hides', async () => {
    let stalledUntil = 0;
    let count = 0;
    // Every answer waits for the end of the one stall.
    const url = await serve((_request, response) => {
      if (++count === 40) stalledUntil = performance.now() + 400;
      setTimeout(() => response.end('late'), Math.max(0, stalledUntil - performance.now()));
    });
    const result = await load({
      mode: 'open',
      targets: [get(url)],
      ratePerS: 200,
      connections: 1,
      warmUpMs: 0,
      durationMs: 1000,
    });
    expect(result.requests).toBe(200);
    // With one connection, all that came during the stall were sent after it and then answered at once.
    expect(result.latency.p90).toBeGreaterThan(100);
    expect(result.service.p90).toBeLessThan(50);
  });

  it('says what failed instead of timing it', async () => {
    const url = await serve((_request, response) => {
      response.statusCode = 503;
      response.end('busy');
    });
    const result = await load({ mode: 'burst', targets: [get(url)], connections: 5, limitMs: 5000 });
    expect(result).toMatchObject({ requests: 0, errors: { 503: 5 } });
    expect(doubtsOf(result)[0]).toContain('5 of 5 requests failed');
  });

  it('counts a body that was cut off as a failure', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('only this');
      setTimeout(() => response.destroy(), 20);
    });
    const result = await load({ mode: 'burst', targets: [get(url)], connections: 2, limitMs: 5000 });
    expect(result.requests).toBe(0);
    expect(Object.values(result.errors)).toEqual([2]);
  });
});

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
  ];

  it.for(ANSWERS)('reads an answer with %s, however it arrives', async ([, text, expected]) => {
    for (const size of [1, 3, text.length]) {
      const server = createTcpServer((socket) => {
        socket.setNoDelay(true);
        socket.once('data', () => {
          for (let at = 0; at < text.length; at += size)
            setTimeout(() => socket.write(text.slice(at, at + size)), at / 10);
        });
        socket.on('error', () => {});
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const answered = Promise.withResolvers<Answer>();
      const connection = await Connection.open('127.0.0.1', port, {
        answered: answered.resolve,
        failed: (reason) => answered.reject(new Error(reason)),
      });
      connection.send(Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
      expect(await answered.promise).toEqual(expected);
      connection.close();
      server.close();
    }
  });
});
