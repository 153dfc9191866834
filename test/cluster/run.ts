/**
 * `npm run test:cluster [vitest arguments]`: a cluster of its own with the images of this checkout, the suite inside
 * its network, and nothing left of it afterwards. With `KUBECONFIG` set: the suite against that cluster, where the
 * images are those that `FISSIUM_IMAGE`, `FISSIUM_PYTHON_IMAGE` and `FISSIUM_NODE_IMAGE` name.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Image } from './images/oci.ts';
import { IMAGE_NAMES, IMAGE_VARIABLES, buildImage } from './images/images.ts';
import {
  buildCluster,
  clusterOf,
  endedByThemselves,
  spawnInside,
  startCluster,
  stopCluster,
  whyNotHere,
} from './kube/cluster.ts';
import { buildPart } from './parts/part.ts';
import { partsOfSuite } from './suite-parts.ts';

const ROOT = join(import.meta.dirname, '../..');
/** In case that this process is killed before it can end its cluster. */
const TTL_SECONDS = 3600;

const VITEST = [
  process.execPath,
  join(ROOT, 'node_modules/vitest/vitest.mjs'),
  'run',
  '--config',
  join(import.meta.dirname, 'vitest.config.ts'),
];

let child: ChildProcess | undefined;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function ended(started: ChildProcess): Promise<number> {
  child = started;
  return new Promise((resolve, reject) => {
    started.once('error', reject);
    started.once('exit', (code) => resolve(code ?? 1));
  });
}

async function againstForeign(filters: readonly string[]): Promise<number> {
  if (process.env['FISSIUM_IMAGE'] === undefined) {
    throw new Error(
      'KUBECONFIG is set: FISSIUM_IMAGE must name an image of fissium that this cluster can pull',
    );
  }
  for (const name of await partsOfSuite(filters)) await buildPart(name, say);
  const [command = '', ...args] = [...VITEST, ...filters];
  return ended(spawn(command, args, { cwd: ROOT, stdio: 'inherit' }));
}

async function againstOwn(filters: readonly string[]): Promise<number> {
  const why = whyNotHere();
  if (why !== undefined) {
    say(why);
    // A developer's machine may be unable; where changes land the suite must have run.
    return process.env['CI'] === undefined ? 0 : 1;
  }
  await buildCluster(say);
  for (const name of await partsOfSuite(filters)) await buildPart(name, say);
  const images: Image[] = [];
  for (const name of IMAGE_NAMES) images.push(await buildImage(name, say));
  const cluster = clusterOf(process.env['E2E_STATE'] ?? `test-${process.pid}`);
  try {
    say(await startCluster(cluster, images, TTL_SECONDS));
    const code = await ended(spawnInside(cluster, [...VITEST, ...filters], IMAGE_VARIABLES));
    const gone = await endedByThemselves(cluster);
    if (gone === '') return code;
    say(`of the cluster, this ended by itself; see ${cluster.stateDir}/log\n${gone}`);
    return 1;
  } finally {
    await stopCluster(cluster);
  }
}

// The cluster must go whatever ends this: the suite is told, and what waits for it goes on to stop the cluster.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child?.kill(signal));

try {
  const filters = process.argv.slice(2);
  const isForeign = (process.env['KUBECONFIG'] ?? '') !== '';
  process.exitCode = await (isForeign ? againstForeign(filters) : againstOwn(filters));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
