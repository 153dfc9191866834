/**
 * The engine for components whose imports are WASI 0.2: instances made straight from the linking plan, host
 * functions compiled for their signatures. Each request finds a clean instance: one that was reset since the
 * last, or a new one.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FissiumError } from '../../../src/errors.ts';
import type {
  Deployment,
  EngineRuntime,
  InterruptControl,
  InvocationContext,
  Specialised,
} from '../engine.ts';
import { InstancePool, PoolBudget } from '../pool/index.ts';
import { runGuest } from '../run-guest.worker.ts';
import { ASYNC_IMPORTS, Egress, type GuestState } from '../wasi/index.ts';
import { compileTrampolines } from './abi/trampoline.ts';
import { ComponentInstance, type Linkage } from './instance.ts';
import { findEntry, moduleName, readPlan } from './plan.ts';

const SUSPENDING: ReadonlySet<string> = new Set(ASYNC_IMPORTS);
const MIB = 1024 * 1024;
/** What waits in this thread; each memory also takes 8 GiB of addresses, of which a process has not endlessly many. */
const BUDGET = new PoolBudget({ maxInstances: 500, maxBytes: 256 * MIB });
/** Clean instances of one function: as many as its guests that waited at once lately, up to this. */
const MAX_IDLE = 8;

class ComponentFunction implements Specialised {
  readonly #deployment: Deployment;
  readonly #egress: Egress;
  readonly #pool: InstancePool<ComponentInstance, GuestState>;

  constructor(deployment: Deployment, linkage: Linkage, control: InterruptControl) {
    this.#deployment = deployment;
    this.#egress = new Egress(deployment.grants.allowedOutboundHosts);
    this.#pool = new InstancePool({
      make: (state: GuestState) => new ComponentInstance(linkage, state, control),
      budget: BUDGET,
      maxIdle: MAX_IDLE,
    });
    if (linkage.plan.reset) this.#prepareFirst(linkage, control);
  }

  /** The first request finds an instance, too. */
  #prepareFirst(linkage: Linkage, control: InterruptControl): void {
    try {
      this.#pool.add(new ComponentInstance(linkage, null, control));
    } catch {
      // A component that cannot be instantiated says so to each request.
    }
  }

  handle(context: InvocationContext): Promise<void> {
    const { grants, limits } = this.#deployment;
    let instance: ComponentInstance | null = null;
    return runGuest({
      context,
      grants,
      limits,
      egress: this.#egress,
      enter: (host, memories) => {
        instance = this.#pool.acquire(host.state);
        if (instance.memory) memories.push(instance.memory);
        return instance.handle(host);
      },
      left: () => {
        if (instance) this.#pool.release(instance);
      },
    });
  }

  close(): void {
    this.#pool.close();
    void this.#egress.close();
  }
}

export const componentEngine: EngineRuntime = {
  name: 'component',
  specialise: async (deployment, control) => {
    const { manifest, folder, modules } = deployment;
    if (manifest.plan === undefined) throw new FissiumError('INTERNAL', `${folder} has no plan`);
    const plan = readPlan(await readFile(join(folder, manifest.plan), 'utf8'));
    const linkage: Linkage = {
      plan,
      trampolines: compileTrampolines(plan, SUSPENDING),
      modules: plan.modules.map((_, i) => {
        const module = modules.get(moduleName(i));
        if (!module) throw new FissiumError('INTERNAL', `${folder} has no core module ${i}`);
        return module;
      }),
      entry: findEntry(plan, manifest.entry),
    };
    return new ComponentFunction(deployment, linkage, control);
  },
};
