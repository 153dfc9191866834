/** One instance of a component: its core instances, linked by the plan, and its handles. */
import type { EngineReceipt, InterruptControl, InvocationContext } from '../engine.ts';
import { CallClock, Lifecycle, pagesOf, zero, type InstanceState } from '../pool/index.ts';
import { threadMemory } from '../pool/thread.ts';
import { MEMORY_IMPORT, RESET_EXPORT, type WantedMemory } from '../rewrite/index.ts';
import {
  createImports,
  type GuestState,
  type GuestVolume,
  type WasiHost,
  type WasiImports,
} from '../wasi/index.ts';
import { GuestStore } from './abi/store.ts';
import type { HostLinks } from './abi/trampoline.ts';
import { coreImports, type CoreImports } from './core-imports.ts';
import { CurrentInvocation } from './current-invocation.ts';
import type { Linkage } from './linkage.ts';
import type { CoreSource } from './plan.ts';

type CoreFunction = (...args: unknown[]) => unknown;
type ResetFunction = (hostWroteOutside: number) => void;

/**
 * An instance is reset only up to this much memory more than it began with: one request that took a lot must
 * not make the function hold it.
 */
const KEPT_GROWTH_BYTES = 16 * 1024 * 1024;
/** Handles that a reused instance may keep from request to request: whoever leaks them gets a new instance. */
const KEPT_HANDLES = 256;

/** A memory that the host made, and how far it may grow. */
interface HostMemory {
  readonly memory: WebAssembly.Memory;
  readonly maximumPages: number;
}

interface LateBinding {
  readonly links: HostLinks;
  readonly realloc: CoreSource | null;
  readonly memory: CoreSource | null;
}

/**
 * The host functions are made once and serve one life after another; what changes from life to life is whom they
 * work for, and where the component cannot be reset in place, the core instances as well.
 */
export class ComponentInstance extends GuestStore {
  /** The host's functions, which ask for whom they work at each call. */
  readonly imports: WasiImports;
  /** Requests that it has served. */
  served = 0;
  readonly #invocation = new CurrentInvocation();
  /** Its files between two requests, where it keeps its state. */
  #volume: GuestVolume | null = null;
  readonly #linkage: Linkage;
  readonly #interrupt: InterruptControl;
  readonly #atOnce: boolean;
  /** Word 0 ends the life that it names. */
  readonly #control: Int32Array;
  readonly #lifecycle = new Lifecycle();
  /** What each core module imports; filled as the modules come that have it. */
  readonly #imports: readonly CoreImports[];
  readonly #late: readonly LateBinding[];
  /** Resource kinds of the entry's parameters. */
  readonly #requestResource: number;
  readonly #outparamResource: number;
  #instances: WebAssembly.Instance[] = [];
  #memories: HostMemory[] = [];
  #entry: CoreFunction = notInstantiated;
  /** Null where the component cannot be reset. */
  #resets: readonly ResetFunction[] | null = null;
  #firstBytes = 0;
  #life = 0;

