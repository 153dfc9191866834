/** Reads a folder of specifications: YAML documents of Fission's kinds, and what belongs to `spec apply` itself. */
import { glob, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, matchesGlob, relative, resolve } from 'node:path';
import { LineCounter, parseAllDocuments } from 'yaml';
import type { KindName } from '../../api/index.ts';
import { CliError, messageOf } from '../errors.ts';
import { CONFIG_FILE, IGNORE_FILE } from './names.ts';

/** Where a document begins, for messages: `specs/function.yaml:12`. */
export interface Located {
  readonly location: string;
}

/** One resource as it is written. */
export interface SpecObject extends Located {
  readonly kind: KindName;
  readonly name: string;
  readonly object: Readonly<Record<string, unknown>> & {
    readonly metadata: Readonly<Record<string, unknown>> & {
      readonly name: string;
      readonly namespace?: string;
    };
  };
}

/** Files that become an archive when the specification is applied (Fission's ArchiveUploadSpec). */
export interface ArchiveUpload extends Located {
  readonly name: string;
  /** Folder that the patterns are relative to; the specs folder's parent where it names none. */
  readonly rootDir: string | undefined;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** What ties the resources of one specification together. */
export interface DeploymentConfig {
  readonly name: string;
  readonly uid: string;
}

export interface SpecSet {
  /** Absolute path of the folder. */
  readonly folder: string;
  /** Undefined where the folder holds plain YAML only. */
  readonly config: DeploymentConfig | undefined;
  readonly archives: readonly ArchiveUpload[];
  readonly objects: readonly SpecObject[];
  readonly warnings: readonly string[];
}

const KIND_NAMES: readonly KindName[] = ['Environment', 'Package', 'Function', 'HTTPTrigger'];

/** All specifications below a folder, or of one file. Fails at the first document that cannot be read. */
export async function loadSpecs(path: string, cwd: string, ignoreFile?: string): Promise<SpecSet> {
  const target = resolve(cwd, path);
  const info = await stat(target).catch(() => undefined);
  if (info === undefined) {
    throw new CliError(`there is no specs folder at ${target}`, {
      fix: 'make one with `fissium spec init`, or name it with --specdir',
    });
  }
  const folder = info.isDirectory() ? target : dirname(target);
  const files = info.isDirectory() ? await specFiles(folder, ignoreFile) : [target];
  const parsed = new SpecCollector(folder);
  for (const file of files) parsed.add(await readFile(file, 'utf8'), relative(cwd, file) || basename(file));
  return parsed.result();
}

async function specFiles(folder: string, ignoreFile: string | undefined): Promise<string[]> {
  const ignored = await readFile(join(folder, ignoreFile ?? IGNORE_FILE), 'utf8').catch((error: unknown) => {
    if (ignoreFile === undefined) return '';
    throw new CliError(`cannot read ${ignoreFile}`, { why: messageOf(error), cause: error });
  });
  const patterns = ignored
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const files: string[] = [];
  for await (const name of glob('**/*.{yaml,yml,json}', { cwd: folder })) {
    const skip = patterns.some(
      (pattern) =>
        matchesGlob(name, pattern) ||
        matchesGlob(basename(name), pattern) ||
        name.startsWith(pattern.replace(/\/*$/, '/')),
    );
    if (!skip) files.push(join(folder, name));
  }
  return files.sort();
}

/** Takes the documents of files one after another. */
export class SpecCollector {
  readonly #folder: string;
  readonly #archives: ArchiveUpload[] = [];
  readonly #objects: SpecObject[] = [];
  readonly #warnings: string[] = [];
  #config: DeploymentConfig | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** All documents of a text. Throws a CliError with file and line where one is not what it should be. */
  add(text: string, file: string): void {
    const lines = new LineCounter();
    const documents = parseAllDocuments(text, {
      lineCounter: lines,
      merge: true,
      prettyErrors: false,
      logLevel: 'error',
    });
    if (!Array.isArray(documents)) return;
    for (const document of documents) {
      const offset = document.contents?.range?.[0] ?? document.range[0];
      const location = `${file}:${lines.linePos(offset).line}`;
      const [error] = document.errors;
      if (error !== undefined) {
        const { line } = lines.linePos(error.pos[0]);
        throw new CliError(`${file}:${line} is not YAML`, { why: error.message, cause: error });
      }
      let value: unknown;
      try {
        // Aliases are counted: a few lines must not grow into gigabytes.
        value = document.toJS({ maxAliasCount: 100 });
      } catch (cause) {
        throw new CliError(`${location} cannot be read`, { why: messageOf(cause), cause });
      }
      if (value !== null && value !== undefined) this.#addValue(value, location);
    }
  }

  result(): SpecSet {
    const seen = new Map<string, string>();
    for (const { kind, name, object, location } of this.#objects) {
      const key = `${kind} ${object.metadata.namespace ?? ''}/${name}`;
      const first = seen.get(key);
      if (first !== undefined) {
        throw new CliError(`${location}: ${kind} "${name}" is there twice`, {
          why: `the first is at ${first}`,
        });
      }
      seen.set(key, location);
    }
    for (const { name, location } of this.#archives) {
      const first = seen.get(`archive ${name}`);
      if (first !== undefined) {
        throw new CliError(`${location}: archive "${name}" is there twice`, {
          why: `the first is at ${first}`,
        });
      }
      seen.set(`archive ${name}`, location);
    }
    return {
      folder: this.#folder,
      config: this.#config,
      archives: this.#archives,
      objects: this.#objects,
      warnings: this.#warnings,
    };
  }

  #addValue(value: unknown, location: string): void {
    const document = asRecord(value);
    if (document === undefined || typeof document.kind !== 'string') {
      throw new CliError(`${location} is no resource`, {
        why: 'it must be a mapping with apiVersion and kind',
      });
    }
    const { kind, apiVersion } = document;
    if (kind === 'List' && Array.isArray(document.items)) {
      for (const item of document.items as unknown[]) this.#addValue(item, location);
      return;
    }
    if (apiVersion !== undefined && apiVersion !== 'fission.io/v1') {
      this.#warnings.push(
        `${location}: ${JSON.stringify(apiVersion)} ${kind} is left out: only kinds of fission.io/v1 are applied`,
      );
      return;
    }
    if (kind === 'DeploymentConfig') this.#setConfig(document, location);
    else if (kind === 'ArchiveUploadSpec') this.#addArchive(document, location);
    else if (isKindName(kind)) this.#addObject(kind, document, location);
    else this.#warnings.push(`${location}: kind ${kind} is left out: it is not served yet`);
  }

  #addObject(kind: KindName, document: Record<string, unknown>, location: string): void {
    const metadata = asRecord(document.metadata);
    const name = metadata?.name;
    if (metadata === undefined || typeof name !== 'string' || name === '') {
      throw new CliError(`${location}: ${kind} has no metadata.name`);
    }
    const { namespace } = metadata;
    if (namespace !== undefined && typeof namespace !== 'string') {
      throw new CliError(
        `${location}: metadata.namespace of ${kind} "${name}" is ${JSON.stringify(namespace)}, not a string`,
      );
    }
    const object = {
      ...document,
      apiVersion: 'fission.io/v1',
      metadata: { ...metadata, name, ...(namespace === undefined ? {} : { namespace }) },
    };
    this.#objects.push({ kind, name, object, location });
  }

  #setConfig(document: Record<string, unknown>, location: string): void {
    const { name, uid } = document;
    if (typeof name !== 'string' || typeof uid !== 'string' || uid === '') {
      throw new CliError(`${location}: DeploymentConfig needs a name and a uid`, {
        fix: `delete ${CONFIG_FILE} and run \`fissium spec init\` again`,
      });
    }
    if (this.#config !== undefined) throw new CliError(`${location}: there is a second DeploymentConfig`);
    this.#config = { name, uid };
  }

  #addArchive(document: Record<string, unknown>, location: string): void {
    const { name, rootdir, include, exclude = [] } = document;
    if (typeof name !== 'string' || name === '')
      throw new CliError(`${location}: ArchiveUploadSpec has no name`);
    const what = `${location}: ArchiveUploadSpec "${name}"`;
    if (!isStrings(include) || include.length === 0)
      throw new CliError(`${what} needs a list \`include\` of paths`);
    if (!isStrings(exclude)) throw new CliError(`${what}: \`exclude\` must be a list of paths`);
    if (rootdir !== undefined && typeof rootdir !== 'string')
      throw new CliError(`${what}: \`rootdir\` must be a path`);
    this.#archives.push({ name, rootDir: rootdir, include, exclude, location });
  }
}

function isKindName(kind: string): kind is KindName {
  return (KIND_NAMES as readonly string[]).includes(kind);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
