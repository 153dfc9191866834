import type { GuestLogPort } from '../control/ports.ts';

/**
 * Guests' output goes to the pod's log too, one JSON object a line, so that `kubectl logs` and log collectors have
 * it; the store is what `fissium function logs` reads.
 */
export function guestLogs(store: GuestLogPort): GuestLogPort {
  return {
    append(line) {
      store.append(line);
      const { namespace, function: name, requestId, stream, timeMs, line: msg } = line;
      const time = new Date(timeMs).toISOString();
      process.stdout.write(
        `${JSON.stringify({ time, namespace, function: name, requestId, stream, msg })}\n`,
      );
    },
  };
}
