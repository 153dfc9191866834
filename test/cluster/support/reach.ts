/** Reaches Services and pods: directly inside the cluster's network, by port-forward from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { ownCluster } from './components.ts';

/** The base URL of a Service's port, for the rest of this test. */
export function serviceUrl(namespace: string, name: string, port: number): Promise<string> {
  if (ownCluster !== undefined)
    return Promise.resolve(`http://${name}.${namespace}.svc.cluster.local:${port}`);
  return forwarded(namespace, `service/${name}`, port);
}

/** The base URL of a pod's port, for the rest of this test. */
export function podUrl(namespace: string, name: string, port: number): Promise<string> {
  return forwarded(namespace, `pod/${name}`, port);
}

async function forwarded(namespace: string, target: string, port: number): Promise<string> {
  const child = spawn('kubectl', ['port-forward', '-n', namespace, target, `:${port}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => ended(child));
  return new Promise((resolve, reject) => {
    let output = '';
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`kubectl port-forward ${target}: ${output}`)));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const local = /127\.0\.0\.1:(\d+)/.exec(output)?.[1];
      if (local !== undefined) resolve(`http://127.0.0.1:${local}`);
    });
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await exit;
}
