/** Plain node:http, without any guest. */
import { join } from 'node:path';
import { startProcess } from '../../src/bench/processes.ts';
import { runningAt } from './listening.ts';
import { noPlainProgram } from './plain-programs.ts';
import type { Rival } from './rival.ts';

export const nodeHttp: Rival = {
  name: 'node-http',
  title: 'node:http, no guest (the ceiling)',
  isolation: 'none',
  find: () => Promise.resolve({ available: true, version: process.versions.node, how: process.execPath }),
  refuses: noPlainProgram,
  async start(_program, { folder }) {
    const started = startProcess(process.execPath, [join(import.meta.dirname, 'node-http.server.ts')], {
      cwd: folder,
    });
    try {
      const [, port = ''] = await started.matched(/listening on (\d+)/, 30_000);
      return runningAt(started, `http://127.0.0.1:${port}`);
    } catch (error) {
      await started.stop();
      throw error;
    }
  },
};
