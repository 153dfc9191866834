import { readFile, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

const SUITE = join(import.meta.dirname, 'suite');

/**
 * The parts that the chosen files of the suite take with `part('NAME')`, in themselves or in what they import: they
 * are built before the suite starts, as nothing can be fetched inside the cluster's network.
 * @param filters vitest's arguments: of those that are no options, a file's path must contain one
 */
export async function partsOfSuite(filters: readonly string[]): Promise<string[]> {
  const words = filters.filter((filter) => !filter.startsWith('-'));
  const files = (await readdir(SUITE))
    .map((name) => join(SUITE, name))
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word.replace(/^\.\//, ''))));
  const parts = new Set<string>();
  const seen = new Set<string>();
  const todo = [...files];
  for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const text = await readFile(file, 'utf8');
    for (const [, name = ''] of text.matchAll(/\bpart\('([a-z0-9-]+)'\)/g)) parts.add(name);
    for (const [, path = ''] of text.matchAll(/from '(\.[^']+\.ts)'/g)) {
      const imported = resolve(dirname(file), path);
      if (imported.startsWith(import.meta.dirname)) todo.push(imported);
    }
  }
  return [...parts].toSorted();
}
