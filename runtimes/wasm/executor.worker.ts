/**
 * An executor thread: owns no listener, takes calls over its MessagePort and runs them. The piscina task stays
 * pending for as long as the thread serves.
 */
import { GuestThread } from './guest-thread.worker.ts';
import type { ExecutorStart } from './protocol.ts';

/** The piscina task: resolves when the main thread closes this executor. */
export default async function execute(start: ExecutorStart): Promise<void> {
  await new GuestThread(start).closed;
}
