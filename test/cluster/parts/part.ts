/**
 * A part is a folder here with a `build.sh`, built once into the cache outside the repository and kept under a hash
 * of the folder's files. `build.sh` runs in a copy of its folder, with `$OUT` as the folder to fill.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, readFileSync, readdirSync } from 'node:fs';
import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.ts';

/** All that the cluster's tooling keeps: parts, layers and images, and the states of running clusters. */
export const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'fissium-cluster');

const HERE = import.meta.dirname;

/** Names of all parts. */
export function partNames(): string[] {
  return readdirSync(HERE, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted();
}

/** Where a part lies, or will lie once it is built; its name changes with any file of its recipe. */
export function partFolder(name: string): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(join(HERE, name)).toSorted()) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(HERE, name, file)))
      .update('\0');
  }
  return join(CACHE, 'parts', `${name}-${hash.digest('hex').slice(0, 12)}`);
}

/** The folder of a part that has been built. @throws Error if it has not */
export function part(name: string): string {
  const folder = partFolder(name);
  if (existsSync(join(folder, '.done'))) return folder;
  throw new Error(`the part ${name} is not built: node test/cluster/dev.ts part ${name}`);
}

/**
 * Builds a part that is missing. Of several processes that want it, one builds and the others wait.
 * @throws Error with the end of the build's output, which stays in `<folder>.log`
 */
export async function buildPart(name: string, say: (line: string) => void): Promise<string> {
  const folder = partFolder(name);
  const done = join(folder, '.done');
  if (existsSync(done)) return folder;
  await mkdir(join(CACHE, 'parts'), { recursive: true });
  return withLock(`${folder}.lock`, async () => {
    if (existsSync(done)) return folder;
    const startedAt = Date.now();
    say(`building ${name}, kept in ${folder}`);
    const scratch = `${folder}.scratch`;
    for (const path of [folder, scratch]) await rm(path, { recursive: true, force: true });
    await cp(join(HERE, name), scratch, { recursive: true });
    await mkdir(`${folder}.new`, { recursive: true });
    await runLogged(join(scratch, 'build.sh'), scratch, `${folder}.new`, `${folder}.log`);
    await writeFile(join(`${folder}.new`, '.done'), '');
    await rename(`${folder}.new`, folder);
    await rm(scratch, { recursive: true, force: true });
    say(`built ${name} in ${Math.round((Date.now() - startedAt) / 1000)} s`);
    return folder;
  });
}

async function runLogged(script: string, cwd: string, out: string, logFile: string): Promise<void> {
  const log = createWriteStream(logFile);
  const child = spawn('nice', ['-n', '10', 'bash', script], {
    cwd,
    env: { ...process.env, OUT: out },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  await new Promise<void>((resolve) => log.end(() => resolve()));
  if (code === 0) return;
  const end = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
  throw new Error(`${script} ended with code ${String(code)}; ${logFile} ends with\n${end}`);
}
