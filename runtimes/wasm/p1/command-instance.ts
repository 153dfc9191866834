/** One instance of a command. Unless something stands against it, it serves one request after another, reset between them. */
import { FissiumError } from '../../../src/errors.ts';
import type { InterruptControl } from '../engine.ts';
import { Lifecycle, pagesOf, type MemoryShape, type Need, type PooledInstance } from '../pool/index.ts';
import { threadMemory } from '../pool/thread.ts';
import {
  CONTROL_IMPORT,
  FISSIUM_IMPORTS,
  MEMORY_IMPORT,
  RESET_EXPORT,
  YIELD_IMPORT,
  type WantedMemory,
} from '../rewrite/index.ts';
import { GuestTrap } from '../wasi/index.ts';
import type { CommandGuest, PREVIEW1, UNSTABLE } from './guest.ts';
import { GuestMemory, type AddressRange } from './guest-memory.ts';
import { commandImports } from './imports.ts';
import type { Invocation } from './invocation.ts';

/** What all instances of a function share. */
export interface CommandLinkage {
  readonly module: WebAssembly.Module;
  readonly dialect: typeof PREVIEW1 | typeof UNSTABLE;
  /** Whether it can be reset; then `window` is what a reset cleans without being told more, null for all. */
  readonly resets: boolean;
  readonly window: AddressRange | null;
  /** The memory that the host makes for each; null where the module has its own, or none. */
  readonly memory: WantedMemory | null;
  /** Pages that it may have. */
  readonly memoryPages: number;
  /** What a memory of the module's own takes. */
  readonly ownMemories: Need;
}

/** What a new instance takes of the thread's memory. */
export function needOf({ memory, ownMemories }: CommandLinkage): Need {
  return memory ? { memories: 1, pages: memory.initialPages } : ownMemories;
}

/** Functions of @wasmer/wasi, linked instead of our own. */
export interface LinkedElsewhere {
  readonly imports: Readonly<Record<string, (...args: number[]) => number>>;
  /** Says which memory they work on; before the guest calls any. */
  attach(memory: WebAssembly.Memory): void;
}

/**
 * An instance is reset only up to this much memory more than it began with: one request that took a lot must
 * not make the function hold it.
 */
const KEPT_GROWTH_BYTES = 16 * 1024 * 1024;

export class CommandInstance implements PooledInstance, CommandGuest {
  readonly memory: GuestMemory;
  readonly dialect: CommandLinkage['dialect'];
  /** For reports of failures; null where the module has no memory. */
  readonly wasmMemory: WebAssembly.Memory | null;
  readonly #control: Int32Array;
  readonly #lifecycle = new Lifecycle();
  readonly #start: () => Promise<unknown>;
  /** Undefined where there is nothing to clean, null where the instance cannot be reset. */
  readonly #reset: ((hostWroteOutside: number) => void) | null | undefined;
  readonly #firstBytes: number;
  readonly #linkage: CommandLinkage;
  #run: Invocation | null;

  /**
   * Instantiates; runs a start function, for `run`, since it may call out. Null where an instance is made ahead
   * of any request: only for modules that can be reset, which have no start function. What it needs was taken from
   * the thread's memory before ({@link needOf}), and is given back where this throws.
   */
  constructor(
    linkage: CommandLinkage,
    run: Invocation | null,
    control: InterruptControl,
    elsewhere?: LinkedElsewhere,
  ) {
    const { dialect, resets, window } = linkage;
    this.#linkage = linkage;
    this.dialect = dialect;
    this.memory = new GuestMemory(window);
    this.#control = new Int32Array(control.memory.buffer, 0, 1);
    this.#run = run;
    const { exports } = this.#instantiate(control, elsewhere);
    const { memory, _start: start } = exports;
    if (typeof start !== 'function') throw new FissiumError('INTERNAL', 'the module has lost its _start');
    this.wasmMemory = memory instanceof WebAssembly.Memory ? memory : null;
    if (this.wasmMemory) {
      this.memory.attach(this.wasmMemory);
      elsewhere?.attach(this.wasmMemory);
    }
    this.#start = WebAssembly.promising(start as () => void) as () => Promise<unknown>;
    this.#reset = resets ? (exports[RESET_EXPORT] as ((hostWroteOutside: number) => void) | undefined) : null;
    this.#firstBytes = this.memoryBytes;
  }

