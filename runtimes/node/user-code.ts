/** Finds and loads the user's function as the environment contract names it. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, parse } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Fission's forms: `(context)` with a promise, `(context, callback)`; `(ws, clients)` for WebSockets. */
export type UserFunction = (...args: unknown[]) => unknown;

/** The code cannot be loaded; the message says what was looked for and what is there. */
export class LoadError extends Error {}

const EXTENSIONS = ['', '.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];
const MAIN_NAMES = ['index.js', 'index.mjs', 'index.cjs', 'main.js', 'main.mjs', 'main.cjs'];

/**
 * The function that `entrypoint` (`file.export`, or `file` for its default export, or nothing) names in the folder
 * `path`; where `path` is a file, the function of that file.
 * @param entrypointOptional an entry point that is not there stands for none (the short form `functionref`)
 * @throws LoadError, or whatever the user's module throws while it is loaded
 */
export async function loadFunction(
  path: string,
  entrypoint: string,
  entrypointOptional = false,
): Promise<UserFunction> {
  try {
    return await loadNamed(path, entrypoint.trim());
  } catch (error) {
    if (!(error instanceof LoadError) || !entrypointOptional || entrypoint === '') throw error;
    return loadNamed(path, '');
  }
}

async function loadNamed(path: string, entrypoint: string): Promise<UserFunction> {
  const found = isFolder(path) ? locate(path, entrypoint) : locateFile(path, entrypoint);
  const loaded = (await import(pathToFileURL(found.file).href)) as Record<string, unknown>;
  return pick(loaded, found.name, found.file);
}

interface Located {
  readonly file: string;
  /** The export; '' for the default one. */
  readonly name: string;
}

function locateFile(path: string, entrypoint: string): Located {
  const file = withExtension(path);
  if (file === null) throw new LoadError(`There is no code at ${path}.`);
  const dot = entrypoint.lastIndexOf('.');
  return { file, name: dot === -1 ? '' : entrypoint.slice(dot + 1) };
}

function locate(folder: string, entrypoint: string): Located {
  if (entrypoint === '') return { file: mainFile(folder), name: '' };
  const whole = withExtension(join(folder, entrypoint));
  if (whole !== null) return { file: whole, name: '' };
  const dot = entrypoint.lastIndexOf('.');
  if (dot !== -1) {
    const file = withExtension(join(folder, entrypoint.slice(0, dot)));
    if (file !== null) return { file, name: entrypoint.slice(dot + 1) };
  }
  throw new LoadError(
    `The entry point ${JSON.stringify(entrypoint)} names no file of the package, which holds ${listing(folder)}. Name it as file.export, or as file for its default export.`,
  );
}

/** Where nothing is named: what package.json says, else the usual names, else the package's only script. */
function mainFile(folder: string): string {
  const declared = packageMain(folder);
  if (declared !== null) {
    const file = withExtension(join(folder, declared));
    if (file !== null) return file;
  }
  const names = readdirSync(folder);
  const scripts = names.filter((name) => /\.[cm]?[jt]s$/.test(name) && !name.endsWith('.d.ts'));
  const usual = MAIN_NAMES.find((name) => scripts.includes(name));
  const chosen = usual ?? (scripts.length === 1 ? scripts[0] : undefined);
  if (chosen !== undefined) return join(folder, chosen);
  throw new LoadError(
    `No entry point says which file of the package is meant, and none is named ${MAIN_NAMES[0]}; it holds ${listing(folder)}. Name one as file.export (\`--entrypoint\`).`,
  );
}

function packageMain(folder: string): string | null {
  try {
    const { main } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { main?: unknown };
    return typeof main === 'string' ? main : null;
  } catch {
    return null;
  }
}

function withExtension(path: string): string | null {
  return EXTENSIONS.map((extension) => path + extension).find(isFile) ?? null;
}

/** A module's export, or one of what a CommonJS module assigned to `module.exports`. */
function pick(loaded: Record<string, unknown>, name: string, file: string): UserFunction {
  const { default: fallback } = loaded;
  // Transpilers leave `exports.default` in a CommonJS module.
  const inner = isObject(fallback) ? fallback : {};
  const candidates = name === '' ? [fallback, inner['default']] : [loaded[name], inner[name]];
  const chosen = candidates.find((value) => typeof value === 'function');
  if (chosen !== undefined) return chosen as UserFunction;
  const wanted = name === '' ? 'default export' : `export ${JSON.stringify(name)}`;
  const names = [...new Set([...Object.keys(loaded), ...Object.keys(inner)])].slice(0, 10);
  throw new LoadError(
    `${parse(file).base} has no function as its ${wanted}; it exports ${names.join(', ') || 'nothing'}. Write module.exports = async (context) => …, or name the entry point as file.export.`,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

function listing(folder: string): string {
  const names = readdirSync(folder).toSorted();
  return `${names.slice(0, 10).join(', ') || 'nothing'}${names.length > 10 ? ', …' : ''}`;
}
