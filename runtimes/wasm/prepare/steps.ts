/** What prepare does to core modules, step by step: each can be left out, to see what it is worth, or to do without it. */
import type { ResetSteps } from '../rewrite/index.ts';

export const REWRITE_STEPS = [
  'merge',
  'snapshot',
  'reset',
  'write-check',
  'virtual-memory',
  'memory-import',
  'interruption',
] as const;
export type RewriteStep = (typeof REWRITE_STEPS)[number];

/** Each of the steps, and those of {@link ResetSteps}, taken or left out; its window goes by the kind of package. */
export interface PrepareSteps extends Required<Omit<ResetSteps, 'window'>> {
  readonly merge: boolean;
  /** Begin where the package's initialiser left it, instead of running that. */
  readonly snapshot: boolean;
  /** Without it each request gets a new instance. */
  readonly reset: boolean;
  /** Without it a guest is ended only with its whole thread, and runs in executor threads. */
  readonly interruption: boolean;
}

/** Why a step was not taken, for the Package's status. */
export const TOLD_SO = 'the platform was told so';

export const ALL_STEPS: PrepareSteps = stepsWithout([]);

export function stepsWithout(without: readonly RewriteStep[]): PrepareSteps {
  const left = new Set(without);
  return {
    merge: !left.has('merge'),
    snapshot: !left.has('snapshot'),
    reset: !left.has('reset'),
    writeCheck: !left.has('write-check'),
    virtualMemory: !left.has('virtual-memory'),
    memoryImport: !left.has('memory-import'),
    interruption: !left.has('interruption'),
  };
}
