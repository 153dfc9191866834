/**
 * The engine that runs what jco generated from a component: a fresh instance for each request, blocking
 * imports suspended by JavaScript Promise Integration. Takes what the component engine declines. Only this
 * folder knows the shape of jco's output.
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
import { pagesOf, type Need } from '../pool/index.ts';
import { threadMemory } from '../pool/thread.ts';
import { ownMemories } from '../prepare/limits.ts';
import { runGuest } from '../run-guest.worker.ts';
import { Egress } from '../wasi/index.ts';
import { liftChecks } from './lift-checks.ts';
import { loadInstantiate, type CoreImports, type HostCalled, type Instantiate } from './script.ts';

interface IncomingHandler {
  handle(request: object, responseOutparam: object): Promise<void>;
}

/** Scripts by file, shared by the functions of one package; held only while one of them is there. */
const scripts = new Map<string, WeakRef<Instantiate>>();

async function instantiateOf(deployment: Deployment): Promise<Instantiate> {
  const { script } = deployment.manifest;
  if (script === undefined) throw new FissiumError('INTERNAL', `${deployment.folder} has no script`);
  const file = join(deployment.folder, script);
  const known = scripts.get(file)?.deref();
  if (known) return known;
  const instantiate = loadInstantiate(await readFile(file, 'utf8'), file);
  scripts.set(file, new WeakRef(instantiate));
  return instantiate;
}

class JcoFunction implements Specialised {
  readonly #deployment: Deployment;
  readonly #control: InterruptControl;
  readonly #instantiate: Instantiate;
  readonly #egress: Egress;
  /** What an instance takes at once. */
  readonly #need: Need;

  constructor(deployment: Deployment, control: InterruptControl, instantiate: Instantiate) {
    this.#deployment = deployment;
    this.#control = control;
    this.#instantiate = instantiate;
    this.#egress = new Egress(deployment.grants.allowedOutboundHosts);
    const { memoryBytes } = deployment.limits;
    this.#need = ownMemories(deployment.manifest, memoryBytes);
  }

  handle(context: InvocationContext): Promise<void> {
    const { grants, limits, manifest } = this.#deployment;
    context.onColdStart?.();
    let taken = false;
    return runGuest({
      context,
      grants,
      limits,
      egress: this.#egress,
      enter: async (host, memories) => {
        await threadMemory.room(context, this.#need);
        taken = true;
        const began = context.receipt ? performance.now() : 0;
        /** Calls into the guest that host functions make: it cannot be suspended meanwhile. */
        let hostCalls = 0;
        const instantiateCore = Object.assign(
          (module: WebAssembly.Module, imports: CoreImports) =>
            this.#instantiateCore(module, imports, memories),
          {
            checks: liftChecks(host.state),
            hostCall: (exported: HostCalled | undefined) =>
              exported &&
              ((...args: unknown[]) => {
                hostCalls++;
                try {
                  return exported(...args);
                } finally {
                  hostCalls--;
                }
              }),
          },
        );
        const exports = await this.#instantiate((name) => this.#module(name), host.imports, instantiateCore);
        if (context.receipt) {
          context.receipt.instance = 'new';
          context.receipt.instantiateMs = performance.now() - began;
        }
        context.turn.suspendable = () => hostCalls === 0;
        const handler = exports[manifest.entry] as IncomingHandler;
        await handler.handle(host.incomingRequest(), host.responseOutparam());
      },
      ended: (memories) => {
        if (taken) this.#forget(memories);
      },
    });
  }

  /** What the instance held counts until it is collected. */
  #forget(memories: readonly WebAssembly.Memory[]): void {
    let { memories: left, pages } = this.#need;
    for (const memory of memories) {
      threadMemory.condemn(memory, { memories: 1, pages: pagesOf(memory) });
      left--;
      pages -= pagesOf(memory);
    }
    // Never made, or not to be seen from outside: as much as they began with.
    threadMemory.giveBack({ memories: Math.max(0, left), pages: left > 0 ? Math.max(0, pages) : 0 });
  }

  close(): void {
    void this.#egress.close();
  }

  #module(name: string): WebAssembly.Module {
    const module = this.#deployment.modules.get(name);
    if (!module) throw new FissiumError('INTERNAL', `the package has no core module ${name}`);
    return module;
  }

  #instantiateCore(
    module: WebAssembly.Module,
    imports: CoreImports,
    memories: WebAssembly.Memory[],
  ): WebAssembly.Instance {
    const instance = new WebAssembly.Instance(module, {
      ...imports,
      fissium: { control: this.#control.memory, yield: this.#control.yield },
    } as WebAssembly.Imports);
    for (const value of Object.values(instance.exports)) {
      if (value instanceof WebAssembly.Memory) memories.push(value);
    }
    return instance;
  }
}

export const jcoEngine: EngineRuntime = {
  name: 'jco',
  specialise: async (deployment, control) =>
    new JcoFunction(deployment, control, await instantiateOf(deployment)),
};
