/** A Python that has what the server imports: the system's own, or a virtual environment made on first use. */
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { FissiumError } from '../../errors.ts';
import { findProgram } from './launch.ts';

const run = promisify(execFile);
const IMPORTS = 'import cheroot, flask, simple_websocket';
const INSTALL_TIMEOUT_MS = 300_000;

export interface PythonOptions {
  /** Where virtual environments are kept. */
  readonly cacheFolder: string;
  readonly requirementsPath: string;
  /** @default `python3` on the PATH */
  readonly interpreter?: string;
}

/**
 * The interpreter to start the Python server with.
 * @throws FissiumError ENVIRONMENT_NOT_SERVED where there is no Python 3, or its packages cannot be installed
 */
export async function findPython(options: PythonOptions): Promise<string> {
  const interpreter = options.interpreter ?? findProgram('python3');
  if (interpreter === null) {
    throw notServed('there is no python3 on the PATH. Install Python 3.9 or newer');
  }
  if (await hasPackages(interpreter)) return interpreter;
  const requirements = await readFile(options.requirementsPath);
  const key = createHash('sha256').update(interpreter).update(requirements).digest('hex').slice(0, 16);
  const folder = join(options.cacheFolder, `python-${key}`);
  const python = join(folder, 'bin', 'python3');
  if (await exists(python)) return python;
  await makeEnvironment(interpreter, folder, options);
  return python;
}

async function makeEnvironment(
  interpreter: string,
  folder: string,
  { cacheFolder, requirementsPath }: PythonOptions,
): Promise<void> {
  await mkdir(cacheFolder, { recursive: true });
  const fresh = `${folder}.${randomUUID().slice(0, 8)}`;
  try {
    await run(interpreter, ['-m', 'venv', fresh], { timeout: INSTALL_TIMEOUT_MS });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirementsPath];
    await run(join(fresh, 'bin', 'python3'), pip, { timeout: INSTALL_TIMEOUT_MS });
    // Whole or not there; another process may have been faster.
    await rename(fresh, folder).catch(async (error: unknown) => {
      if (!(await exists(join(folder, 'bin', 'python3')))) throw error;
    });
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string };
    const said = stderr.trim().split('\n').at(-1) ?? '';
    throw notServed(
      `the packages of the Python environment could not be installed (${said === '' ? message : said}). Install them: ${interpreter} -m pip install -r ${requirementsPath}`,
      error,
    );
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function hasPackages(interpreter: string): Promise<boolean> {
  try {
    await run(interpreter, ['-c', IMPORTS], { timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function notServed(why: string, cause?: unknown): FissiumError {
  return new FissiumError(
    'ENVIRONMENT_NOT_SERVED',
    `Python functions cannot run here: ${why}.`,
    cause === undefined ? {} : { cause },
  );
}
