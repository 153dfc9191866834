/** Cloudflare's workerd with a JavaScript worker: isolates instead of Wasm instances. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { freePort, startProcess } from '../../src/bench/processes.ts';
import { runningAt, untilListening } from './listening.ts';
import { noPlainProgram } from './plain-programs.ts';
import type { Rival } from './rival.ts';

/** The binary itself: the package's own command is a Node script that only waits for it. */
function binary(): string | null {
  const system = `${process.platform}-${process.arch === 'x64' ? '64' : process.arch}`;
  try {
    const require = createRequire(import.meta.url);
    const path = require.resolve(`@cloudflare/workerd-${system}/bin/workerd`);
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}

const config = (port: number): string => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "worker.js", esModule = embed "worker.js")],
    compatibilityDate = "2026-01-01",
  ))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`;

export const workerd: Rival = {
  name: 'workerd',
  title: 'workerd, JavaScript',
  isolation: 'one isolate for all requests',
  find: () => {
    const path = binary();
    if (path === null) {
      return Promise.resolve({
        available: false,
        why: 'npm has installed no workerd for this system: cd bench && npm install',
      });
    }
    const version = execFileSync(path, ['--version'], { encoding: 'utf8' }).trim();
    return Promise.resolve({ available: true, version, how: path });
  },
  refuses: noPlainProgram,
  async start(_program, { folder }) {
    const port = await freePort();
    await copyFile(join(import.meta.dirname, 'workerd-hello.js'), join(folder, 'worker.js'));
    await writeFile(join(folder, 'config.capnp'), config(port));
    const started = startProcess(binary() ?? 'workerd', ['serve', 'config.capnp'], { cwd: folder });
    try {
      await untilListening(started, port, 30_000);
    } catch (error) {
      await started.stop();
      throw error;
    }
    return runningAt(started, `http://127.0.0.1:${port}`);
  },
};
