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
import { InstancePool, type Need } from '../pool/index.ts';
import { threadMemory } from '../pool/thread.ts';
import { memoryPages, ownMemories } from '../prepare/limits.ts';
import { runGuest } from '../run-guest.worker.ts';
import { ASYNC_IMPORTS, Egress, type GuestState } from '../wasi/index.ts';
import { compileTrampolines } from './abi/trampoline.ts';
import { ComponentInstance, needOf, type Linkage } from './instance.ts';
import { findEntry, moduleName, readPlan } from './plan.ts';

const SUSPENDING: ReadonlySet<string> = new Set(ASYNC_IMPORTS);

class ComponentFunction implements Specialised {
  readonly #deployment: Deployment;
  readonly #egress: Egress;
  readonly #pool: InstancePool<ComponentInstance, GuestState>;
  readonly #need: Need;

  constructor(deployment: Deployment, linkage: Linkage, control: InterruptControl) {
    this.#deployment = deployment;
    this.#egress = new Egress(deployment.grants.allowedOutboundHosts);
    const { instance: life } = deployment.limits;
    this.#pool = new InstancePool({
      make: (state: GuestState) => new ComponentInstance(linkage, state, control),
      budget: threadMemory.idle,
      ...(life ? { life } : {}),
    });
    this.#need = needOf(linkage);
    if (linkage.plan.ahead === true) this.#prepareFirst(linkage, control);
  }

  /** The first request finds an instance, too. */
  #prepareFirst(linkage: Linkage, control: InterruptControl): void {
    if (!threadMemory.take(this.#need)) return;
    try {
      const first = new ComponentInstance(linkage, null, control);
      if (first.stopped === null) this.#pool.add(first);
      else first.drop();
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
      enter: async (host, memories) => {
        instance = this.#take(context) ?? (await this.#room(context)) ?? this.#make(host.state);
        if (instance.memory) memories.push(instance.memory);
        try {
          await instance.handle(host);
        } catch (error) {
          this.#pool.lost();
          throw error;
        }
      },
      left: () => {
        if (!instance) return;
        this.#pool.release(instance);
        threadMemory.released();
      },
    });
  }

  /** An instance that is there. */
  #take({ receipt }: InvocationContext): ComponentInstance | undefined {
    const began = receipt ? performance.now() : 0;
    const instance = this.#pool.take();
    if (instance && receipt) {
      receipt.instance = instance.served > 0 ? 'reused' : 'ready';
      receipt.instantiateMs = performance.now() - began;
    }
    return instance;
  }

  /** Returns once there is room for a new instance, or with one that became free meanwhile. */
  async #room(context: InvocationContext): Promise<ComponentInstance | undefined> {
    if (threadMemory.waiting === 0 && threadMemory.take(this.#need)) return undefined;
    let instance: ComponentInstance | undefined;
    context.turn.release();
    await threadMemory.wait(() => {
      instance = this.#take(context);
      return instance !== undefined || threadMemory.take(this.#need);
    }, context.signal);
    await context.turn.take();
    return instance;
  }

  #make(state: GuestState): ComponentInstance {
    const { receipt, onColdStart } = state.context;
    onColdStart?.();
    const began = receipt ? performance.now() : 0;
    const instance = this.#pool.make(state);
    if (receipt) {
      receipt.instance = 'new';
      receipt.instantiateMs = performance.now() - began;
    }
    return instance;
  }

  close(): void {
    this.#pool.close();
    void this.#egress.close();
  }
}

export const componentEngine: EngineRuntime = {
  name: 'component',
  specialise: async (deployment, control) => {
    const { manifest, folder, modules, limits } = deployment;
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
      memoryPages: memoryPages(manifest, limits.memoryBytes),
      ownMemories: ownMemories(manifest, limits.memoryBytes),
    };
    return new ComponentFunction(deployment, linkage, control);
  },
};
