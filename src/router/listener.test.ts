import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import { HttpListener } from './listener.ts';

describe('listening', () => {
  it('says which port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const listener = new HttpListener({ handle: async () => {}, logger: pino({ level: 'silent' }) });
    await expect(listener.listen('127.0.0.1', port)).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: `127.0.0.1:${port} is taken by another process: choose another port`,
    });
    other.close();
  });
});
