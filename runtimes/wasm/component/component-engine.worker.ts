/**
 * The engine for components whose imports are WASI 0.2: instances made straight from the linking plan, host
 * functions compiled for their signatures. Each request finds a clean instance: one that was reset since the
 * last, or a new one.
 */
import { interned } from '../../../src/api/interned.ts';
import type {
  Deployment,
  EngineRuntime,
  GuestGrants,
  GuestLimits,
  InvocationContext,
  Specialised,
} from '../engine.ts';
import { threadMemory } from '../pool/thread.ts';
import { noteRun, runGuest } from '../run-guest.worker.ts';
import { createWasiHost, Egress, type GuestState, type WasiHost } from '../wasi/index.ts';
import { AtOncePolicy } from './at-once.ts';
import type { ComponentInstance } from './instance.ts';
import { sharedCodeOf, type ComponentPool, type FunctionCode } from './shared-code.worker.ts';

/** Holds of its deployment only what is the function's own: there may be thousands of one code. */
class ComponentFunction implements Specialised {
  readonly #grants: GuestGrants;
  readonly #limits: GuestLimits;
  readonly #egress: Egress;
  readonly #code: FunctionCode;
  readonly #policy: AtOncePolicy;

  constructor({ grants, limits }: Deployment, egress: Egress, code: FunctionCode) {
    this.#grants = grantsNothing(grants) ? NOTHING : grants;
    this.#limits = interned(limits);
    this.#egress = egress;
    this.#code = code;
    // An instance that keeps its state cannot take back what a request did to it.
    this.#policy = new AtOncePolicy(limits.instance?.mode !== 'reuse');
  }

  handle(context: InvocationContext): Promise<void> {
    const { pool } = this.#code;
    let instance: ComponentInstance | null = null;
    let state: GuestState | null = null;
    return runGuest({
      context,
      grants: this.#grants,
      limits: this.#limits,
      egress: this.#egress,
      enter: async (host, memories) => {
        ({ state } = host);
        instance = this.#take(pool, context) ?? (await this.#room(context)) ?? this.#make(pool, host.state);
        if (instance.memory) memories.push(instance.memory);
        try {
          await instance.handle(host);
        } catch (error) {
          pool.lost();
          throw error;
        }
      },
      left: () => {
        if (!instance) return;
        // One that keeps its state, and failed once to answer, may never do so again.
        if (this.#reuses && state?.answer.failure) {
          pool.lost();
          instance.drop();
        } else pool.release(instance);
        threadMemory.released();
        this.#policy.ran(state?.tookTime === true || context.turn.gaveWay === true);
      },
    });
  }

  get #reuses(): boolean {
    return this.#limits.instance?.mode === 'reuse';
  }

  get atOnce(): boolean {
    return this.#policy.worthwhile;
  }

  get short(): boolean {
    return this.#policy.short;
  }

  handleAtOnce(context: InvocationContext): boolean {
    const [grants, limits, egress] = [this.#grants, this.#limits, this.#egress];
    const host = createWasiHost({ context, grants, limits, egress });
    try {
      const instance = this.#instanceAtOnce(host);
      if (instance) return this.#runAtOnce(host, instance);
      this.#policy.unable();
      return false;
    } finally {
      host.close();
    }
  }

  #runAtOnce(host: WasiHost, instance: ComponentInstance): boolean {
    const { context, answer } = host.state;
    const { pool, atOncePool } = this.#code;
    const returned = instance.handleAtOnce(host);
    context.turn.release();
    const done = returned && host.state.stop === null && answer.whole;
    try {
      if (done) context.commit?.();
    } finally {
      if (context.receipt) noteRun(context.receipt, context.turn, instance.memory ? [instance.memory] : []);
      if (returned) atOncePool.release(instance);
      else atOncePool.lost();
      threadMemory.released();
      this.#policy.tried(done, context.turn.usedUs ?? 0);
      // What waits in the other pool would wait for long.
      if (this.#policy.settled) while (pool.evict());
    }
    return done;
  }

  /** Makes one only where there is room at hand: nobody is to give something up for a try. */
  #instanceAtOnce(host: WasiHost): ComponentInstance | undefined {
    const { atOncePool, need } = this.#code;
    const instance = this.#take(atOncePool, host.state.context);
    if (instance || !threadMemory.takeAtHand(need)) return instance;
    try {
      return this.#make(atOncePool, host.state);
    } catch {
      return undefined;
    }
  }

  /** An instance that is there. */
  #take(pool: ComponentPool, { receipt }: InvocationContext): ComponentInstance | undefined {
    const began = receipt ? performance.now() : 0;
    const instance = pool.take();
    if (instance && receipt) {
      receipt.instance = instance.served > 0 ? 'reused' : 'ready';
      receipt.instantiateMs = performance.now() - began;
    }
    return instance;
  }

  /** Returns once there is room for a new instance, or with one that became free meanwhile. */
  async #room(context: InvocationContext): Promise<ComponentInstance | undefined> {
    const { pool, need } = this.#code;
    if (threadMemory.waiting === 0 && threadMemory.take(need)) return undefined;
    let instance: ComponentInstance | undefined;
    context.turn.release();
    await threadMemory.wait(() => {
      instance = this.#take(pool, context);
      return instance !== undefined || threadMemory.take(need);
    }, context.signal);
    await context.turn.take();
    return instance;
  }

  #make(pool: ComponentPool, state: GuestState): ComponentInstance {
    const { receipt, onColdStart } = state.context;
    onColdStart?.();
    const began = receipt ? performance.now() : 0;
    const instance = pool.make(state);
    if (receipt) {
      receipt.instance = 'new';
      receipt.instantiateMs = performance.now() - began;
    }
    return instance;
  }

  close(): void {
    this.#code.release();
    void this.#egress.close();
  }
}

const NOTHING: GuestGrants = { env: [], args: [], allowedOutboundHosts: [] };

function grantsNothing({ env, args, allowedOutboundHosts, config = [], files = [] }: GuestGrants): boolean {
  return [env, args, allowedOutboundHosts, config, files].every(({ length }) => length === 0);
}

export const componentEngine: EngineRuntime = {
  name: 'component',
  specialise: async (deployment, control) => {
    const egress = new Egress(deployment.grants.allowedOutboundHosts);
    return new ComponentFunction(deployment, egress, await sharedCodeOf(control).use(deployment));
  },
};
