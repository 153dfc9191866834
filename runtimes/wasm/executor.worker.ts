/** An executor thread: owns no listener, takes calls over its MessagePort and runs them. */
import { workerData } from 'node:worker_threads';
import { GuestThread } from './guest-thread.worker.ts';
import type { ExecutorStart } from './protocol.ts';

const start = workerData as ExecutorStart;
await new GuestThread(start).closed;
// Timers and sockets of guests that nobody waits for must not keep it.
process.exit(0);
