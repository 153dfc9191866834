/** JavaScript made a component by componentize-js, once for each source: it takes some seconds. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { cleanEnvironment } from '../src/bench/processes.ts';
import { TOOLS } from './binaries.ts';
import { ROOT } from './machine.ts';

const run = promisify(execFile);

/** How a user makes one: the builder of the project's own JavaScript environment. */
const FOLDER = join(ROOT, 'wasm-envs/js');
const PACKAGE = join(ROOT, 'node_modules/@bytecodealliance/componentize-js/package.json');

const BUILD_MS = 300_000;

/**
 * The component of a JavaScript file that answers `fetch` events, from an earlier run where neither the source nor what
 * builds it has changed.
 * @throws Error with what the builder said
 */
export async function componentOf(file: string, cache = join(TOOLS, 'components')): Promise<string> {
  const digest = createHash('sha256');
  for (const part of [file, join(FOLDER, 'function.wit'), join(FOLDER, 'build.mjs'), PACKAGE])
    digest.update(await readFile(part)).update('\0');
  const component = join(cache, `${digest.digest('hex')}.wasm`);
  if (existsSync(component)) return component;
  const folder = await mkdtemp(join(tmpdir(), 'fissium-bench-js-'));
  try {
    await copyFile(file, join(folder, 'hello.js'));
    await run(process.execPath, [join(FOLDER, 'build.mjs'), folder], {
      env: cleanEnvironment(),
      timeout: BUILD_MS,
    });
    await mkdir(cache, { recursive: true });
    // Whole or not at all, also where two runs build the same; the folder may be on another disk.
    const unfinished = `${component}.${process.pid}`;
    await copyFile(join(folder, 'hello.wasm'), unfinished);
    await rename(unfinished, component);
    return component;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const why = (stderr ?? '').trim() || (error instanceof Error ? error.message : String(error));
    throw new Error(`componentize-js makes no component of ${basename(file)}:\n${why.slice(-1500)}`, {
      cause: error,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
