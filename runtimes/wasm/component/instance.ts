/** One instance of a component: its core instances, linked by the plan, and its handles. */
import type { InterruptControl } from '../engine.ts';
import { Lifecycle, type InstanceState } from '../pool/index.ts';
import { RESET_EXPORT } from '../rewrite/index.ts';
import type { WasiImports } from '../wasi/index.ts';
import { GuestStore } from './abi/store.ts';
import type { CompiledTrampoline, HostLinks } from './abi/trampoline.ts';
import type { CoreSource, LinkPlan } from './plan.ts';

/** What all instances of a function share. */
export interface Linkage {
  readonly plan: LinkPlan;
  readonly trampolines: readonly CompiledTrampoline[];
  /** Compiled core modules, by their index in the plan. */
  readonly modules: readonly WebAssembly.Module[];
  /** Index of the export that is called, in `plan.exports`. */
  readonly entry: number;
}

type CoreFunction = (...args: unknown[]) => unknown;
type ResetFunction = (hostWroteOutside: number) => void;

/**
 * An instance is reset only up to this much memory more than it began with: one request that took a lot must
 * not make the function hold it.
 */
const KEPT_GROWTH_BYTES = 16 * 1024 * 1024;

export class ComponentInstance extends GuestStore {
  /** The host's functions for the invocation that runs now. */
  imports: WasiImports = {};
  readonly #linkage: Linkage;
  /** Word 0 ends the life that it names. */
  readonly #control: Int32Array;
  readonly #lifecycle = new Lifecycle();
  readonly #instances: WebAssembly.Instance[] = [];
  readonly #entry: CoreFunction;
  /** Resource kinds of the entry's parameters. */
  readonly #requestResource: number;
  readonly #outparamResource: number;
  /** Null where the component cannot be reset. */
  readonly #resets: readonly ResetFunction[] | null;
  readonly #firstBytes: number;
  #life = 0;

  /** Instantiates; runs start functions. `imports` are the first invocation's, since these may call out. */
  constructor(linkage: Linkage, imports: WasiImports, control: InterruptControl, life: number) {
    super();
    this.#linkage = linkage;
    this.#control = new Int32Array(control.memory.buffer, 0, 1);
    this.imports = imports;
    this.#life = life;
    const { plan, modules } = linkage;
    const late: { links: HostLinks; realloc: CoreSource | null; memory: CoreSource | null }[] = [];
    const made = linkage.trampolines.map(({ make, suspends }, i) => {
      const links: HostLinks = { realloc: null };
      const trampoline = plan.trampolines[i];
      if (trampoline?.kind === 'lower') {
        const { realloc, memory } = trampoline.options;
        if (realloc || memory) late.push({ links, realloc, memory });
      }
      const call = make(this, links);
      return suspends ? new WebAssembly.Suspending(call) : call;
    });
    // Only modules whose check compares with it read the global.
    const fissium = { control: control.memory, life: life === 0 ? -1 : life };
    for (const { module, imports: wanted } of plan.instantiations) {
      const compiled = modules[module];
      if (!compiled) throw new TypeError(`core module ${module} is missing`);
      const given: Record<string, Record<string, unknown>> = { fissium };
      for (const { module: from, name, source } of wanted) {
        (given[from] ??= {})[name] =
          source.from === 'trampoline' ? made[source.index] : this.#export(source.instance, source.name);
      }
      this.#instances.push(new WebAssembly.Instance(compiled, given as WebAssembly.Imports));
      this.#bindLate(late);
    }
    const entry = plan.exports[linkage.entry];
    if (!entry) throw new TypeError('the plan has no entry');
    this.#entry = WebAssembly.promising(this.#source(entry.core) as CoreFunction) as CoreFunction;
    const [request, outparam] = entry.type.params.map(({ type }) => (type.kind === 'own' ? type.resource : -1));
    this.#requestResource = request ?? -1;
    this.#outparamResource = outparam ?? -1;
    this.#resets = plan.reset
      ? plan.reset.instances.map((i) => this.#export(i, RESET_EXPORT) as ResetFunction)
      : null;
    this.resetFrom = plan.reset?.window?.from ?? Number.MAX_SAFE_INTEGER;
    this.resetTo = plan.reset?.window?.to ?? 0;
    this.#firstBytes = this.memoryBytes;
  }

  get state(): InstanceState {
    return this.#lifecycle.state;
  }

  get memoryBytes(): number {
    return this.memory?.buffer.byteLength ?? 0;
  }

  /**
   * Calls `wasi:http/incoming-handler`'s `handle`; resolves when the guest returns, rejects when it traps or
   * the host ended it. Then the instance is dirty, or dropped.
   */
  async handle(life: number, imports: WasiImports, request: object, responseOutparam: object): Promise<void> {
    this.#lifecycle.become('running');
    this.#life = life;
    this.imports = imports;
    try {
      const first = this.add(this.#requestResource, request);
      await this.#entry(first, this.add(this.#outparamResource, responseOutparam));
      // A guest may have caught what ended it, and returned as if nothing had been.
      if (this.stopped !== null) throw this.stopped;
      this.#lifecycle.become('dirty');
    } catch (error) {
      this.drop();
      throw error;
    }
  }

  /** Makes a dirty instance what a new one would be; false where that cannot be, or would cost too much. */
  reset(): boolean {
    if (this.#resets === null || this.#lifecycle.state !== 'dirty') return false;
    if (this.memoryBytes - this.#firstBytes > KEPT_GROWTH_BYTES) return false;
    const outside = this.wroteOutside ? 1 : 0;
    for (const reset of this.#resets) reset(outside);
    this.clear();
    this.imports = {};
    this.#lifecycle.become('clean');
    return true;
  }

  drop(): void {
    this.#lifecycle.drop();
    this.clear();
  }

  override suspend(): void {
    this.#lifecycle.become('suspended');
  }

  override resume(): void {
    this.#lifecycle.become('running');
  }

  protected override kill(): void {
    Atomics.store(this.#control, 0, this.#life);
  }

  /** Memory and allocators exist only once the modules that have them do. */
  #bindLate(late: { links: HostLinks; realloc: CoreSource | null; memory: CoreSource | null }[]): void {
    for (const { links, realloc, memory } of late) {
      if (realloc) links.realloc ??= this.#sourceIfThere(realloc) as HostLinks['realloc'];
      if (memory && !this.memory) {
        this.memory = (this.#sourceIfThere(memory) as WebAssembly.Memory | undefined) ?? null;
        this.refresh();
      }
    }
  }

  #source(source: CoreSource): unknown {
    return source.from === 'export' ? this.#export(source.instance, source.name) : undefined;
  }

  #sourceIfThere(source: CoreSource): unknown {
    return source.from === 'export' ? (this.#instances[source.instance]?.exports[source.name] ?? null) : null;
  }

  #export(instance: number, name: string): unknown {
    const value = this.#instances[instance]?.exports[name];
    if (value === undefined) {
      throw new TypeError(`core instance ${instance} of ${this.#linkage.plan.instantiations.length} has no ${name}`);
    }
    return value;
  }
}
