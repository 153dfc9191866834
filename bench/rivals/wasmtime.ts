/** `wasmtime serve`, from PATH or `bench/.tools`; never built here. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { startProcess } from '../processes.ts';
import { runningAt } from './listening.ts';
import type { Rival } from './rival.ts';

const TOOLS = join(import.meta.dirname, '../.tools');

/** The first file of this name in `bench/.tools` or PATH. */
export function findBinary(name: string): string | null {
  const folders = [TOOLS, join(TOOLS, 'bin'), ...(process.env['PATH'] ?? '').split(delimiter)];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

export const wasmtime: Rival = {
  name: 'wasmtime',
  title: 'wasmtime serve',
  isolation: 'a fresh instance for each request',
  find: () => {
    const binary = findBinary('wasmtime');
    if (binary === null) {
      const why = `no wasmtime in PATH or ${TOOLS}: cargo install wasmtime-cli --locked --root ${TOOLS}`;
      return Promise.resolve({ available: false, why });
    }
    const version = execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim();
    return Promise.resolve({ available: true, version, how: binary });
  },
  refuses: () => null,
  async start(program, { folder }) {
    const binary = findBinary('wasmtime') ?? 'wasmtime';
    const started = startProcess(binary, ['serve', '-Scli', '--addr', '127.0.0.1:0', program.file], {
      cwd: folder,
    });
    try {
      const [, url = ''] = await started.matched(/Serving HTTP on (http:\/\/[\d.]+:\d+)/, 60_000);
      return runningAt(started, url);
    } catch (error) {
      await started.stop();
      throw error;
    }
  },
};
