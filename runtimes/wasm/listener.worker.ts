/**
 * A listener thread: owns connections, matches their requests, runs guests that can be interrupted, and answers.
 * It is an executor for the rest of the platform as well. The piscina task stays pending for as long as it serves.
 */
import { serveConnections } from '../../src/router/threads/serve.worker.ts';
import { GuestThread } from './guest-thread.worker.ts';
import type { ExecutorStart } from './protocol.ts';

/** The piscina task: resolves when the main thread closes this listener. */
export default async function listen(start: ExecutorStart): Promise<void> {
  const thread = new GuestThread(start);
  if (start.listener)
    serveConnections(start.listener, (key, request, receiver) => thread.start(key, request, receiver));
  await thread.closed;
}
