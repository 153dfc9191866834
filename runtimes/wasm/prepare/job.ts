/**
 * What happens to a package once: looked at, taken or refused, turned into core modules with the interruption
 * check (and, for a component, a script), and written into the cache. Runs in the prepare thread.
 */
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import type { PreparedManifest, PreparedModule } from '../engine.ts';
import {
  addInterruptionCheck,
  FISSIUM_IMPORTS,
  MEMORY_IMPORT,
  readLayout,
  RewriteDeclined,
  type Import,
} from '../rewrite/index.ts';
import { checkBounds } from './bounds.ts';
import { writeEntry, type EntryFile } from './cache.ts';
import { readComponent, withoutCustomSections } from './component-binary.ts';
import { checkImports, findHandler } from './interfaces.ts';
import { validationError } from './preview1.ts';
import { quoted, refusal } from './refusal.ts';
import { sniff, SNIFF_BYTES } from './sniff.ts';
import { ALL_STEPS, TOLD_SO, type PrepareSteps } from './steps.ts';
import { PREPARE_VERSION } from './version.ts';

export interface PrepareJob {
  /** The package's bytes, or the file that holds them. */
  readonly source: Uint8Array | string;
  /** sha256 of the package, hex. */
  readonly digest: string;
  readonly cacheDir: string;
  /** @default 'component' */
  readonly componentEngine?: ComponentEngine;
  /** Steps left out to compare. They are not part of the cache's key: such a job has a folder of its own. */
  readonly steps?: Partial<PrepareSteps>;
}

/** Which engine components go to: `component` falls back to jco's where it declines. */
export type ComponentEngine = 'component' | 'jco';

interface Prepared {
  readonly manifest: Omit<PreparedManifest, 'prepareVersion' | 'digest'>;
  readonly files: readonly EntryFile[];
}

/**
 * Prepares the package and writes its cache entry.
 * @throws FissiumError PACKAGE_REFUSED with the reason, STORAGE_FULL where the cache has no room
 */
export async function runPrepareJob(job: PrepareJob): Promise<PreparedManifest> {
  const { wasm, kind } = await load(job.source);
  const actual = createHash('sha256').update(wasm).digest('hex');
  if (actual !== job.digest) {
    throw refusal(
      `the file's sha256 is ${actual}, but ${job.digest} was announced: it changed or arrived damaged`,
    );
  }
  const steps = { ...ALL_STEPS, ...job.steps };
  const { manifest, files } =
    kind === 'core'
      ? await prepareCommand(wasm, steps)
      : await prepareComponent(wasm, steps, job.componentEngine);
  const whole = { prepareVersion: PREPARE_VERSION, digest: job.digest, ...manifest };
  await writeEntry(job.cacheDir, whole, files);
  return whole;
}

/** Looks at size and first bytes before it reads the rest. */
async function load(source: Uint8Array | string): Promise<{ wasm: Uint8Array; kind: 'core' | 'component' }> {
  if (typeof source !== 'string') {
    return { wasm: source, kind: sniff(source.subarray(0, SNIFF_BYTES), source.length) };
  }
  const file = await open(source);
  try {
    const { size } = await file.stat();
    const head = new Uint8Array(Math.min(size, SNIFF_BYTES));
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    const kind = sniff(head.subarray(0, bytesRead), size);
    return { wasm: await readFile(source), kind };
  } finally {
    await file.close();
  }
}

async function prepareCommand(wasm: Uint8Array, steps: PrepareSteps): Promise<Prepared> {
  const { linkCommand } = await import('./command.ts');
  const { snapshotCommand } = await import('./snapshot.ts');
  const begun = steps.snapshot ? await snapshotCommand(wasm) : { wasm, reason: '' };
  const { wasi, wasm: linked, reason, blocker, plan } = linkCommand(begun.wasm, steps);
  const { module, bytes, declined } = prepareModule('main', 'main.wasm', linked, steps);
  return {
    manifest: {
      engine: 'p1',
      reason: `${reason}${begun.reason}${declined}`,
      entry: '_start',
      imports: [wasi],
      modules: [module],
      resetBlocker: blocker,
      command: plan,
    },
    files: [{ name: module.file, bytes }],
  };
}

