/** One instance of a component: its core instances, linked by the plan, and its handles. */
import type { InterruptControl } from '../engine.ts';
import { Lifecycle, type InstanceState } from '../pool/index.ts';
import { RESET_EXPORT } from '../rewrite/index.ts';
import {
  createImports,
  GuestTrap,
  type GuestState,
  type StateSource,
  type WasiHost,
  type WasiImports,
} from '../wasi/index.ts';
import { GuestStore } from './abi/store.ts';
import type { CompiledTrampoline, HostLinks } from './abi/trampoline.ts';
import type { CoreInstantiation, CoreSource, LinkPlan } from './plan.ts';

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

/** Whom the instance's host functions work for: the invocation that runs. */
class CurrentInvocation implements StateSource {
  current: GuestState | null = null;

  get state(): GuestState {
    return this.current ?? outsideOfRequests();
  }
}

function outsideOfRequests(): never {
  throw new GuestTrap('the function called its host outside of any request');
}

export class ComponentInstance extends GuestStore {
  /** The host's functions, which ask for whom they work at each call. */
  readonly imports: WasiImports;
  readonly #invocation = new CurrentInvocation();
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

  /**
   * Instantiates; runs start functions, for the invocation of `state`, since these may call out. Null where an
   * instance is made ahead of any request: only for components that can be reset, which have no start function.
   */
  constructor(linkage: Linkage, state: GuestState | null, control: InterruptControl) {
    super();
    this.#linkage = linkage;
    this.#control = new Int32Array(control.memory.buffer, 0, 1);
    this.#life = state?.context.turn.life ?? 0;
    this.#invocation.current = state;
    this.imports = createImports(this.#invocation);
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
    for (const { module, imports: wanted } of plan.instantiations) {
      const compiled = modules[module];
      if (!compiled) throw new TypeError(`core module ${module} is missing`);
      const given = this.#given(wanted, made);
      // Last, and in an object of its own: a guest may name its imports as ours are named.
      given['fissium'] = { ...given['fissium'], ...control, control: control.memory };
      this.#instances.push(new WebAssembly.Instance(compiled, given as WebAssembly.Imports));
      this.#bindLate(late);
    }
    const entry = plan.exports[linkage.entry];
    if (!entry) throw new TypeError('the plan has no entry');
    this.#entry = WebAssembly.promising(this.#source(entry.core) as CoreFunction) as CoreFunction;
    const [request, outparam] = entry.type.params.map(({ type }) =>
      type.kind === 'own' ? type.resource : -1,
    );
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
   * Calls `wasi:http/incoming-handler`'s `handle` in its turn; resolves when the guest returns, rejects when it traps or
   * the host ended it. Then the instance is dirty, or dropped.
   */
  async handle(host: WasiHost): Promise<void> {
    this.#lifecycle.become('running');
    const { state } = host;
    const { turn } = state.context;
    this.#invocation.current = state;
    this.#life = turn.life;
    // While the host allocates in the guest, a frame of JavaScript's is below it.
    turn.suspendable = () => this.mayLeave;
    try {
      const request = this.add(this.#requestResource, host.incomingRequest());
      await this.#entry(request, this.add(this.#outparamResource, host.responseOutparam()));
      // A guest may have caught what ended it, and returned as if nothing had been.
      // oxlint-disable-next-line typescript/only-throw-error -- whatever a host function threw goes on as it is
      if (this.stopped !== null) throw this.stopped;
      this.#lifecycle.become('dirty');
    } catch (error) {
      // What the host ended it for says more than the trap by which it ended.
      const reason = this.stopped ?? error;
      this.drop();
      throw reason;
    }
  }

  /** Makes a dirty instance what a new one would be; false where that cannot be, or would cost too much. */
  reset(): boolean {
    if (this.#resets === null || this.#lifecycle.state !== 'dirty') return false;
    if (this.memoryBytes - this.#firstBytes > KEPT_GROWTH_BYTES) return false;
    const outside = this.wroteOutside ? 1 : 0;
    try {
      for (const reset of this.#resets) reset(outside);
    } catch {
      return false;
    }
    this.clear();
    this.#invocation.current = null;
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

  /** Objects without a prototype: names are the guest's, `__proto__` among them. */
  #given(
    wanted: CoreInstantiation['imports'],
    made: readonly unknown[],
  ): Record<string, Record<string, unknown>> {
    const given = Object.create(null) as Record<string, Record<string, unknown>>;
    for (const { module, name, source } of wanted) {
      const items = (given[module] ??= Object.create(null) as Record<string, unknown>);
      items[name] =
        source.from === 'trampoline' ? made[source.index] : this.#export(source.instance, source.name);
    }
    return given;
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
      throw new TypeError(
        `core instance ${instance} of ${this.#linkage.plan.instantiations.length} has no ${name}`,
      );
    }
    return value;
  }
}
