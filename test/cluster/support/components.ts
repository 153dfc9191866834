/** Stops and starts parts of the control plane; only a cluster of our own has them at hand. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { kubectl } from './kubectl.ts';
import { eventually } from './wait.ts';

export type Component =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kubelet'
  | 'kube-proxy'
  | 'coredns'
  | 'containerd';

/** The state folder of the cluster that run.ts started, or `undefined` against somebody else's. */
export const ownCluster = process.env['FISSIUM_CLUSTER_STATE'];

const SERVICE_MS = 180_000;

function state(...path: string[]): string {
  if (ownCluster === undefined) throw new Error('this is not a cluster of our own; see `ownCluster`');
  return join(ownCluster, ...path);
}

/** Ends a program of the cluster and keeps it from coming back until `startComponent`. */
export async function stopComponent(name: Component, signal: 'TERM' | 'KILL' = 'TERM'): Promise<void> {
  await writeFile(state('stop', name), signal);
  await eventually(`${name} stopped`, async () => existsSync(state('stopped', name)));
}

/**
 * Lets it come back; resolves when the API server answers again, if it was that one: also at its Service, where pods
 * ask. kube-proxy has the address a minute later at times, as it waits longer after each failed try.
 */
export async function startComponent(name: Component): Promise<void> {
  await rm(state('stop', name), { force: true });
  await eventually(`${name} started`, async () => !existsSync(state('stopped', name)));
  if (name === 'kube-apiserver' || name === 'etcd') {
    await eventually(`${name} ready`, () => kubectl('get', '--raw', '/readyz'));
    const host = await kubectl('get', 'service', 'kubernetes', '-o', 'jsonpath={.spec.clusterIP}');
    await eventually(`${name} at its Service`, () => connects(host, 443), SERVICE_MS);
  }
}

async function connects(host: string, port: number): Promise<true> {
  const socket = connect({ host, port, timeout: 1000 });
  socket.once('timeout', () => socket.destroy(new Error(`${host}:${port} does not answer`)));
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}

/** Stops it, does `work`, and starts it whatever came of that. */
export async function without<T>(name: Component, work: () => Promise<T>): Promise<T> {
  await stopComponent(name);
  try {
    return await work();
  } finally {
    await startComponent(name);
  }
}
