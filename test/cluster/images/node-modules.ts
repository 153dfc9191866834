/** A layer of packages as they lie in this checkout's node_modules, with what they need. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { keyOf, type Layer, layer } from './layers.ts';

const ROOT = join(import.meta.dirname, '../../..');

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface PackagesLayer {
  /** Of the layer. */
  readonly name: string;
  readonly packages: readonly string[];
  /** What they name and do not need for what they are used for. */
  readonly without: ReadonlySet<string>;
  /** The folder that gets `node_modules`. */
  readonly at: string;
}

/** Anew when package-lock.json, or what is asked for, changes. */
export async function packagesLayer({ name, packages, without, at }: PackagesLayer): Promise<Layer> {
  const lock = await readFile(join(ROOT, 'package-lock.json'));
  return layer(name, keyOf(lock, at, ...packages, ...without), async (tar) => {
    for (const folder of await closure(packages, without)) {
      const isOwn = (source: string): boolean => !source.slice(folder.length).includes('/node_modules');
      await tar.tree(join(ROOT, folder), join(at, folder), (source) => isOwn(source.slice(ROOT.length + 1)));
    }
  });
}

/** Folders of the packages and all that they depend on, relative to the checkout. */
async function closure(packages: readonly string[], without: ReadonlySet<string>): Promise<string[]> {
  const found = new Set<string>();
  const todo = packages.map((name) => ({ name, from: '' }));
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (without.has(next.name)) continue;
    const folder = resolveFrom(next.from, next.name);
    // Optional ones for other machines are not there.
    if (folder === null || found.has(folder)) continue;
    found.add(folder);
    const manifest = JSON.parse(await readFile(join(ROOT, folder, 'package.json'), 'utf8')) as Manifest;
    const needed = { ...manifest.dependencies, ...manifest.optionalDependencies };
    todo.push(...Object.keys(needed).map((name) => ({ name, from: folder })));
  }
  return [...found].toSorted();
}

/** As Node finds packages: beside the one that asks, then further and further up. */
function resolveFrom(from: string, name: string): string | null {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(ROOT, candidate, 'package.json'))) return candidate;
    if (folder === '' || folder === '.') return null;
  }
}
