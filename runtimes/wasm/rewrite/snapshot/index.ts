/**
 * Start-up snapshot (after Wizer): what a module does before its first request is done once, at prepare time. The
 * initialiser runs in a thread of its own; the memory and the globals that it leaves become the module's first
 * ones, and the initialiser goes. An instance of the result is what an instance of the module is once its
 * initialiser has run, as long as that depends on nothing outside of the module: so an initialiser that calls the
 * host in any way (random numbers, clocks, environment, files, secrets) gives no snapshot.
 */
import { RewriteDeclined } from '../declined.ts';
import { makeCapture } from './capture.ts';
import { SnapshotDeclined } from './declined.ts';
import { runInThread } from './thread.ts';
import { writeSnapshot } from './write.ts';

/** Host functions that an initialiser may call: what they answer, always and everywhere. */
export type Harmless = ReadonlyMap<string, number>;

export interface SnapshotOptions {
  /** Exports to call, in this order, behind the start function; those that the module does not have are passed over. */
  readonly initialisers: readonly string[];
  /** By `module name`. @default none */
  readonly harmless?: Harmless;
  /** How the host function behind an import is called in a reason. @default `module name` */
  readonly describe?: (module: string, name: string) => string;
  /** How long the initialiser may take, its thread's start included, ms. @default 3000 */
  readonly timeoutMs?: number;
  /** What may be in memory that is not zero, bytes. @default 16 MiB */
  readonly maxBytes?: number;
}

export type SnapshotOutcome =
  /** Nothing runs before the first request. */
  | { readonly kind: 'nothing' }
  /** The module has to begin as it did. */
  | { readonly kind: 'declined'; readonly reason: string }
  | {
      readonly kind: 'taken';
      /** Without a start function, and without the exports that were called. */
      readonly wasm: Uint8Array;
      /** What it holds in data segments that the initialiser's result is made of. */
      readonly bytes: number;
    };

const TIMEOUT_MS = 3000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Takes the snapshot of a valid module, if it can have one. The initialiser is the guest's: it may do anything. */
export async function takeSnapshot(wasm: Uint8Array, options: SnapshotOptions): Promise<SnapshotOutcome> {
  try {
    const capture = makeCapture(wasm, options.initialisers);
    if (!capture) return { kind: 'nothing' };
    const captured = await runInThread(capture, {
      harmless: options.harmless ?? new Map(),
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      maxBytes: options.maxBytes ?? MAX_BYTES,
      describe: options.describe ?? ((module, name) => `${module} ${name}`),
    });
    const result = writeSnapshot(wasm, captured, options.initialisers);
    if (!WebAssembly.validate(result as BufferSource)) {
      throw new SnapshotDeclined('what would be written is not a valid module');
    }
    return { kind: 'taken', wasm: result, bytes: captured.bytes.length };
  } catch (error) {
    if (error instanceof SnapshotDeclined || error instanceof RewriteDeclined) {
      return { kind: 'declined', reason: error.message };
    }
    throw error;
  }
}
