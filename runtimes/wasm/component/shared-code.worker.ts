/**
 * What the functions of one thread share where they share their code: thousands of them then cost the thread little
 * more than one. Functions of a package and a memory limit have one linkage, and those of one namespace among them one
 * pool of instances, since a clean instance is nobody's: it learns whom it works for when it is entered.
 *
 * Between namespaces instances are not shared: what a reset failed to clean would be another tenant's. Nor where code
 * of the guest runs while it is instantiated, which may keep what it was told of its function, nor of course where
 * instances keep their state.
 */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FissiumError } from '../../../src/errors.ts';
import type { Deployment, InterruptControl } from '../engine.ts';
import { InstancePool, type Need } from '../pool/index.ts';
import { threadMemory } from '../pool/thread.ts';
import { memoryPages, ownMemories } from '../prepare/limits.ts';
import { Shared } from '../shared.ts';
import { ASYNC_IMPORTS, type GuestState } from '../wasi/index.ts';
import { compileTrampolines, type CompiledTrampoline } from './abi/trampoline.ts';
import { ComponentInstance } from './instance.ts';
import { needOf, type Linkage } from './linkage.ts';
import { findEntry, moduleName, readPlan, type LinkPlan } from './plan.ts';

export type ComponentPool = InstancePool<ComponentInstance, GuestState>;

const SUSPENDING: ReadonlySet<string> = new Set(ASYNC_IMPORTS);

interface CompiledPlan {
  readonly plan: LinkPlan;
  readonly trampolines: readonly CompiledTrampoline[];
}

interface Linked {
  readonly key: string;
  readonly linkage: Linkage;
  /** What a new instance takes. */
  readonly need: Need;
  /** Of {@link SharedCode.plans}. */
  readonly planKey: string;
}

class Pooled {
  readonly key: string;
  readonly pool: ComponentPool;
  readonly #makeAtOnce: () => ComponentPool;
  #atOnce: ComponentPool | null = null;

  constructor(key: string, pool: ComponentPool, makeAtOnce: () => ComponentPool) {
    this.key = key;
    this.pool = pool;
    this.#makeAtOnce = makeAtOnce;
  }

  /** Made when somebody asks for it first. */
  get atOnce(): ComponentPool {
    return (this.#atOnce ??= this.#makeAtOnce());
  }

  close(): void {
    this.pool.close();
    this.#atOnce?.close();
  }
}

/** A function's part of it. Of thousands each is small: what names the parts is theirs, not the function's. */
export class FunctionCode {
  readonly #linked: Linked;
  readonly #pooled: Pooled;
  readonly #release: (linked: Linked, pooled: Pooled) => void;

  constructor(linked: Linked, pooled: Pooled, release: (linked: Linked, pooled: Pooled) => void) {
    this.#linked = linked;
    this.#pooled = pooled;
    this.#release = release;
  }

  get pool(): ComponentPool {
    return this.#pooled.pool;
  }

  /** Instances that run on their caller's stack. */
  get atOncePool(): ComponentPool {
    return this.#pooled.atOnce;
  }

  /** What a new instance takes. */
  get need(): Need {
    return this.#linked.need;
  }

  /** The function is gone; call once. */
  release(): void {
    this.#release(this.#linked, this.#pooled);
  }
}

export class SharedCode {
  /** By the hash of their text: tools of one kind make the same plan for different code. */
  readonly #plans = new Shared<CompiledPlan>();
  readonly #linked = new Shared<Promise<Linked>>();
  readonly #pools = new Shared<Pooled>((pooled) => pooled.close());
  readonly #control: InterruptControl;
  #nextOwn = 0;

  constructor(control: InterruptControl) {
    this.#control = control;
  }

