/** A component as an executor thread has it, without the thread: real modules, real WASI host, answers in memory. */
import type { HeaderList } from '../../../../src/executors/executor.ts';
import { ControlBlock } from '../../control.ts';
import type { GuestRequest, InvocationContext } from '../../engine.ts';
import { InstancePool, PoolBudget } from '../../pool/index.ts';
import { addInterruptionCheck, limitMemory, type ResetSteps } from '../../rewrite/index.ts';
import { runGuest } from '../../run-guest.worker.ts';
import { Turns } from '../../turns.worker.ts';
import { ASYNC_IMPORTS, Egress, type GuestState } from '../../wasi/index.ts';
import { LIMITS, MemorySink } from '../../wasi/testing/memory-invocation.ts';
import { compileTrampolines } from '../abi/trampoline.ts';
import { ComponentInstance } from '../instance.ts';
import { type Linkage } from '../linkage.ts';
import { linkComponent } from '../linker.ts';
import { mergeComponent } from '../merging.ts';
import { makeComponentResettable } from '../resetting.ts';

export interface Answer {
  readonly status: number | null;
  readonly headers: HeaderList;
  readonly text: string;
  readonly log: string;
  /** What the call failed with, or null. */
  readonly error: string | null;
}

export class GuestFunction {
  /** Why instances are not reset, or null. */
  readonly blocker: string | null;
  /** Why its core modules stay apart, or null. */
  readonly mergeBlocker: string | null;
  /** Instances that were made so far. */
  made = 0;
  /** The one that served last. */
  last: ComponentInstance | null = null;
  readonly block = new ControlBlock();
  readonly #turns = new Turns(this.block);
  readonly #linkage: Linkage;
  readonly #pool: InstancePool<ComponentInstance, GuestState>;
  readonly #egress = new Egress([]);
  #life = 0;

  /**
   * @param steps null: a new instance for each request
   * @param merge false: core modules stay apart
   */
  constructor(bytes: Uint8Array, steps: ResetSteps | null = {}, memoryPages = 2048, merge = true) {
    const binary = linkComponent(bytes);
    const apart = binary.modules.map(({ offset, length }) => bytes.slice(offset, offset + length));
    const merged = merge
      ? mergeComponent(binary, apart)
      : { plan: binary, cores: apart, declined: 'it is not wanted' };
    this.mergeBlocker = merged.declined;
    const { plan: linked, cores: sources } = merged;
    const { plan, cores, blocker } = steps
      ? makeComponentResettable(linked, sources, steps)
      : { plan: linked, cores: sources, blocker: 'it is not wanted' };
    this.blocker = blocker;
    this.#linkage = {
      plan,
      modules: cores.map(
        (core) =>
          new WebAssembly.Module(limitMemory(addInterruptionCheck(core), memoryPages) as BufferSource),
      ),
      trampolines: compileTrampolines(plan, new Set(ASYNC_IMPORTS)),
      entry: plan.exports.findIndex(({ name }) => name === 'handle'),
      memoryPages,
    };
    this.#pool = new InstancePool({
      make: (state) => this.#make(state),
      budget: new PoolBudget({ maxInstances: 100, maxBytes: 1e9 }),
      maxIdle: 8,
    });
  }

  get idle(): number {
    return this.#pool.idle;
  }

  async call(
    path: string,
    request: Partial<GuestRequest> = {},
    signal = new AbortController().signal,
  ): Promise<Answer> {
    const sink = new MemorySink();
    let log = '';
    const turn = this.#turns.for(++this.#life);
    const context: InvocationContext = {
      request: {
        id: '1',
        method: 'GET',
        scheme: 'http',
        authority: 'test',
        pathWithQuery: path,
        headers: [],
        body: null,
        ...request,
      },
      response: sink,
      log: (_, chunk) => (log += Buffer.from(chunk).toString()),
      signal,
      turn,
      receipt: null,
    };
    let instance: ComponentInstance | null = null;
    let error: string | null = null;
    try {
      await runGuest({
        context,
        grants: { env: [['A', 'b']], args: [], allowedOutboundHosts: [] },
        limits: LIMITS,
        egress: this.#egress,
        enter: async (host) => {
          instance = this.#pool.acquire(host.state);
          this.last = instance;
          try {
            await instance.handle(host);
          } catch (thrown) {
            this.#pool.lost();
            throw thrown;
          }
        },
        left: () => {
          if (instance) this.#pool.release(instance);
        },
      });
    } catch (thrown) {
      error = (thrown as Error).message;
    }
    return { status: sink.status, headers: sink.headers, text: sink.text, log, error };
  }

  #make(state: GuestState): ComponentInstance {
    this.made++;
    return new ComponentInstance(this.#linkage, state, {
      memory: this.block.memory,
      yield: this.#turns.yield,
    });
  }
}
