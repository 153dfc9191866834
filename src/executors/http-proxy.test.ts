import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { Pool } from 'undici';
import { expect, it } from 'vitest';
import { FissiumError } from '../errors.ts';
import { CallAbort } from './call-abort.ts';
import { proxy } from './http-proxy.ts';

it('who answers before it has read the body has answered, and the body is not broken', async () => {
  const server = createServer((_request, response) => response.end('early')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  let sent = 0;
  const body = new Readable({
    read() {
      // More than any buffer on the way, and never at its end.
      this.push(Buffer.alloc(64 * 1024));
      sent += 64 * 1024;
      if (sent > 64 * 1024 * 1024) this.destroy(new Error('all of it was read'));
    },
  });
  const failures: Error[] = [];
  body.on('error', (error) => failures.push(error));
  try {
    const failure = (cause: unknown): Promise<FissiumError> =>
      Promise.resolve(new FissiumError('FUNCTION_FAILED', 'failed', { cause }));
    const headers: [string, string][] = [];
    const request = {
      id: 'r',
      method: 'POST',
      scheme: 'http',
      authority: 'x',
      pathWithQuery: '/',
      headers,
      body,
      signal: new CallAbort(),
    } as const;
    const call = proxy({ pool, failure }, request, { coldStart: false });
    const { status, body: answer } = await call.response;
    expect(status).toBe(200);
    expect(Buffer.from(answer as Uint8Array).toString()).toBe('early');
    await call.done;
    await new Promise(setImmediate);
    expect(failures).toEqual([]);
  } finally {
    body.destroy();
    await pool.destroy();
    server.closeAllConnections();
    server.close();
  }
});
