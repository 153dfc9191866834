import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Runs `work` while holding an exclusive lock on a file, over processes. The lock is flock(2)'s, held by a child that
 * ends with this process's end of the pipe, so that a process that is killed leaves none behind.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo locked; read -r _'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    await Promise.race([
      once(holder.stdout, 'data'),
      once(holder, 'exit').then(() => Promise.reject(new Error(`flock ${file} gave no lock`))),
    ]);
    return await work();
  } finally {
    const ended = holder.exitCode === null ? once(holder, 'exit') : undefined;
    holder.stdin.end();
    await ended;
  }
}