  /**
   * Instantiates; runs start functions, for the invocation of `state`, since these may call out. Null where an
   * instance is made ahead of any request: only for components of which nothing runs then (`plan.ahead`). What it
   * needs was taken from the thread's memory before ({@link needOf}).
   * @param atOnce for {@link handleAtOnce}: no import of it can suspend
   */
  constructor(linkage: Linkage, state: GuestState | null, control: InterruptControl, atOnce = false) {
    super();
    this.#linkage = linkage;
    this.#atOnce = atOnce;
    this.#interrupt = control;
    this.#control = new Int32Array(control.memory.buffer, 0, 1);
    this.imports = createImports(this.#invocation);
    const { plan } = linkage;
    const late: LateBinding[] = [];
    const made = linkage.trampolines.map(({ make, suspends }, i) => {
      const links: HostLinks = { realloc: null };
      const trampoline = plan.trampolines[i];
      if (trampoline?.kind === 'lower') {
        const { realloc, memory } = trampoline.options;
        if (realloc || memory) late.push({ links, realloc, memory });
      }
      const call = make(this, links);
      return suspends && !atOnce ? new WebAssembly.Suspending(call) : call;
    });
    this.#late = late;
    this.#imports = plan.instantiations.map(({ imports }) => coreImports(imports, made, control));
    const entry = plan.exports[linkage.entry];
    if (!entry) throw new TypeError('the plan has no entry');
    const [request, outparam] = entry.type.params.map(({ type }) =>
      type.kind === 'own' ? type.resource : -1,
    );
    this.#requestResource = request ?? -1;
    this.#outparamResource = outparam ?? -1;
    this.resetFrom = plan.reset?.window?.from ?? Number.MAX_SAFE_INTEGER;
    this.resetTo = plan.reset?.window?.to ?? 0;
    this.#life = state?.context.turn.life ?? 0;
    this.#invocation.current = state;
    try {
      this.#instantiate();
    } catch (error) {
      const made = this.#memories.length;
      this.drop();
      const unmade = plan.instantiations.flatMap(({ memory }) => memory ?? []).slice(made);
      for (const { initialPages } of unmade) threadMemory.giveBack({ memories: 1, pages: initialPages });
      throw error;
    }
  }

  get state(): InstanceState {
    return this.#lifecycle.state;
  }

  get memoryBytes(): number {
    return this.memory?.buffer.byteLength ?? 0;
  }

  /** Whether {@link reset} costs next to nothing; otherwise it is better done while nobody waits. */
  get quick(): boolean {
    return this.#resets !== null;
  }

  /**
   * Calls `wasi:http/incoming-handler`'s `handle` in its turn; resolves when the guest returns, rejects when it traps or
   * the host ended it. Then the instance is dirty, or dropped.
   */
  async handle(host: WasiHost): Promise<void> {
    const { receipt } = this.#begin(host.state);
    try {
      await this.#call(host);
      // A guest may have caught what ended it, and returned as if nothing had been.
      // oxlint-disable-next-line typescript/only-throw-error -- whatever a host function threw goes on as it is
      if (this.stopped !== null) throw this.stopped;
      this.#lifecycle.become('dirty');
      if (receipt) this.#note(receipt);
    } catch (error) {
      // What the host ended it for says more than the trap by which it ended.
      const reason = this.stopped ?? error;
      if (receipt) this.#note(receipt);
      this.drop();
      throw reason;
    }
  }

  /**
   * The same without a stack of the guest's own, for an instance that was made so. False where the guest did not come to
   * its end, for whatever reason; then the instance is dropped.
   */
  handleAtOnce(host: WasiHost): boolean {
    const { receipt } = this.#begin(host.state);
    try {
      this.#call(host);
      if (this.stopped === null) {
        this.#lifecycle.become('dirty');
        if (receipt) this.#note(receipt);
        return true;
      }
    } catch {
      // It is run again, and says then what it died of.
    }
    this.drop();
    return false;
  }

  #begin(state: GuestState): InvocationContext {
    const { context } = state;
    this.#lifecycle.become('running');
    this.served++;
    this.#invocation.current = state;
    this.#life = context.turn.life;
    this.clock = context.receipt === null ? null : new CallClock();
    if (this.served > 1) {
      this.adopt(state);
      if (this.#volume) state.takeVolume(this.#volume);
      this.#volume = null;
    }
    // While the host allocates in the guest, a frame of JavaScript's is below it.
    context.turn.suspendable = () => this.mayLeave;
    return context;
  }

  /** @returns a promise, where the guest has a stack of its own */
  #call(host: WasiHost): unknown {
    const request = this.add(this.#requestResource, host.incomingRequest());
    return this.#entry(request, this.add(this.#outparamResource, host.responseOutparam()));
  }

  /** Makes a dirty instance what a new one would be; false where that cannot be, or would cost too much. */
  reset(): boolean {
    if (this.#lifecycle.state !== 'dirty') return false;
    if (this.memoryBytes - this.#firstBytes > KEPT_GROWTH_BYTES) return false;
    if (!this.#restore()) return false;
    this.clear();
    this.#invocation.current = null;
    this.served = 0;
    this.#lifecycle.become('clean');
    return true;
  }

  /** Makes a dirty instance ready for another request with all of its state; false where it holds too many handles. */
  retain(): boolean {
    if (this.#lifecycle.state !== 'dirty' || this.liveHandles > KEPT_HANDLES) return false;
    this.#volume = this.#invocation.current?.giveVolume() ?? null;
    this.endLife();
    this.#lifecycle.become('clean');
    return true;
  }

  drop(): void {
    if (this.#lifecycle.state === 'dropped') return;
    // Where something of the guest is still on a stack, its memory is nobody else's.
    const left = this.#lifecycle.state !== 'suspended';
    const clean = this.#lifecycle.state === 'clean';
    this.#lifecycle.drop();
    this.#volume?.close();
    this.#volume = null;
    this.clear();
    this.clock = null;
    for (const { memory, maximumPages } of this.#memories) {
      if (left) threadMemory.recycle(memory, maximumPages, clean);
      else threadMemory.condemn(memory, { memories: 1, pages: pagesOf(memory) });
    }
    this.#condemnOwn();
    this.#memories = [];
    this.#instances = [];
    this.#entry = notInstantiated;
    this.#resets = null;
    this.memory = null;
    this.forgetViews();
  }

  override suspend(): void {
    this.clock?.suspend();
    this.#lifecycle.become('suspended');
  }

  override resume(): void {
    this.#lifecycle.become('running');
    this.clock?.resume();
  }

  protected override kill(): void {
    Atomics.store(this.#control, 0, this.#life);
  }

  #note(receipt: EngineReceipt): void {
    receipt.peakMemoryBytes = this.memoryBytes;
    if (!this.clock) return;
    receipt.guestMs = this.clock.restMs();
    receipt.hostMs = this.clock.hostMs;
    receipt.waitingMs = this.clock.waitingMs;
  }

  #restore(): boolean {
    if (this.#resets === null) return this.#renew();
    const outside = this.wroteOutside ? 1 : 0;
    try {
      for (const reset of this.#resets) reset(outside);
      return true;
    } catch {
      return false;
    }
  }

  /** New core instances behind the same host functions, in the same memories, which are all zero then. */
  #renew(): boolean {
    const { plan, ownMemories } = this.#linkage;
    if (plan.ahead !== true) return false;
    this.#condemnOwn();
    this.#instances = [];
    if (ownMemories && !threadMemory.take(ownMemories)) return false;
    for (const { memory } of this.#memories) zero(memory);
    this.#invocation.current = null;
    this.clear();
    try {
      this.#instantiate();
    } catch {
      return false;
    }
    // A host function that it called had nobody to work for, whatever the guest made of that.
    return this.stopped === null;
  }

  #instantiate(): void {
    const { plan, modules } = this.#linkage;
    for (const { links } of this.#late) links.realloc = null;
    this.memory = null;
    this.forgetViews();
    let memories = 0;
    for (const [i, { module, memory }] of plan.instantiations.entries()) {
      const compiled = modules[module];
      const given = this.#imports[i];
      if (!compiled || !given) throw new TypeError(`core module ${module} is missing`);
      for (const { items, name, instance, exported } of given.later)
        items[name] = this.#export(instance, exported);
      if (memory) given.ours[MEMORY_IMPORT] = this.#hostMemory(memories++, memory);
      this.#instances.push(new WebAssembly.Instance(compiled, given.all as WebAssembly.Imports));
      this.#bindLate();
    }
    if (plan.start) (this.#source(plan.start) as CoreFunction)();
    const entry = plan.exports[this.#linkage.entry];
    if (!entry) throw new TypeError('the plan has no entry');
    const core = this.#source(entry.core) as CoreFunction;
    this.#entry = this.#atOnce ? core : (WebAssembly.promising(core) as CoreFunction);
    this.#resets = plan.reset
      ? plan.reset.instances.map((instance) => this.#export(instance, RESET_EXPORT) as ResetFunction)
      : null;
    this.#firstBytes = this.memoryBytes;
  }

  #hostMemory(at: number, { initialPages, maximumPages: own }: WantedMemory): WebAssembly.Memory {
    const limit = this.#linkage.memoryPages;
    const maximumPages = Math.min(own ?? limit, limit);
    const known = this.#memories[at];
    if (known) return known.memory;
    const memory = threadMemory.memory({ initialPages, maximumPages });
    this.#memories[at] = { memory, maximumPages };
    return memory;
  }

  /** What core modules made themselves counts until it is collected. */
  #condemnOwn(): void {
    const { ownMemories } = this.#linkage;
    if (!ownMemories || ownMemories.memories === 0) return;
    const last = this.#instances.at(-1);
    if (!last) {
      // Instantiating failed before there was anything.
      threadMemory.giveBack(ownMemories);
      return;
    }
    const host = new Set(this.#memories.map(({ memory }) => memory));
    let seen = 0;
    for (const { exports } of this.#instances) {
      for (const item of Object.values(exports)) {
        if (!(item instanceof WebAssembly.Memory) || host.has(item) || item === this.#interrupt.memory)
          continue;
        host.add(item);
        seen += pagesOf(item);
      }
    }
    threadMemory.condemn(this.#instances[0] ?? last, {
      memories: ownMemories.memories,
      pages: Math.max(seen, ownMemories.pages),
    });
  }

  /** Memory and allocators exist only once the modules that have them do. */
  #bindLate(): void {
    for (const { links, realloc, memory } of this.#late) {
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

function notInstantiated(): never {
  throw new TypeError('the instance was dropped');
}
