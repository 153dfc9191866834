/** The processes of pods as the machine sees them; only on a cluster of our own, whose pods run on this machine. */
import { readFile, readdir } from 'node:fs/promises';
import { ownCluster } from './components.ts';

/** Process ids of the containers of a pod that is told its name as POD_NAME, as Fissium's are. */
export async function processesOf(pod: string): Promise<readonly number[]> {
  if (ownCluster === undefined) throw new Error('this is not a cluster of our own; see `ownCluster`');
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // A process may end between the listing and the look.
    const environment = await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').includes(`POD_NAME=${pod}`)) found.push(Number(name));
  }
  return found;
}

/** Sends a signal to all of them. @throws Error if there are none */
export async function signalPod(pod: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
  const pids = await processesOf(pod);
  if (pids.length === 0) throw new Error(`no process of pod ${pod} runs on this machine`);
  for (const pid of pids) process.kill(pid, signal);
}
