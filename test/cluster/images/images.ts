/** The images that a cluster gets. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE, buildPart } from '../parts/part.ts';
import { busyboxLayer, nodeLayer, pauseLayer } from './base.ts';
import { keyOf, type Layer } from './layers.ts';
import { type ImageConfig, writeImage } from './oci.ts';
import { dependenciesLayer, packageLayer } from './packed.ts';
import { nodeServerLayers, pythonLayer, pythonServerLayer, requirementsLayer } from './runtimes.ts';

interface Recipe {
  /** With its tag, which is not `latest`, as that would be pulled. */
  readonly name: string;
  readonly config: ImageConfig;
  /** Parts that its layers are made from. */
  readonly parts: readonly string[];
  readonly layers: () => Promise<Layer[]>;
}

const USER = '10001:10001';

const RECIPES = {
  pause: {
    name: 'localhost/pause:1',
    config: { entrypoint: ['/pause'] },
    parts: [],
    layers: async () => [await pauseLayer()],
  },
  busybox: {
    name: 'localhost/busybox:1',
    config: { cmd: ['/bin/sh'] },
    parts: [],
    layers: async () => [await busyboxLayer()],
  },
  fissium: {
    name: 'localhost/fissium:dev',
    config: {
      entrypoint: ['/usr/bin/node', '/app/bin/fissium'],
      env: ['NODE_ENV=production'],
      workingDir: '/app',
      user: USER,
    },
    parts: [],
    layers: async () => [await nodeLayer(), await dependenciesLayer(), await packageLayer()],
  },
  python: {
    name: 'localhost/fissium-python:dev',
    config: {
      entrypoint: ['python3', '/app/server.py'],
      env: ['PYTHONUNBUFFERED=1', 'PYTHONDONTWRITEBYTECODE=1'],
      workingDir: '/app',
      user: USER,
    },
    parts: ['python'],
    layers: async () => [await pythonLayer(), await requirementsLayer(), await pythonServerLayer()],
  },
  node: {
    name: 'localhost/fissium-node:dev',
    config: {
      entrypoint: ['node', '/app/server.ts'],
      env: ['NODE_ENV=production'],
      workingDir: '/app',
      user: USER,
    },
    parts: [],
    layers: async () => [await nodeLayer(), ...(await nodeServerLayers())],
  },
} as const satisfies Readonly<Record<string, Recipe>>;

export type ImageName = keyof typeof RECIPES;

export const IMAGE_NAMES = Object.keys(RECIPES) as ImageName[];

/** What a pod spec calls it. */
export function imageReference(image: ImageName): string {
  return RECIPES[image].name;
}

/** An archive of the image as it is now, made where its layers are new; gives its path. */
export async function buildImage(image: ImageName, say: (line: string) => void): Promise<string> {
  const { name, config, parts, layers }: Recipe = RECIPES[image];
  const startedAt = Date.now();
  for (const needed of ['node', ...parts]) await buildPart(needed, say);
  const made = await layers();
  const folder = join(CACHE, 'images');
  await mkdir(folder, { recursive: true });
  const key = keyOf(name, JSON.stringify(config), ...made.map(({ digest }) => digest));
  const file = join(folder, `${image}-${key}.tar`);
  if (existsSync(file)) return file;
  await writeImage(file, name, made, config);
  say(`image ${name} in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
  return file;
}
