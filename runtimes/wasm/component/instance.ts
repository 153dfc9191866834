/** One instance of a component: its core instances, linked by the plan, and its handles. */
import type { InterruptControl } from '../engine.ts';
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

export class ComponentInstance extends GuestStore {
  /** The host's functions for the invocation that runs now. */
  imports: WasiImports = {};
  readonly #linkage: Linkage;
  readonly #instances: WebAssembly.Instance[] = [];
  readonly #entry: CoreFunction;
  /** Resource kinds of the entry's parameters. */
  readonly #entryResources: readonly number[];

  /** Instantiates; runs start functions. `imports` are the first invocation's, since these may call out. */
  constructor(linkage: Linkage, imports: WasiImports, control: InterruptControl, life: WebAssembly.Global) {
    super();
    this.#linkage = linkage;
    this.imports = imports;
    const { plan, modules } = linkage;
    const late: { links: HostLinks; realloc: CoreSource; memory: CoreSource | null }[] = [];
    const made = linkage.trampolines.map(({ make, suspends }, i) => {
      const links: HostLinks = { realloc: null };
      const trampoline = plan.trampolines[i];
      if (trampoline?.kind === 'lower' && trampoline.options.realloc) {
        late.push({ links, realloc: trampoline.options.realloc, memory: trampoline.options.memory });
      }
      const call = make(this, links);
      return suspends ? new WebAssembly.Suspending(call) : call;
    });
    for (const { module, imports: wanted } of plan.instantiations) {
      const compiled = modules[module];
      if (!compiled) throw new TypeError(`core module ${module} is missing`);
      const given: Record<string, Record<string, unknown>> = {
        fissium: { control: control.memory, life },
      };
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
    this.#entryResources = entry.type.params.map(({ type }) => (type.kind === 'own' ? type.resource : -1));
  }

  /** Calls `wasi:http/incoming-handler`'s `handle`; resolves when the guest returns, rejects when it traps. */
  async handle(request: object, responseOutparam: object): Promise<void> {
    const [first = -1, second = -1] = this.#entryResources;
    await this.#entry(this.add(first, request), this.add(second, responseOutparam));
  }

  /** Memory and allocators exist only once the modules that have them do. */
  #bindLate(late: { links: HostLinks; realloc: CoreSource; memory: CoreSource | null }[]): void {
    for (const { links, realloc, memory } of late) {
      links.realloc ??= this.#sourceIfThere(realloc) as HostLinks['realloc'];
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
