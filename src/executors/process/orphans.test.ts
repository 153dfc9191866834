import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, vi } from 'vitest';

vi.setConfig({ testTimeout: 300_000 });

const PLATFORM = fileURLToPath(new URL('./testing/lone-platform.ts', import.meta.url));
const NODE_CODE = `module.exports = async () => ({ status: 200, body: String(process.pid) });`;
// It spins once it has answered, so that nothing of its own could see that the platform is gone.
const SPINNING_CODE = `module.exports = async () => { setTimeout(() => { for (;;); }, 50); return { status: 200, body: String(process.pid) }; };`;
const PYTHON_CODE = 'import os\ndef main():\n    return str(os.getpid())\n';

/** Whether there is such a process that has not ended (a zombie has). */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe.skipIf(process.platform !== 'linux')('a platform that is killed', () => {
  it.each([
    ['a Node function', 'node-env', NODE_CODE],
    ['a Node function that spins', 'node-env', SPINNING_CODE],
    ['a Python function', 'python-env', PYTHON_CODE],
  ])('leaves no process of %s', async (_, image, code) => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-'));
    const platform = spawn(process.execPath, [PLATFORM, image, code], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = await new Promise<number>((resolve, reject) => {
      platform.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
      platform.once('close', (exitCode) => reject(new Error(`it ended with ${exitCode}`)));
    });
    expect(isRunning(pid)).toBe(true);
    platform.kill('SIGKILL');
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 20_000);
    await rm(folder, { recursive: true, force: true });
  });
});
