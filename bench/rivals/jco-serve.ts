/** `jco serve`, as it comes and with an instance for each request. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startProcess } from '../../src/bench/processes.ts';
import { ROOT } from '../machine.ts';
import { runningAt, untilListening } from './listening.ts';
import type { Rival } from './rival.ts';

const PACKAGE = join(ROOT, 'node_modules/@bytecodealliance/jco');
const BINARY = join(ROOT, 'node_modules/.bin/jco');

function jcoServe(name: string, title: string, isolation: string, args: readonly string[]): Rival {
  return {
    name,
    title,
    isolation,
    find: () => {
      if (!existsSync(BINARY)) {
        return Promise.resolve({ available: false, why: `no ${BINARY}: run npm install in the repository` });
      }
      const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as {
        version: string;
      };
      return Promise.resolve({ available: true, version, how: BINARY });
    },
    refuses: () => null,
    async start(program, { folder }) {
      const port = await freePort();
      // The same Node for all that run on Node.
      const started = startProcess(
        process.execPath,
        [BINARY, 'serve', '--host', '127.0.0.1', '--port', String(port), ...args, program.file],
        { cwd: folder },
      );
      try {
        await untilListening(started, port, 60_000);
      } catch (error) {
        await started.stop();
        throw error;
      }
      return runningAt(started, `http://127.0.0.1:${port}`);
    },
  };
}

export const jco = jcoServe('jco-serve', 'jco serve', 'one instance for all requests', []);

export const jcoIsolated = jcoServe(
  'jco-serve-instance',
  'jco serve --isolate-requests instance',
  'a fresh instance for each request',
  ['--isolate-requests', 'instance'],
);
