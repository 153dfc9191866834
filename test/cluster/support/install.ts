/** Puts Fissium on the cluster. */
import { join } from 'node:path';
import { fissium } from './cli.ts';
import { kubectl, list, tryKubectl } from './kubectl.ts';
import { rolledOut } from './wait.ts';

/** The namespace of the control plane. */
export const INSTALLED_IN = 'fission';

const ROOT = join(import.meta.dirname, '../../..');

/** The images of this run; a pod spec of a test names these. */
export const images = {
  fissium: process.env['FISSIUM_IMAGE'] ?? 'localhost/fissium:dev',
  python: process.env['FISSIUM_PYTHON_IMAGE'] ?? 'localhost/fissium-python:dev',
  pythonBuilder: process.env['FISSIUM_PYTHON_BUILDER_IMAGE'] ?? 'localhost/fissium-python-builder:dev',
  wasmBuilder: process.env['FISSIUM_WASM_BUILDER_IMAGE'] ?? 'localhost/fissium-wasm-builder:dev',
  node: process.env['FISSIUM_NODE_IMAGE'] ?? 'localhost/fissium-node:dev',
} as const;

/** `kubectl apply -f crds/`, and waits until they are served. */
export async function installCrds(): Promise<void> {
  await kubectl('apply', '-f', join(ROOT, 'crds'));
  await kubectl('wait', '--for=condition=Established', '-f', join(ROOT, 'crds'), '--timeout=30s');
}

/**
 * `fissium install` with the image of this run; where it is installed already, as it is. Every file of the suite that
 * needs it calls this, the first one waits.
 */
export async function installFissium(): Promise<void> {
  const isThere = await tryKubectl(['get', 'deployment', 'storagesvc', '-n', INSTALLED_IN]);
  if (isThere.code !== 0) await fissium('install', '--image', images.fissium, '--timeout', '120s');
  await controlPlaneReady();
}

/** Waits until every Deployment of the control plane's namespace is rolled out. */
export async function controlPlaneReady(): Promise<void> {
  for (const { metadata } of await list('deployments', INSTALLED_IN)) {
    await rolledOut(metadata.name, INSTALLED_IN, 120_000);
  }
}
