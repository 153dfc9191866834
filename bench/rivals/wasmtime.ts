/** `wasmtime serve`, from PATH or `bench/.tools`; never built here. */
import { execFileSync } from 'node:child_process';
import { startProcess } from '../../src/bench/processes.ts';
import { findBinary, TOOLS } from '../binaries.ts';
import { runningAt } from './listening.ts';
import type { Rival } from './rival.ts';

/**
 * By default it holds 1,000 connections and has room for 1,000 core instances, of which a component has several: 500
 * requests at once do not fit. Room for 20,000 linear memories is more than the address space has.
 */
const NO_LIMITS = [
  '--max-concurrent-connections=20000',
  '--max-concurrent-requests=20000',
  '-Opooling-total-component-instances=5000',
  '-Opooling-total-core-instances=25000',
  '-Opooling-total-memories=5000',
  '-Opooling-total-tables=25000',
  '-Opooling-total-stacks=5000',
];

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
  async start(program, { folder, noLimits = false }) {
    const binary = findBinary('wasmtime') ?? 'wasmtime';
    const limits = noLimits ? NO_LIMITS : [];
    const started = startProcess(
      binary,
      ['serve', '-Scli', ...limits, '--addr', '127.0.0.1:0', program.file],
      { cwd: folder },
    );
    try {
      const [, url = ''] = await started.matched(/Serving HTTP on (http:\/\/[\d.]+:\d+)/, 60_000);
      return runningAt(started, url);
    } catch (error) {
      await started.stop();
      throw error;
    }
  },
};
