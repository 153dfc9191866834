import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { RunResult } from '../src/bench/model.ts';
import { cleanEnvironment } from '../src/bench/processes.ts';
import { VARIANTS } from './pool-functions.ts';

const run = promisify(execFile);

async function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const done = await run(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
      env: cleanEnvironment(),
    });
    return { code: 0, ...done };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

describe('npm run bench', () => {
  it('lists what there is', async () => {
    const { code, stdout } = await bench('--help');
    expect(code).toBe(0);
    for (const name of ['coldstart', 'throughput', 'pools', 'wasmtime', 'jco-serve', 'hello-js'])
      expect(stdout).toContain(name);
  });

  it.for([
    [['nosuch'], 'there is no scenario nosuch'],
    [['--against', 'nosuch'], 'there is no rival nosuch'],
    [['--function', 'nosuch.wasm'], 'no such program or file'],
    [['--function', 'package.json'], 'is neither .wasm nor .js'],
    [['pools', '--runs', 'nosuch'], 'there are: wasm-poolmgr, '],
    [['--nosuch'], "Unknown option '--nosuch'"],
  ] as const)('refuses %j', async ([args, why]) => {
    const { code, stderr } = await bench(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(why);
  });

  it('says why what needs a cluster does not run without one', { timeout: 60_000 }, async () => {
    const { code, stdout } = await bench('pools', '--quick', '--against', 'none');
    expect(code).toBe(0);
    for (const { name } of VARIANTS)
      expect(stdout).toContain(`not measured: fissium, ${name}: needs a cluster: --kubeconfig FILE`);
  });

  it('measures the real platform and writes text, JSON and page', { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-bench-test-'));
    try {
      const [json, html] = [join(folder, 'run.json'), join(folder, 'run.html')];
      const { code, stdout, stderr } = await bench(
        'deploy',
        '--quick',
        '--against',
        'node-http',
        '--json',
        json,
        '--html',
        html,
      );
      expect(code, stderr).toBe(0);
      const result = JSON.parse(await readFile(json, 'utf8')) as RunResult;
      const [scenario] = result.scenarios;
      expect(scenario?.series).toHaveLength(1);
      expect(scenario?.series[0]).toMatchObject({ rival: 'fissium', metric: 'edit to answer', unit: 'ms' });
      expect(scenario?.series[0]?.raw).toHaveLength(2);
      expect(scenario?.notRun).toContainEqual(expect.objectContaining({ rival: 'node-http' }));
      expect(stdout).toContain('edit to answer');
      expect(await readFile(html, 'utf8')).toContain('Edit to answer');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
