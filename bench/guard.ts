/**
 * The guard for CI: instantiate and answer, the component engine against jco's engine, each in a process of its own,
 * alternated. Fails where the component engine is not five times faster in the mean. Nothing absolute, so that it holds
 * on any machine; the mean, because jco's cost is in its garbage, which a median does not show.
 *
 * Usage: node bench/guard.ts [--rounds N] [--count N]
 */
import { parseArgs } from 'node:util';
import { digits, mean, median, quantile } from '../src/bench/stats.ts';
import { measureEngines } from './engines/run.ts';
import { findProgram } from './programs.ts';

const LEAST = 5;

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, count: { type: 'string', default: '2000' } },
});
const measured = await measureEngines({
  file: findProgram('hello').file,
  rounds: Number(values.rounds),
  warmUpMs: 500,
  count: Number(values.count),
});
const of = (engine: string): number[] =>
  measured.filter((m) => m.engine === engine).flatMap((m) => [...m.eachUs]);
for (const engine of ['component', 'jco']) {
  const us = of(engine);
  const rounds = measured.filter((m) => m.engine === engine).map((m) => digits(mean(m.eachUs)));
  process.stdout.write(
    `${engine.padEnd(10)} mean ${digits(mean(us))} µs (rounds: ${rounds.join(', ')}), p50 ${digits(median(us))}, p99 ${digits(quantile(us, 0.99))}, ${us.length} answers, a clean instance each\n`,
  );
}
const ratio = mean(of('jco')) / mean(of('component'));
const holds = ratio >= LEAST;
process.stdout.write(
  `${holds ? 'ok' : 'FAILED'}: the component engine is ${(Math.floor(ratio * 10) / 10).toFixed(1)} × faster in the mean than jco's (at least ${LEAST} × is wanted)\n`,
);
process.exitCode = holds ? 0 : 1;
