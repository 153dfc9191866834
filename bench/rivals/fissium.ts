/** The platform itself, started and used the way a user does: its launcher, its ready line, its CLI. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  cleanEnvironment,
  processTree,
  startProcess,
  type StartedProcess,
} from '../../src/bench/processes.ts';
import { ROOT } from '../machine.ts';
import { createAll } from './fissium-objects.ts';
import type { Platform, RunningPlatform, StartOptions } from './rival.ts';

const LAUNCHER = join(ROOT, 'bin/fissium');

/** The function that `start` serves. */
const FUNCTION = 'program';

interface Variant {
  readonly name: string;
  readonly title: string;
  readonly isolation: string;
  readonly maxCodes: number;
  readonly neverIdle: string | null;
  /** More arguments for `up`. */
  readonly upArguments: readonly string[];
}

interface Ready {
  readonly router: string;
  readonly kubeconfig: string;
}

/** The platform, or a variant of it that differs in how its process is started. */
export function platform(variant: Variant): Platform {
  const up = async (folder: string): Promise<{ started: StartedProcess; ready: Ready }> => {
    const args = [
      'up',
      '--data',
      join(folder, 'data'),
      '--port',
      '0',
      '--internal-port',
      '0',
      '--api-port',
      '0',
    ];
    const started = startProcess(LAUNCHER, [...args, ...variant.upArguments], { cwd: folder });
    try {
      const [, json = ''] = await started.matched(/^fissium ready (\{.*\})$/m, 60_000);
      return { started, ready: JSON.parse(json) as Ready };
    } catch (error) {
      await started.stop();
      throw error;
    }
  };

  const startEmpty = async ({ folder }: StartOptions): Promise<RunningPlatform> => {
    const { started, ready } = await up(folder);
    return {
      url: `${ready.router}/${FUNCTION}`,
      spawnedAt: started.spawnedAt,
      pids: () => processTree(started.pid),
      output: started.output,
      stop: started.stop,
      async deploy(name, wasm, settings = []) {
        const code = join(folder, `${name}.wasm`);
        await writeFile(code, wasm);
        const route = ['--prefix', `/${name}`, '--method', 'GET', '--method', 'POST'];
        const create = ['function', 'create', '--name', name, '--env', 'wasm', '--code', code];
        await cli(ready, [...create, ...route, ...settings]);
        return `${ready.router}/${name}`;
      },
      async deployAll(functions) {
        await createAll(ready.kubeconfig, functions);
        return functions.map(({ name }) => `${ready.router}/${name}`);
      },
      async update(name, wasm) {
        const code = join(folder, `${name}.wasm`);
        await writeFile(code, wasm);
        await cli(ready, ['function', 'update', '--name', name, '--code', code]);
      },
    };
  };

  return {
    name: variant.name,
    title: variant.title,
    isolation: variant.isolation,
    maxCodes: variant.maxCodes,
    neverIdle: variant.neverIdle,
    find: () => {
      const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
      return Promise.resolve({ available: true, version, how: LAUNCHER });
    },
    refuses: () => null,
    startEmpty,
    async prepare(program, options) {
      const running = await startEmpty(options);
      try {
        await running.deploy(FUNCTION, readFileSync(program.file));
      } finally {
        await running.stop();
      }
    },
    // Restarted where it was prepared; else the function is deployed into it, and spawnedAt means little.
    start: (_program, options) => startEmpty(options),
  };
}

/** Runs the CLI to its end. @throws Error with what it printed */
async function cli(ready: Ready, args: readonly string[]): Promise<void> {
  const started = startProcess(LAUNCHER, args, {
    env: { ...cleanEnvironment(), KUBECONFIG: ready.kubeconfig },
  });
  const code = await started.exited;
  if (code !== 0)
    throw new Error(`fissium ${args.join(' ')} ended with ${code}:\n${started.output().slice(-2000)}`);
}

export const fissium = platform({
  name: 'fissium',
  title: 'Fissium (component engine)',
  isolation: 'a clean instance for each request: new, or reset to its first state',
  maxCodes: 10_000,
  neverIdle: null,
  upArguments: [],
});
