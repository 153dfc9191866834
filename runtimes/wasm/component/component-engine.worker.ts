/**
 * The engine for components whose imports are WASI 0.2: instances made straight from the linking plan, host
 * functions compiled for their signatures. A fresh instance for each request.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FissiumError } from '../../../src/errors.ts';
import type { Deployment, EngineRuntime, InterruptControl, InvocationContext, Specialised } from '../engine.ts';
import { runGuest } from '../run-guest.worker.ts';
import { ASYNC_IMPORTS, Egress } from '../wasi/index.ts';
import { compileTrampolines } from './abi/trampoline.ts';
import { ComponentInstance, type Linkage } from './instance.ts';
import { findEntry, moduleName, readPlan } from './plan.ts';

const SUSPENDING: ReadonlySet<string> = new Set(ASYNC_IMPORTS);

class ComponentFunction implements Specialised {
  readonly #deployment: Deployment;
  readonly #linkage: Linkage;
  readonly #control: InterruptControl;
  readonly #egress: Egress;

  constructor(deployment: Deployment, linkage: Linkage, control: InterruptControl) {
    this.#deployment = deployment;
    this.#linkage = linkage;
    this.#control = control;
    this.#egress = new Egress(deployment.grants.allowedOutboundHosts);
  }

  handle(context: InvocationContext): Promise<void> {
    const { grants, limits } = this.#deployment;
    return runGuest({
      context,
      grants,
      limits,
      egress: this.#egress,
      enter: async (host, memories) => {
        const life = new WebAssembly.Global({ value: 'i32', mutable: false }, context.turn.life);
        const instance = new ComponentInstance(this.#linkage, host.imports, this.#control, life);
        if (instance.memory) memories.push(instance.memory);
        await instance.handle(host.incomingRequest(), host.responseOutparam());
      },
    });
  }

  close(): void {
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
