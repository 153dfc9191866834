/**
 * A listener thread: owns connections, matches their requests, runs guests that can be interrupted, and answers.
 * It is an executor for the rest of the platform as well.
 */
import { workerData } from 'node:worker_threads';
import { serveConnections } from '../../src/router/threads/serve.worker.ts';
import { GuestThread } from './guest-thread.worker.ts';
import type { ExecutorStart } from './protocol.ts';

const start = workerData as ExecutorStart;
const thread = new GuestThread(start);
if (start.listener)
  serveConnections(start.listener, (key, request, receiver) => thread.start(key, request, receiver));
await thread.closed;
// Timers and sockets of guests that nobody waits for must not keep it.
process.exit(0);