  /** Plans, linkages and pools that there are. */
  get held(): { readonly plans: number; readonly linkages: number; readonly pools: number } {
    return { plans: this.#plans.size, linkages: this.#linked.size, pools: this.#pools.size };
  }

  /** @throws FissiumError INTERNAL, LinkDeclined: the prepared package is not what this engine runs */
  async use(deployment: Deployment): Promise<FunctionCode> {
    const key = keyOf(deployment);
    const linking = this.#linked.take(key, () => this.#link(key, deployment));
    let linked: Linked;
    try {
      linked = await linking;
    } catch (error) {
      this.#linked.release(key);
      throw error;
    }
    const { linkage } = linked;
    const poolKey = this.#isShared(linkage, deployment)
      ? `${key} ${deployment.namespace}`
      : `${key} own ${this.#nextOwn++}`;
    const pooled = this.#pools.take(poolKey, () => this.#pooled(poolKey, linked, deployment));
    return new FunctionCode(linked, pooled, this.#release);
  }

  readonly #release = ({ key, planKey }: Linked, pooled: Pooled): void => {
    this.#pools.release(pooled.key);
    if (this.#linked.release(key)) this.#plans.release(planKey);
  };

  #isShared({ plan }: Linkage, { limits }: Deployment): boolean {
    return plan.ahead === true && limits.instance === undefined;
  }

  async #link(key: string, { manifest, folder, modules, limits }: Deployment): Promise<Linked> {
    if (manifest.plan === undefined) throw new FissiumError('INTERNAL', `${folder} has no plan`);
    const text = await readFile(join(folder, manifest.plan), 'utf8');
    const planKey = hash('sha256', text);
    const { plan, trampolines } = this.#plans.take(planKey, () => {
      const read = readPlan(text);
      return { plan: read, trampolines: compileTrampolines(read, SUSPENDING) };
    });
    try {
      const linkage: Linkage = {
        plan,
        trampolines,
        modules: plan.modules.map((_, i) => {
          const module = modules.get(moduleName(i));
          if (!module) throw new FissiumError('INTERNAL', `${folder} has no core module ${i}`);
          return module;
        }),
        entry: findEntry(plan, manifest.entry),
        memoryPages: memoryPages(manifest, limits.memoryBytes),
        ownMemories: ownMemories(manifest, limits.memoryBytes),
      };
      return { key, linkage, need: needOf(linkage), planKey };
    } catch (error) {
      this.#plans.release(planKey);
      throw error;
    }
  }

  #pooled(key: string, { linkage, need }: Linked, { limits: { instance: life } }: Deployment): Pooled {
    const poolOf = (atOnce: boolean): ComponentPool =>
      new InstancePool({
        make: (state: GuestState) => new ComponentInstance(linkage, state, this.#control, atOnce),
        budget: threadMemory.idle,
        ...(life ? { life } : {}),
      });
    const pool = poolOf(false);
    if (linkage.plan.ahead === true) this.#addFirst(pool, linkage, need);
    return new Pooled(key, pool, () => poolOf(true));
  }

  /** The first request finds an instance, too. */
  #addFirst(pool: ComponentPool, linkage: Linkage, need: Need): void {
    if (!threadMemory.take(need)) return;
    try {
      const first = new ComponentInstance(linkage, null, this.#control);
      if (first.stopped === null) pool.add(first);
      else first.drop();
    } catch {
      // A component that cannot be instantiated says so to each request.
    }
  }
}

/** Whatever has the same has the same linkage. The folder's name is digest and version of what was prepared. */
function keyOf({ folder, manifest, limits }: Deployment): string {
  return `${folder} ${manifest.entry} ${memoryPages(manifest, limits.memoryBytes)}`;
}

const byControl = new WeakMap<WebAssembly.Memory, SharedCode>();

/** What the thread of this control block shares: there is one thread, except in tests. */
export function sharedCodeOf(control: InterruptControl): SharedCode {
  let shared = byControl.get(control.memory);
  if (!shared) {
    shared = new SharedCode(control);
    byControl.set(control.memory, shared);
  }
  return shared;
}
