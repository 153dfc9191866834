/** How to see that a server listens without making its first request for it. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StartedProcess } from '../../src/bench/processes.ts';
import { processTree } from '../../src/bench/processes.ts';
import type { Running } from './rival.ts';

/** Connects and hangs up: no request, so that the first one is still to come. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

/**
 * Resolves when the port takes connections.
 * @throws Error with the process's output when it ends first, or is not there in time
 */
export async function untilListening(
  started: StartedProcess,
  port: number,
  timeoutMs: number,
): Promise<void> {
  let ended = false;
  void started.exited.then(() => (ended = true));
  const until = performance.now() + timeoutMs;
  while (!(await accepts(port))) {
    if (ended || performance.now() > until) {
      throw new Error(
        `the server ${ended ? 'ended' : `did not listen within ${timeoutMs} ms`}:\n${started.output().slice(-2000)}`,
      );
    }
    await sleep(1);
  }
}

/** A server that serves one program at its root. */
export function runningAt(started: StartedProcess, url: string): Running {
  return {
    url,
    spawnedAt: started.spawnedAt,
    pids: () => processTree(started.pid),
    output: started.output,
    stop: started.stop,
  };
}
