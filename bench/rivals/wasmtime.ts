/** `wasmtime serve`, from PATH or `bench/.tools`; never built here. */
import { execFileSync } from 'node:child_process';
import { startProcess } from '../../src/bench/processes.ts';
import { findBinary, TOOLS } from '../binaries.ts';
import { runningAt } from './listening.ts';
import type { Rival } from './rival.ts';

export const wasmtime: Rival = {
  name: 'wasmtime',
  title: 'wasmtime serve',
  isolation: 'a fresh instance for each request',
  find: () => {
    const binary = findBinary('wasmtime');
    if (binary === null) {
      const why = `no wasmtime in PATH or ${TOOLS}: cargo install wasmtime-cli --version '^48' --locked --root ${TOOLS} (bench/README.md)`;
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
