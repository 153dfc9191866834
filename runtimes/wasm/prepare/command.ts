/** What a WASI preview 1 command is made into: one core module, which resets itself between requests where it can. */
import type { CommandPlan } from '../engine.ts';
import {
  importMemory,
  makeResettable,
  PAGE_BYTES,
  RewriteDeclined,
  type Resettable,
} from '../rewrite/index.ts';
import { coalesceData } from '../rewrite/coalesce-data.ts';
import { ModuleEdit } from '../rewrite/module-edit.ts';
import { guessWindow } from '../rewrite/reset.ts';
import { ALL_STEPS, TOLD_SO, type PrepareSteps } from './steps.ts';
import { inspectCommand, UNSTABLE, validationError, type PREVIEW1 } from './preview1.ts';

export interface LinkedCommand {
  /** The module name under which it imports WASI. */
  readonly wasi: typeof PREVIEW1 | typeof UNSTABLE;
  readonly wasm: Uint8Array;
  /** How it is run, for the Package's status. */
  readonly reason: string;
  /** Why each request needs a new instance; null where instances are reset in place. */
  readonly blocker: string | null;
  readonly plan: CommandPlan;
}

/**
 * A window is worth its check on every write only where it spares a reset this much: without one, a reset zeroes
 * all of the memory.
 */
const WORTH_A_WINDOW_BYTES = 256 * 1024;

/** Commands have their buffers on the stack, and C's allocator begins with two pages beyond the first memory. */
const WINDOW = { stackBytes: 64 * 1024, grownBytes: 4 * PAGE_BYTES };

const OURS = 'a WASI preview 1 command, run as a CGI program by our own host';
const WASMERS = 'a command for the WASI of 2019 (wasi_unstable), run as a CGI program over @wasmer/wasi';

/**
 * The command as it is run.
 * @throws FissiumError PACKAGE_REFUSED where it is none that can be served
 */
export function linkCommand(wasm: Uint8Array, steps: PrepareSteps = ALL_STEPS): LinkedCommand {
  const { wasi } = inspectCommand(wasm);
  if (wasi === UNSTABLE) {
    const blocker = '@wasmer/wasi keeps the state of a run';
    return { wasi, reason: `${WASMERS}, a new instance for each request`, blocker, ...notReset(wasm, steps) };
  }
  const made = steps.reset ? resettable(wasm, steps) : { blocker: TOLD_SO };
  if ('blocker' in made) {
    const { blocker } = made;
    const reason = `${OURS}, a new instance for each request because it cannot be reset (${blocker})`;
    return { wasi, reason, blocker, ...notReset(wasm, steps) };
  }
  const reason = `${OURS}, its instances reset in place between requests`;
  const { window, memory } = made;
  return { wasi, wasm: made.wasm, reason, blocker: null, plan: { window, memory } };
}

/** Its memory is the host's where it may be, which then uses it again. */
function notReset(wasm: Uint8Array, { memoryImport }: PrepareSteps): Pick<LinkedCommand, 'wasm' | 'plan'> {
  const made = memoryImport ? importMemory(wasm) : null;
  if (!made || validationError(made.wasm) !== null) return { wasm, plan: { window: null, memory: null } };
  return { wasm: made.wasm, plan: { window: null, memory: made.memory } };
}

function resettable(wasm: Uint8Array, steps: PrepareSteps): Resettable | { readonly blocker: string } {
  try {
    const joined = coalesceData(wasm);
    const { from } = guessWindow(new ModuleEdit(joined), WINDOW);
    const writeCheck = steps.writeCheck && from >= WORTH_A_WINDOW_BYTES;
    const made = makeResettable(joined, { ...steps, writeCheck, window: WINDOW });
    if ('blocker' in made || validationError(made.wasm) === null) return made;
    return { blocker: 'rewriting it made it invalid' };
  } catch (error) {
    if (error instanceof RewriteDeclined) return { blocker: error.message };
    throw error;
  }
}
