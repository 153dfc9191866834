/** Puts Fissium on the cluster, by a folder of YAML or a file of it. */
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { apply, kubectl, list } from './kubectl.ts';
import { eventually, rolledOut } from './wait.ts';

/** The namespace of the control plane. */
export const INSTALLED_IN = 'fissium';

const ROOT = join(import.meta.dirname, '../../..');

/** The images of this run; a pod spec of a test names these. */
export const images = {
  fissium: process.env['FISSIUM_IMAGE'] ?? 'localhost/fissium:dev',
  python: process.env['FISSIUM_PYTHON_IMAGE'] ?? 'localhost/fissium-python:dev',
  node: process.env['FISSIUM_NODE_IMAGE'] ?? 'localhost/fissium-node:dev',
} as const;

/** `kubectl apply -f crds/`, and waits until they are served. */
export async function installCrds(): Promise<void> {
  await kubectl('apply', '-f', join(ROOT, 'crds'));
  await kubectl('wait', '--for=condition=Established', '-f', join(ROOT, 'crds'), '--timeout=30s');
}

/**
 * Applies a manifest, or all of a folder, and waits until each Deployment in the control plane's namespace is rolled
 * out. In the text, the image that the manifest names for Fissium is replaced by the one of this run.
 */
export async function installManifest(path: string, image: RegExp): Promise<void> {
  const files = (await stat(path)).isDirectory()
    ? (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).map((name) => join(path, name))
    : [path];
  await installCrds();
  await kubectl('create', 'namespace', INSTALLED_IN).catch(() => {});
  for (const file of files.toSorted()) {
    await apply((await readFile(file, 'utf8')).replaceAll(image, images.fissium));
  }
  await controlPlaneReady();
}

/** Waits until every Deployment of the control plane's namespace is rolled out. */
export async function controlPlaneReady(): Promise<void> {
  const deployments = await eventually('deployments of the control plane', async () => {
    const found = await list('deployments', INSTALLED_IN);
    return found.length > 0 && found;
  });
  for (const { metadata } of deployments) await rolledOut(metadata.name, INSTALLED_IN, 120_000);
}
