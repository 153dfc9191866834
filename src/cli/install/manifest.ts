/** The manifest that the package ships: `deploy/fissium.yaml`, rendered from charts/fissium, and `crds/`. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { KubeObject } from '../../kube/index.ts';
import { RESOURCES, type ResourceType } from '../cluster.ts';
import { packageFolder } from '../package-folder.ts';

/** The namespace that the manifest is rendered for. */
const RENDERED_NAMESPACE = 'fission';

export interface InstallSettings {
  /** @default as rendered */
  readonly image?: string;
  /** @default 'fission' */
  readonly namespace?: string;
}

/** All objects, in the order in which they are applied. */
export async function readManifest(): Promise<KubeObject[]> {
  const { parseAllDocuments } = await import('yaml');
  const root = packageFolder();
  const crds = (await readdir(join(root, 'crds'))).filter((name) => name.endsWith('.yaml')).toSorted();
  const files = [...crds.map((name) => join(root, 'crds', name)), join(root, 'deploy', 'fissium.yaml')];
  const objects: KubeObject[] = [];
  for (const file of files) {
    for (const document of parseAllDocuments(await readFile(file, 'utf8'))) {
      const object = document.toJS() as KubeObject | null;
      if (object !== null) objects.push(object);
    }
  }
  return objects;
}

/** The manifest's objects for this installation, its namespace before what is in it. */
export function installObjects(
  manifest: readonly KubeObject[],
  { image, namespace = RENDERED_NAMESPACE }: InstallSettings,
): KubeObject[] {
  const rendered = imageOf(manifest);
  const settled = manifest.map(
    (object) =>
      replaced(object, (key, value) => {
        if (key === 'namespace' && value === RENDERED_NAMESPACE) return namespace;
        if (image !== undefined && rendered !== undefined && value === rendered) return image;
        return value;
      }) as KubeObject,
  );
  const isDefinition = ({ kind }: KubeObject): boolean => kind === 'CustomResourceDefinition';
  return [
    ...settled.filter(isDefinition),
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    ...settled.filter((object) => !isDefinition(object)),
  ];
}

/** Which collection an object of the manifest belongs to. */
export function resourceOf({ apiVersion = '', kind = '' }: KubeObject): ResourceType {
  const [version = '', group = ''] = apiVersion.split('/').toReversed();
  const found = Object.values(RESOURCES).find(
    (type: ResourceType) => type.kind === kind && type.group === group && type.version === version,
  );
  if (found === undefined) throw new Error(`the manifest has a ${kind} of ${apiVersion}, which is not known`);
  return found;
}

function imageOf(manifest: readonly KubeObject[]): string | undefined {
  for (const object of manifest) {
    const { spec } = object as { spec?: { template?: { spec?: { containers?: { image?: string }[] } } } };
    const image = spec?.template?.spec?.containers?.[0]?.image;
    if (image !== undefined) return image;
  }
  return undefined;
}

/** A copy with each text replaced. */
function replaced(value: unknown, text: (key: string, value: string) => string, key = ''): unknown {
  if (typeof value === 'string') return text(key, value);
  if (Array.isArray(value)) return value.map((item) => replaced(item, text, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, replaced(each, text, name)]));
}
