/** A one-node Kubernetes of this machine's own: starts it, enters it, loads images into it, ends it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { importImages } from '../images/import.ts';
import type { Image } from '../images/oci.ts';
import { CACHE, buildPart, partFolder } from '../parts/part.ts';

const run = promisify(execFile);
const HERE = import.meta.dirname;
const PARTS = ['node', 'coredns', 'kubernetes'] as const;

export interface Cluster {
  /** The folder of everything that it keeps while it runs. */
  readonly stateDir: string;
  /** What its scripts read. */
  readonly env: NodeJS.ProcessEnv;
}

/** Of a name (`dev`), or of a folder of your own (`E2E_STATE`, or a name with a slash in it). */
export function clusterOf(name: string): Cluster {
  const stateDir = name.includes('/') ? resolve(name) : join(CACHE, 'clusters', name);
  const pki = createHash('sha256')
    .update(readFileSync(join(HERE, 'pki.sh')))
    .digest('hex')
    .slice(0, 12);
  const env = {
    ...process.env,
    E2E_STATE: stateDir,
    CLUSTER_NODE_PART: partFolder('node'),
    CLUSTER_KUBERNETES_PART: partFolder('kubernetes'),
    CLUSTER_COREDNS_PART: partFolder('coredns'),
    CLUSTER_PKI: join(CACHE, `pki-${pki}`),
  };
  return { stateDir, env };
}

/** Why this machine cannot run a cluster, or `undefined`. */
export function whyNotHere(): string | undefined {
  if (process.platform !== 'linux') return `the test cluster needs Linux; this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'the test cluster needs root, for namespaces and cgroups';
  if (!existsSync('/sys/fs/cgroup/memory')) return 'the test cluster needs the v1 cgroup hierarchies';
  return undefined;
}

/** Builds what a cluster is made of, where it is missing. */
export async function buildCluster(say: (line: string) => void): Promise<void> {
  for (const name of PARTS) await buildPart(name, say);
}

/**
 * Starts it, with these images, and resolves when its node is ready and has them.
 * @param ttlSeconds it ends by itself after this time
 * @throws Error with the ends of its logs
 */
export async function startCluster(
  cluster: Cluster,
  images: readonly Image[],
  ttlSeconds: number,
): Promise<string> {
  await mkdir(dirname(cluster.stateDir), { recursive: true });
  const { stdout } = await run('bash', [join(HERE, 'up.sh')], {
    env: { ...cluster.env, E2E_TTL: String(ttlSeconds) },
    maxBuffer: 1 << 26,
  });
  const startedAt = Date.now();
  await loadImages(cluster, images);
  return `${stdout.trimEnd().split('\n').at(-1) ?? ''}; images loaded in ${Date.now() - startedAt} ms`;
}

/** Ends it and everything in it; nothing is left of it but its state folder, whose logs may be of use. */
export async function stopCluster(cluster: Cluster): Promise<void> {
  await run('bash', [join(HERE, 'down.sh')], { env: cluster.env });
}

/**
 * Runs a command inside its network, with its DNS, `kubectl` in PATH and `KUBECONFIG` set; files and process ids are
 * the machine's.
 */
export function spawnInside(
  cluster: Cluster,
  command: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  return spawn('bash', [join(HERE, 'in.sh'), ...command], {
    env: { ...cluster.env, FISSIUM_CLUSTER_STATE: cluster.stateDir, ...env },
    stdio: 'inherit',
  });
}

/** Brings images into a running cluster. */
export async function loadImages(cluster: Cluster, images: readonly Image[]): Promise<void> {
  const socket = join(cluster.stateDir, 'run/containerd.sock');
  if (!existsSync(socket)) throw new Error(`no cluster runs in ${cluster.stateDir}`);
  await importImages(join(partFolder('node'), 'ctr'), socket, images);
}

/** What ended by itself while it ran, one line each; empty if nothing did. */
export async function endedByThemselves(cluster: Cluster): Promise<string> {
  return readFile(join(cluster.stateDir, 'ended'), 'utf8').catch(() => '');
}
