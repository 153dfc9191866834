import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FissiumError } from '../../errors.ts';
import type { InvokeRequest, InvokeResponse } from '../../executors/executor.ts';
import { warmUp } from './warm-up.worker.ts';

const logger = pino({ level: 'silent' });

let server: Server;
let connection: { port: number; connections: number; onSocket: (accept: (socket: Socket) => void) => void };
beforeEach(async () => {
  server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  connection = {
    connections: 3,
    port: (server.address() as AddressInfo).port,
    onSocket: (accept) => server.on('connection', accept),
  };
});
afterEach(() => void server.close());

test('requests with and without a receipt go the whole way to the function, over several connections', async () => {
  const seen: InvokeRequest[] = [];
  const invoke = (request: InvokeRequest): Promise<InvokeResponse> => {
    seen.push(request);
    request.onReceipt?.(null);
    return Promise.resolve({
      status: 200,
      headers: [],
      body: Buffer.from('warm'),
      trailers: [],
      coldStart: false,
    });
  };
  await warmUp({ logger, version: '1', invoker: { invoke }, ...connection });
  expect(seen).toHaveLength(12);
  expect(seen.filter(({ onReceipt }) => onReceipt !== undefined).length).toBeGreaterThanOrEqual(2);
});

test('a function that fails is no failure of the warm-up', async () => {
  const invoke = (): Promise<never> => Promise.reject(new FissiumError('GUEST_TRAPPED', 'unreachable'));
  await expect(warmUp({ logger, version: '1', invoker: { invoke }, ...connection })).resolves.toBeUndefined();
});
