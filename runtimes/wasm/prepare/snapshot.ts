/** What a package does before its first request, done once here: see `rewrite/snapshot/`. */
import type { LinkPlan } from '../component/index.ts';
import { takeSnapshot, type SnapshotOutcome } from '../rewrite/snapshot/index.ts';
import { checkBounds } from './bounds.ts';
import { inspectCommand, PREVIEW1, validationError } from './preview1.ts';

/** What comes of it, with what to say about it in the Package's status; '' where nothing runs before the first request. */
export interface BegunComponent {
  readonly plan: LinkPlan;
  readonly cores: readonly Uint8Array[];
  readonly reason: string;
}

/** Wizer's names for what is to run at build time: a hint, so nobody calls them in a request. */
const WIZER = ['wizer.initialize', 'wizer-initialize'];
/** What gives the same answer to everyone at any time: success. */
const HARMLESS = new Map([[`${PREVIEW1} sched_yield`, 0]]);

/** A component whose core modules are one begins where its initialiser left it, if it can. */
export async function snapshotComponent(
  plan: LinkPlan,
  cores: readonly Uint8Array[],
): Promise<BegunComponent> {
  const { start, ...begun } = plan;
  const [core, ...others] = cores;
  const [only, ...more] = plan.instantiations;
  const asItIs = { plan, cores, reason: '' };
  if (!core || !only || others.length + more.length > 0 || validationError(core) !== null) return asItIs;
  checkBounds(core, 'a core module of the component');
  const outcome = await takeSnapshot(core, {
    initialisers: start?.from === 'export' ? [start.name] : [],
    describe: (module, name) => describeImport(plan, module, name),
  });
  if (outcome.kind !== 'taken') return { ...asItIs, reason: reasonOf(outcome) };
  return {
    plan: { ...begun, modules: [{ length: outcome.wasm.length }] },
    cores: [outcome.wasm],
    reason: reasonOf(outcome),
  };
}

/**
 * A command with a start function, or with an export of Wizer's, begins where these left it, if it can.
 * @throws FissiumError PACKAGE_REFUSED where it is no command that can be served
 */
export async function snapshotCommand(wasm: Uint8Array): Promise<{ wasm: Uint8Array; reason: string }> {
  inspectCommand(wasm);
  const outcome = await takeSnapshot(wasm, { initialisers: WIZER, harmless: HARMLESS });
  return { wasm: outcome.kind === 'taken' ? outcome.wasm : wasm, reason: reasonOf(outcome) };
}

function describeImport(plan: LinkPlan, module: string, name: string): string {
  const wanted = plan.instantiations[0]?.imports.find((item) => item.module === module && item.name === name);
  const host = wanted?.source.from === 'trampoline' ? plan.trampolines[wanted.source.index] : undefined;
  if (host?.kind === 'lower') return `${host.interface} ${host.name}`;
  return host ? 'functions of handles' : `${module} ${name}`;
}

function reasonOf(outcome: SnapshotOutcome): string {
  switch (outcome.kind) {
    case 'nothing':
      return '';
    case 'taken':
      return `, begun from a snapshot of its initialised state (${Math.ceil(outcome.bytes / 1024)} KiB)`;
    case 'declined':
      return `, initialised anew each time because no snapshot could be taken (${outcome.reason})`;
  }
}
