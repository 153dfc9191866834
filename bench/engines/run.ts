/** Runs `measure.ts` in a fresh process for each engine and round, the order alternated. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cleanEnvironment } from '../../src/bench/processes.ts';
import type { EngineMeasurement } from './measure.ts';

const run = promisify(execFile);

export interface EngineRun {
  readonly file: string;
  readonly rounds: number;
  /** V8 needs some thousands of calls to have all of it compiled. */
  readonly warmUpMs: number;
  readonly count: number;
  /** Accept any answer: the user's own function. */
  readonly anyBody?: boolean;
}

/** The measurements in the order in which they were taken. @throws Error where an engine does not run the component */
export async function measureEngines(options: EngineRun): Promise<EngineMeasurement[]> {
  const measured: EngineMeasurement[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const order = round % 2 === 0 ? (['component', 'jco'] as const) : (['jco', 'component'] as const);
    for (const engine of order) {
      const args = [
        join(import.meta.dirname, 'measure.ts'),
        engine,
        options.file,
        String(options.warmUpMs),
        String(options.count),
      ];
      const { stdout } = await run(process.execPath, args, {
        env: { ...cleanEnvironment(), ...(options.anyBody === true ? { FISSIUM_BENCH_ANY_BODY: '1' } : {}) },
        maxBuffer: 64 * 2 ** 20,
        timeout: 120_000,
      });
      measured.push(JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as EngineMeasurement);
    }
  }
  return measured;
}