  #instantiate(control: InterruptControl, elsewhere: LinkedElsewhere | undefined): WebAssembly.Instance {
    const { module, dialect, memory: wanted } = this.#linkage;
    const ours: WebAssembly.ModuleImports = {
      [CONTROL_IMPORT]: control.memory,
      [YIELD_IMPORT]: control.yield,
    };
    const made = wanted ? threadMemory.memory(this.#shape(wanted)) : null;
    if (made) ours[MEMORY_IMPORT] = made;
    try {
      return new WebAssembly.Instance(module, {
        [dialect]: commandImports(this, elsewhere?.imports),
        [FISSIUM_IMPORTS]: ours,
      });
    } catch (error) {
      if (made && wanted) threadMemory.recycle(made, this.#shape(wanted).maximumPages);
      else threadMemory.giveBack(this.#linkage.ownMemories);
      throw error;
    }
  }

  #shape({ initialPages, maximumPages: own }: WantedMemory): MemoryShape {
    const limit = this.#linkage.memoryPages;
    return { initialPages, maximumPages: Math.min(own ?? limit, limit) };
  }

  get memoryBytes(): number {
    return this.memory.byteLength;
  }

  get run(): Invocation {
    if (!this.#run) throw new GuestTrap('the function called its host outside of any request');
    return this.#run;
  }

  /**
   * Runs the program to its end, in its turn. Resolves when it returned or exited, whatever its exit code; rejects
   * when it trapped or the host ended it. Then the instance is dirty, or dropped.
   */
  async execute(run: Invocation): Promise<void> {
    this.#lifecycle.become('running');
    this.#run = run;
    // Nothing calls the guest from now on but its own stack.
    run.context.turn.suspendable = () => true;
    try {
      await this.#start();
    } catch (error) {
      // What the host ended it for says more than the trap by which it ended.
      const reason = run.failure ?? (run.exitCode === null ? error : null);
      if (reason !== null) {
        this.drop();
        // oxlint-disable-next-line typescript/only-throw-error -- whatever a host function threw goes on as it is
        throw reason;
      }
    }
    // A guest may have caught what ended it, and returned as if nothing had been.
    if (run.failure !== null) {
      this.drop();
      // oxlint-disable-next-line typescript/only-throw-error -- as above
      throw run.failure;
    }
    this.#lifecycle.become('dirty');
  }

  /** Makes a dirty instance what a new one would be; false where that cannot be, or would cost too much. */
  reset(): boolean {
    if (this.#reset === null || this.#lifecycle.state !== 'dirty') return false;
    if (this.memoryBytes - this.#firstBytes > KEPT_GROWTH_BYTES) return false;
    try {
      this.#reset?.(this.memory.wroteOutside ? 1 : 0);
    } catch {
      return false;
    }
    this.memory.wroteOutside = false;
    this.#run = null;
    this.#lifecycle.become('clean');
    return true;
  }

  drop(): void {
    if (this.#lifecycle.state === 'dropped') return;
    // Where something of the guest is still on a stack, its memory is nobody else's.
    const left = this.#lifecycle.state !== 'suspended';
    const clean = this.#lifecycle.state === 'clean';
    this.#lifecycle.drop();
    const { memory: wanted, ownMemories } = this.#linkage;
    this.memory.detach();
    if (!this.wasmMemory) return;
    const held = { memories: 1, pages: pagesOf(this.wasmMemory) };
    if (!wanted)
      threadMemory.condemn(this.wasmMemory, {
        ...ownMemories,
        pages: Math.max(held.pages, ownMemories.pages),
      });
    else if (left) threadMemory.recycle(this.wasmMemory, this.#shape(wanted).maximumPages, clean);
    else threadMemory.condemn(this.wasmMemory, held);
  }

  kill(): void {
    const life = this.#run?.context.turn.life;
    if (life !== undefined) Atomics.store(this.#control, 0, life);
  }

  suspended(): void {
    this.#lifecycle.become('suspended');
  }

  resumed(): void {
    this.#lifecycle.become('running');
  }
}
