/** wrk, beside our own load generator as a check on it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findBinary } from './binaries.ts';

const run = promisify(execFile);

/** Two generators that differ by more than this do not agree. */
const AGREES_WITHIN = 0.25;

/** Answers per second by wrk, one thread; null where it is not installed, or got answers that were no success. */
export async function wrk(url: string, connections: number, seconds: number): Promise<number | null> {
  const binary = findBinary('wrk');
  if (binary === null) return null;
  const { stdout } = await run(
    binary,
    ['-t1', `-c${connections}`, `-d${Math.max(1, Math.floor(seconds))}s`, url],
    { timeout: 120_000 },
  );
  return parseWrk(stdout);
}

/** What wrk printed. It counts answers of 3xx and more apart, and says nothing of them where there are none. */
export function parseWrk(stdout: string): number | null {
  if (/Non-2xx or 3xx responses: [1-9]/.test(stdout)) return null;
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? Number.NaN);
  return Number.isFinite(rate) ? rate : null;
}

/** In words, where the two counts are too far from each other; else null. */
export function disagreement(byWrk: number, ours: number): string | null {
  if (Math.abs(byWrk - ours) <= AGREES_WITHIN * Math.max(byWrk, ours)) return null;
  return `wrk counted ${Math.round(byWrk)} answers per second, our generator ${Math.round(ours)}`;
}
