/** The images that a cluster gets. */
import { buildPart } from '../parts/part.ts';
import { busyboxLayer, nativeAddonLayer, nodeLayer, pauseLayer } from './base.ts';
import type { Layer } from './layers.ts';
import { packagesLayer } from './node-modules.ts';
import type { Image, ImageConfig } from './oci.ts';
import { dependenciesLayer, packageLayer } from './packed.ts';
import {
  builderLayer,
  nodeServerLayers,
  pythonLayer,
  pythonServerLayer,
  requirementsLayer,
} from './runtimes.ts';

interface Recipe {
  /** With its tag, which is not `latest`, as that would be pulled. */
  readonly name: string;
  readonly config: ImageConfig;
  /** Parts that its layers are made from. */
  readonly parts: readonly string[];
  readonly layers: () => Promise<Layer[]>;
}

const USER = '10001:10001';

/** What `npm install` in wasm-envs/js brings, less what a build does not load: compilers for other ends. */
const COMPONENTIZE_JS = {
  name: 'componentize-js',
  packages: ['@bytecodealliance/componentize-js', '@bytecodealliance/jco'],
  without: new Set([
    '@bytecodealliance/componentize-js-0-19-3',
    '@bytecodealliance/jco-std',
    '@bytecodealliance/jco-transpile',
    '@bytecodealliance/preview3-shim',
    'binaryen',
    'rolldown',
    'terser',
    'typescript',
    'typescript-compiler-api',
  ]),
  at: '/app/wasm-envs/js',
};

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
  pythonBuilder: {
    name: 'localhost/fissium-python-builder:dev',
    config: {
      entrypoint: ['/builder', '/packages'],
      env: ['NODE_ENV=production', 'PYTHONDONTWRITEBYTECODE=1'],
      workingDir: '/app',
      user: USER,
    },
    parts: ['python'],
    layers: async () => [
      await nodeLayer(),
      await dependenciesLayer(),
      await packageLayer(),
      await pythonLayer(),
      await builderLayer('python'),
    ],
  },
  wasmBuilder: {
    name: 'localhost/fissium-wasm-builder:dev',
    config: {
      entrypoint: ['/builder', '/packages'],
      env: ['NODE_ENV=production'],
      workingDir: '/app',
      user: USER,
    },
    parts: [],
    layers: async () => [
      await nodeLayer(),
      await nativeAddonLayer(),
      await packagesLayer(COMPONENTIZE_JS),
      await dependenciesLayer(),
      await packageLayer(),
      await builderLayer('wasm'),
    ],
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
function imageReference(image: ImageName): string {
  return RECIPES[image].name;
}

/** What tells the suite and the bench which images a cluster of our own has. */
export const IMAGE_VARIABLES: Readonly<Record<string, string>> = {
  FISSIUM_IMAGE: imageReference('fissium'),
  FISSIUM_PYTHON_IMAGE: imageReference('python'),
  FISSIUM_PYTHON_BUILDER_IMAGE: imageReference('pythonBuilder'),
  FISSIUM_WASM_BUILDER_IMAGE: imageReference('wasmBuilder'),
  FISSIUM_NODE_IMAGE: imageReference('node'),
};

/** The image as it is now; layers that are new are made. */
export async function buildImage(name: ImageName, say: (line: string) => void): Promise<Image> {
  const { parts, layers, ...image }: Recipe = RECIPES[name];
  const startedAt = Date.now();
  for (const needed of ['node', ...parts]) await buildPart(needed, say);
  const made = await layers();
  say(`image ${image.name}: ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
  return { ...image, layers: made };
}
