/** The API server in a thread of its own, so that its fsyncs block nobody else. */
import { parentPort, workerData } from 'node:worker_threads';
import { pino } from 'pino';
import { toErrorData } from '../errors.ts';
import { startApiServer } from './server.ts';
import type { FromThread, ThreadData, ToThread } from './thread-protocol.ts';

const data = workerData as ThreadData;
const port = parentPort;
if (port === null) throw new Error('api-server.worker.ts runs only inside a worker thread');

const send = (message: FromThread): void => port.postMessage(message);
// Synchronous: lines that a dying thread still owes would be lost.
const destination = pino.destination({ fd: data.logFd, sync: true });
const logger = pino({ level: data.logLevel, base: data.logBindings }, destination);

try {
  const server = await startApiServer(data, logger);
  port.on('message', (message: ToThread) => {
    if (message.type === 'upstreams') {
      server.setUpstreams(message.upstreams);
      return;
    }
    server.close().then(
      () => port.close(),
      (error: unknown) => send({ type: 'failed', error: toErrorData(error) }),
    );
  });
  const { url, port: listening, kubeconfigPath, access } = server;
  send({ type: 'ready', url, port: listening, kubeconfigPath, access });
} catch (error) {
  send({ type: 'failed', error: toErrorData(error) });
  port.close();
}
