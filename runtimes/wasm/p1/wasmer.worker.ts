/** The only place that knows @wasmer/wasi. */
import { init, WASI } from '@wasmer/wasi';

/**
 * `(module (import "guest" "memory" (memory 0)) (import "wasi_snapshot_preview1" "sched_yield" (func (result
 * i32))) (export "memory" (memory 0)))`: what @wasmer/wasi is shown instead of the guest, since it needs only
 * the guest's memory and reads no module with the imports and types that guests may have.
 */
const STAND_IN = Uint8Array.from(
  Buffer.from(
    '0061736d010000000105016000017f023602056775657374066d656d6f727902000016776173695f736e6170' +
      '73686f745f70726576696577310b73636865645f7969656c640000070a01066d656d6f72790200',
    'hex',
  ),
);

/**
 * What @wasmer/wasi answers. The rest is the same for every command: in @wasmer/wasi it would hold the thread, keep
 * all output, or as many random bytes as a guest names, in a memory that all guests of the thread share, or end in a
 * JavaScript frame below which nothing can be suspended.
 */
const FUNCTIONS = ['args_get', 'args_sizes_get', 'environ_get', 'environ_sizes_get'] as const;

export interface WasmerRun {
  /** Functions of preview 1, by name. */
  readonly imports: Record<string, (...args: number[]) => number>;
  /** Says which memory the functions work on; before the guest calls any. */
  attach(memory: WebAssembly.Memory): void;
  /** Frees what the run holds in @wasmer/wasi's own memory. */
  free(): void;
}

let standIn: WebAssembly.Module | null = null;

/** Loads @wasmer/wasi, once for the thread. */
export async function loadWasmer(): Promise<void> {
  await init();
  standIn ??= new WebAssembly.Module(STAND_IN);
}

export function wasmerRun(args: readonly string[], environment: ReadonlyMap<string, string>): WasmerRun {
  if (!standIn) throw new Error('loadWasmer was not awaited');
  const module = standIn;
  const wasi = new WASI({ args: [...args], env: Object.fromEntries(environment), preopens: {} });
  const imports = wasi.getImports(module) as { wasi_snapshot_preview1: WasmerRun['imports'] };
  const all = imports.wasi_snapshot_preview1;
  return {
    imports: Object.fromEntries(
      FUNCTIONS.flatMap((name) => {
        const call = all[name];
        return call ? [[name, call] as const] : [];
      }),
    ),
    attach: (memory) => {
      const instance = new WebAssembly.Instance(module, { ...imports, guest: { memory } });
      wasi.instantiate(instance, undefined);
    },
    free: () => wasi.free(),
  };
}
