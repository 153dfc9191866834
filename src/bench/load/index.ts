/** Puts load on an address with the generator, which runs in a process of its own. */
import { execFile } from 'node:child_process';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { cleanEnvironment } from '../processes.ts';
import type { Job, LoadResult, Target } from './job.ts';

export type { Job, LoadResult, Target } from './job.ts';

const run = promisify(execFile);

/** Compiled in the published package, where Node strips no types. */
const GENERATOR = join(import.meta.dirname, `generator${extname(import.meta.filename)}`);

/** A generator that uses more of a core than this measures itself. */
export const GENERATOR_LIMIT = 0.85;

const LIMIT_MS = 300_000;

/**
 * Runs the job in a process of its own, which an abort ends.
 * @throws Error where the generator ends without a result: nothing listens, or it ran out of time
 */
export async function load(job: Job, signal?: AbortSignal): Promise<LoadResult> {
  const { stdout } = await run(process.execPath, [GENERATOR, JSON.stringify(job)], {
    env: cleanEnvironment(),
    maxBuffer: 16 * 2 ** 20,
    timeout: LIMIT_MS + ('durationMs' in job ? job.durationMs : job.limitMs),
    ...(signal === undefined ? {} : { signal }),
  });
  return JSON.parse(stdout) as LoadResult;
}

export function get(url: string): Target {
  return { url, method: 'GET', bodyBytes: 0 };
}

/** What makes a figure of this run doubtful, in words. */
export function doubtsOf(result: LoadResult): string[] {
  const doubts: string[] = [];
  const failed = Object.entries(result.errors);
  if (failed.length > 0) {
    const count = failed.reduce((sum, [, n]) => sum + n, 0);
    const share = (100 * count) / (count + result.requests);
    doubts.push(
      `${count} of ${count + result.requests} requests failed (${share.toFixed(1)} %: ${failed.map(([kind, n]) => `${kind} × ${n}`).join(', ')})`,
    );
  }
  if (result.generatorCpu > GENERATOR_LIMIT) {
    doubts.push(
      `the load generator used ${Math.round(result.generatorCpu * 100)} % of a core: the server may be faster`,
    );
  }
  if (result.lag.p50 > result.latency.p50 / 4 && result.lag.p50 > 0.2) {
    doubts.push(
      `${result.lag.p50.toFixed(2)} ms of this latency are the load generator's own delay in sending, in the median`,
    );
  }
  return doubts;
}
