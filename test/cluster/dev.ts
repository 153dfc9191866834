/** A cluster of your own: `node test/cluster/dev.ts` says how. */
import { constants } from 'node:os';
import {
  buildCluster,
  clusterOf,
  loadImages,
  spawnInside,
  startCluster,
  stopCluster,
  whyNotHere,
} from './kube/cluster.ts';
import type { Image } from './images/oci.ts';
import { IMAGE_NAMES, IMAGE_VARIABLES, type ImageName, buildImage } from './images/images.ts';
import { buildPart, partNames } from './parts/part.ts';

const USAGE = `node test/cluster/dev.ts up NAME            starts a cluster, with all images (${IMAGE_NAMES.join(', ')})
                         load NAME [IMAGE…]  builds images from this checkout and loads them; without IMAGE: fissium
                         in NAME CMD…        runs a command in its network, with its DNS, kubectl and KUBECONFIG
                         down NAME           ends it, with everything in it
                         part PART           builds a program and says where it lies (${partNames().join(', ')})
NAME is a name of your choice, or a folder (with a slash). A cluster ends by itself after 8 hours.
`;

const TTL_SECONDS = 8 * 3600;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function isImage(name: string): name is ImageName {
  return (IMAGE_NAMES as readonly string[]).includes(name);
}

async function builtImages(names: readonly string[]): Promise<Image[]> {
  const images: Image[] = [];
  for (const name of names) {
    if (!isImage(name)) throw new Error(`no image ${name}; there are ${IMAGE_NAMES.join(', ')}`);
    images.push(await buildImage(name, say));
  }
  return images;
}

/** The exit code of a command that runs until it ends, signals included. */
async function inside(name: string, command: readonly string[]): Promise<number> {
  const child = spawnInside(clusterOf(name), command, IMAGE_VARIABLES);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

async function main([verb, name, ...rest]: readonly string[]): Promise<number> {
  if (verb === undefined || name === undefined) {
    process.stdout.write(USAGE);
    return 2;
  }
  const why = whyNotHere();
  if (why !== undefined) throw new Error(why);
  switch (verb) {
    case 'up': {
      await buildCluster(say);
      const images = await builtImages(IMAGE_NAMES);
      say(await startCluster(clusterOf(name), images, TTL_SECONDS));
      return 0;
    }
    case 'load':
      await loadImages(clusterOf(name), await builtImages(rest.length === 0 ? ['fissium'] : rest));
      return 0;
    case 'in':
      return inside(name, rest);
    case 'down':
      await stopCluster(clusterOf(name));
      return 0;
    case 'part':
      process.stdout.write(`${await buildPart(name, say)}\n`);
      return 0;
    default:
      process.stdout.write(USAGE);
      return 2;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
