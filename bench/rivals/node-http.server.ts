/** The programs in plain node:http, one thread, no guest: the ceiling of what a server on Node can do. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const number = (name: string, fallback: number): number => Number(url.searchParams.get(name) ?? fallback);
  switch (url.pathname) {
    case '/sleep':
      await sleep(number('ms', 1000));
      response.end('slept\n');
      return;
    case '/echo':
      response.setHeader('content-type', 'application/octet-stream');
      request.pipe(response);
      return;
    case '/read-all': {
      let length = 0;
      for await (const chunk of request) length += (chunk as Buffer).length;
      response.end(`{"length":${length}}\n`);
      return;
    }
    case '/big': {
      let left = number('bytes', 1 << 20);
      const chunk = Buffer.alloc(65_536, 'x');
      while (left > 0) {
        const now = Math.min(left, chunk.length);
        left -= now;
        if (!response.write(chunk.subarray(0, now))) {
          await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
        }
        if (response.destroyed) return;
      }
      response.end();
      return;
    }
    case '/slow-body':
      response.setHeader('content-type', 'text/event-stream');
      for (let i = 0; i < number('chunks', 5); i++) {
        if (i > 0) await sleep(number('ms', 50));
        response.write(`data: ${i}\n\n`);
      }
      response.end();
      return;
    default:
      response.setHeader('content-type', 'text/plain');
      response.end('Hello, world!\n');
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', 4096, () => {
  const address = server.address();
  process.stdout.write(`listening on ${typeof address === 'object' ? address?.port : ''}\n`);
});
process.once('SIGTERM', () => process.exit(0));
