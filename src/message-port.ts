/** Messages of a port, whichever declaration of MessagePort its owner has. */
import type { MessagePort as NodePort } from 'node:worker_threads';

/**
 * Listens, and lets the port keep its thread alive. Unlike with `onmessage`, Node makes no event of each message:
 * the first of these would load its whole HTTP client into the thread, where the class of such events is.
 */
export function onMessage<T>(port: MessagePort, listener: (message: T) => void): void {
  (port as unknown as NodePort).on('message', listener);
}