async function prepareComponent(
  wasm: Uint8Array,
  steps: PrepareSteps,
  componentEngine: ComponentEngine = 'component',
): Promise<Prepared> {
  const { imports, exports } = readComponent(wasm);
  const entry = findHandler(exports);
  checkImports(imports);
  // Commands need neither the WASI host's tables nor jco.
  const { checkForJco, tryLink } = await import('./link.ts');
  const linked =
    componentEngine === 'jco'
      ? { declined: 'the platform was told to use it' }
      : await tryLink(wasm, entry, steps);
  if (!('declined' in linked)) {
    const prepared = linked.cores.map(({ name, bytes }) => prepareCore(name, `${name}.wasm`, bytes, steps));
    return {
      manifest: {
        engine: 'component',
        reason: `a component that exports ${entry}${mergeReason(linked.mergeBlocker)}${linked.startReason}${resetReason(linked.resetBlocker)}${prepared.map(({ declined }) => declined).join('')}`,
        entry,
        imports,
        modules: prepared.map(({ module }) => module),
        plan: linked.plan.name,
        resetBlocker: linked.resetBlocker,
        mergeBlocker: linked.mergeBlocker,
      },
      files: [...prepared.map(({ module, bytes }) => ({ name: module.file, bytes })), linked.plan],
    };
  }
  checkForJco(wasm);
  const { transpileComponent } = await import('./transpile.ts');
  const { script, cores } = await transpileComponent(withoutCustomSections(wasm), entry);
  for (const { bytes } of cores) checkReserved(bytes);
  const prepared = cores.map(({ name, bytes }) => prepareCore(name, name, bytes, steps));
  const why = `run by jco's engine because ${linked.declined}`;
  return {
    manifest: {
      engine: 'jco',
      reason: `a component that exports ${entry}, ${why}${prepared.map(({ declined }) => declined).join('')}`,
      entry,
      imports,
      modules: prepared.map(({ module }) => module),
      script: script.name,
    },
    files: [...prepared.map(({ module, bytes }) => ({ name: module.file, bytes })), script],
  };
}

function mergeReason(blocker: string | null): string {
  return blocker === null ? '' : `, its core modules apart because ${blocker}`;
}

function resetReason(blocker: string | null): string {
  if (blocker === null) return ', its instances reset in place between requests';
  return `, a new instance for each request because it cannot be reset (${blocker})`;
}

function prepareCore(
  name: string,
  file: string,
  bytes: Uint8Array,
  steps: PrepareSteps,
): ReturnType<typeof prepareModule> {
  const problem = validationError(bytes);
  if (problem !== null) throw refusal(`a core module of the component is not valid: ${problem}`);
  checkBounds(bytes, 'a core module of the component');
  return prepareModule(name, file, bytes, steps);
}

/** Writes the check into one core module; where the rewriter declines, the module stays as it is and says so. */
function prepareModule(
  name: string,
  file: string,
  wasm: Uint8Array,
  { interruption }: PrepareSteps,
): { module: PreparedModule; bytes: Uint8Array; declined: string } {
  const memory = memoryOf(wasm);
  const unchecked = (reason: string): ReturnType<typeof prepareModule> => ({
    module: { name, file, bytes: wasm.length, ...memory, interruptible: false },
    bytes: wasm,
    declined: `; ${quoted(name)} runs without the interruption check: ${reason}`,
  });
  if (!interruption) return unchecked(TOLD_SO);
  try {
    const bytes = addInterruptionCheck(wasm);
    const problem = validationError(bytes);
    if (problem !== null)
      throw new RewriteDeclined('malformed', `the rewritten module is not valid (${problem})`, -1);
    return {
      module: { name, file, bytes: bytes.length, ...memory, interruptible: true },
      bytes,
      declined: '',
    };
  } catch (error) {
    if (!(error instanceof RewriteDeclined)) throw error;
    return unchecked(error.message);
  }
}

/** All memories that a module defines, added up, or the one that the host makes for it; nothing where there is none, or where it cannot be read. */
function memoryOf(
  wasm: Uint8Array,
): Pick<PreparedModule, 'initialPages' | 'importsMemory' | 'growsUnchecked'> {
  try {
    const { memories, imports } = readLayout(wasm);
    const ours = imports.find(({ module, name }) => module === FISSIUM_IMPORTS && name === MEMORY_IMPORT);
    if (ours?.memory) return { initialPages: ours.memory.min, importsMemory: true };
    if (memories.length === 0) return {};
    return {
      initialPages: memories.reduce((sum, { min }) => sum + min, 0),
      ...(memories.some(({ wide }) => wide) ? { growsUnchecked: true } : {}),
    };
  } catch (error) {
    if (error instanceof RewriteDeclined) return {};
    throw error;
  }
}

/** A core module that asked for the platform's own imports would be given the thread's control block. */
function checkReserved(wasm: Uint8Array): void {
  let imports: readonly Import[];
  try {
    ({ imports } = readLayout(wasm));
  } catch (error) {
    if (!(error instanceof RewriteDeclined)) throw error;
    throw refusal(`a core module of the component cannot be read: ${error.message}`, error);
  }
  if (imports.some(({ module }) => module === FISSIUM_IMPORTS)) {
    throw refusal(
      `a core module of the component imports from ${quoted(FISSIUM_IMPORTS)}, a name that is the platform's own`,
    );
  }
}
