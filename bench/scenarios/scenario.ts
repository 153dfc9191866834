/** The shape of a scenario, and what all of them share: fresh processes, alternated order, results collected. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Collector, Subject } from '../../src/bench/collector.ts';
import type { ScenarioResult } from '../../src/bench/model.ts';
import type { ClusterOptions } from '../pool-cluster.ts';
import { findProgram, fingerprint, type Program } from '../programs.ts';
import { isPlatform, type Rival, type Running, type RunningPlatform } from '../rivals/rival.ts';
import type { PreparedPrograms } from './prepared.ts';

export interface ScenarioContext {
  /** The rivals that were found and asked for; Fissium is one of them. */
  readonly rivals: readonly Rival[];
  /** What the user asked for by `--function`; undefined: the scenario's own program. */
  readonly program: Program | undefined;
  readonly quick: boolean;
  readonly prepared: PreparedPrograms;
  /** For the scenario that needs a cluster. */
  readonly cluster: ClusterOptions;
  /** Progress, for a person who waits. */
  readonly say: (line: string) => void;
}

export interface Scenario extends Subject {
  run(context: ScenarioContext): Promise<ScenarioResult>;
}

/** Every rival in every round; each second round in the opposite order, so that no place in it is anybody's own. */
export function* alternated(
  rivals: readonly Rival[],
  rounds: number,
): Generator<{ round: number; rival: Rival }> {
  for (let round = 0; round < rounds; round++) {
    for (const rival of round % 2 === 0 ? rivals : rivals.toReversed()) yield { round, rival };
  }
}

export const ALTERNATED =
  'every rival once in each round, in a fresh process; each second round in the opposite order';

/** A folder that is gone afterwards. */
export async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'fissium-bench-'));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A fresh process with the program, stopped afterwards. */
export function withRunning<T>(
  { prepared }: Pick<ScenarioContext, 'prepared'>,
  rival: Rival,
  program: Program,
  body: (running: Running) => Promise<T>,
  options: { readonly noLimits?: boolean } = {},
): Promise<T> {
  return inFolder(async (folder) => {
    await prepared.into(folder, rival, program);
    const running = await rival.start(program, { folder, ...options });
    try {
      return await body(running);
    } finally {
      await running.stop();
    }
  });
}

/** A fresh platform without any function, stopped afterwards; null where the rival is none. */
export async function withEmpty<T>(
  rival: Rival,
  body: (running: RunningPlatform) => Promise<T>,
): Promise<T | null> {
  if (!isPlatform(rival)) return null;
  return inFolder(async (folder) => {
    const running = await rival.startEmpty({ folder });
    try {
      return await body(running);
    } finally {
      await running.stop();
    }
  });
}

/** The rivals that run the program; the others are noted as skipped. */
export function able(context: ScenarioContext, program: Program, collector: Collector): Rival[] {
  return context.rivals.filter((rival) => {
    const why = rival.refuses(program);
    if (why !== null) collector.skip(rival.name, program.title, why);
    return why === null;
  });
}

const MAX_FAILURES = 2;

/** Runs one rival's part; what goes wrong is said in the result and does not end the run. */
export async function attempt(
  context: ScenarioContext,
  collector: Collector,
  rival: Rival,
  what: string,
  body: () => Promise<void>,
): Promise<void> {
  const failures = collector.failures.get(rival.name) ?? 0;
  // Once may be chance; then it would only cost its time limit again in each round.
  if (failures >= MAX_FAILURES) return;
  context.say(`${rival.name}: ${what}`);
  try {
    await body();
  } catch (error) {
    const why =
      error instanceof Error
        ? error.message.split('\n').slice(0, 6).join(' | ').slice(0, 600)
        : String(error);
    collector.failures.set(rival.name, failures + 1);
    const last = failures + 1 === MAX_FAILURES ? '; not tried again in this scenario' : '';
    collector.skip(rival.name, what, `failed: ${why}${last}`);
    context.say(`  failed: ${why}`);
  }
}

export function describeProgram(program: Program): string {
  return `${program.title} (${fingerprint(program)})`;
}

/**
 * The path to ask for on a program: the user's own is asked at its root.
 */
export function helloPath(program: Program): string {
  return program.kind === 'own' ? '/' : '/hello';
}

/** The program that a scenario needs for its paths; the user's own cannot stand in for it. */
export function torture(context: ScenarioContext, collector: Collector): Program {
  if (context.program && context.program.kind !== 'torture') {
    collector.notes.push(
      '--function has no effect here: the scenario asks for paths that only `torture` has.',
    );
  }
  return findProgram('torture');
}
