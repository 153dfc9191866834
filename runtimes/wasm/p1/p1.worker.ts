/** The engine for WASI preview 1 commands: each request runs the program once, as CGI (RFC 3875). */
import { FissiumError } from '../../../src/errors.ts';
import type {
  Deployment,
  EngineRuntime,
  InterruptControl,
  InvocationContext,
  Specialised,
} from '../engine.ts';
import { guestFailure } from '../guest-failure.ts';
import { InstancePool, type Need } from '../pool/index.ts';
import { threadMemory } from '../pool/thread.ts';
import { memoryPages, ownMemories } from '../prepare/limits.ts';
import { Egress } from '../wasi/index.ts';
import { GuestState } from '../wasi/state.ts';
import { cgiEnvironment, type Environment } from './cgi-request.ts';
import { CommandInstance, needOf, type CommandLinkage } from './command-instance.ts';
import { PREVIEW1, UNSTABLE } from './guest.ts';
import { Invocation } from './invocation.ts';
import { bodyTooLarge, Stdin } from './stdio.ts';
import { StringTable } from './string-table.ts';
import type { WasmerRun } from './wasmer.worker.ts';

/** Starts @wasmer/wasi for one run. */
type StartWasmer = (args: readonly string[], environment: Environment) => WasmerRun;

/** A run that has come to its end: `sent` resolves when its answer is out, undefined where it is. */
interface Finished {
  readonly sent: Promise<void> | undefined;
}

class CgiFunction implements Specialised {
  readonly #deployment: Deployment;
  readonly #control: InterruptControl;
  readonly #linkage: CommandLinkage;
  readonly #need: Need;
  readonly #egress: Egress;
  readonly #args: readonly string[];
  readonly #argTable: StringTable;
  readonly #pool: InstancePool<CommandInstance, Invocation>;
  readonly #startWasmer: StartWasmer | null;

  constructor(deployment: Deployment, control: InterruptControl, startWasmer: StartWasmer | null) {
    const { manifest, modules, grants, limits, name } = deployment;
    const [prepared] = manifest.modules;
    const module = prepared && modules.get(prepared.name);
    if (!module) throw new FissiumError('INTERNAL', `the package of ${name} has no core module`);
    this.#deployment = deployment;
    this.#control = control;
    this.#startWasmer = startWasmer;
    this.#linkage = {
      module,
      dialect: startWasmer ? UNSTABLE : PREVIEW1,
      resets: startWasmer === null && manifest.resetBlocker === null,
      window: manifest.command?.window ?? null,
      memory: manifest.command?.memory ?? null,
      memoryPages: memoryPages(manifest, limits.memoryBytes),
      ownMemories: ownMemories(manifest, limits.memoryBytes),
    };
    this.#need = needOf(this.#linkage);
    this.#egress = new Egress(grants.allowedOutboundHosts);
    this.#args = grants.args.length > 0 ? grants.args : [name];
    this.#argTable = new StringTable(this.#args);
    this.#pool = new InstancePool({
      make: (run: Invocation) => new CommandInstance(this.#linkage, run, control),
      budget: threadMemory.idle,
    });
    if (this.#linkage.resets) this.#prepareFirst();
  }

  /** The first request finds an instance, too. */
  #prepareFirst(): void {
    if (!threadMemory.take(this.#need)) return;
    try {
      this.#pool.add(new CommandInstance(this.#linkage, null, this.#control));
    } catch {
      // A command that cannot be instantiated says so to each request.
    }
  }

  async handle(context: InvocationContext): Promise<void> {
    const { request } = context;
    const { grants, limits } = this.#deployment;
    const { bodyLimitBytes } = limits;
    const state = new GuestState({ context, grants, limits, egress: this.#egress });
    const stdin = new Stdin(request.body, bodyLimitBytes);
    let run: Invocation | null = null;
    try {
      const bodyBytes = request.body === null ? null : await bodyLength(context, stdin, state);
      if (bodyBytes !== null && bodyBytes > bodyLimitBytes) throw bodyTooLarge(bodyLimitBytes);
      const environment = cgiEnvironment(request, grants.env, bodyBytes);
      run = new Invocation({
        state,
        stdin,
        args: this.#argTable,
        environment: new StringTable(Array.from(environment, ([name, value]) => `${name}=${value}`)),
      });
      await context.turn.take();
      if (context.signal.aborted) throw clientGone();
      const { sent } = this.#startWasmer
        ? await this.#runWithWasmer(run, environment, this.#startWasmer)
        : await this.#runOnPool(run);
      if (sent) await run.orEnded(sent);
    } finally {
      context.turn.release();
      run?.close();
      state.close();
      stdin.close();
      request.body?.cancel();
    }
  }

  close(): void {
    this.#pool.close();
    void this.#egress.close();
  }

  /** Runs it on an instance of the pool, which is free for the next request when this resolves. */
  async #runOnPool(run: Invocation): Promise<Finished> {
    const { context } = run;
    const instance = this.#take(context) ?? (await this.#room(context)) ?? this.#make(run);
    try {
      await this.#execute(run, instance);
    } catch (error) {
      this.#pool.lost();
      throw error;
    }
    try {
      return { sent: finish(run) };
    } finally {
      this.#pool.release(instance);
      threadMemory.released();
    }
  }

  async #runWithWasmer(run: Invocation, environment: Environment, start: StartWasmer): Promise<Finished> {
    await threadMemory.room(run.context, this.#need);
    const wasmer = start(this.#args, environment);
    try {
      const instance = this.#entered(
        run,
        () => new CommandInstance(this.#linkage, run, this.#control, wasmer),
      );
      try {
        await this.#execute(run, instance);
        return { sent: finish(run) };
      } finally {
        instance.drop();
      }
    } finally {
      wasmer.free();
    }
  }

  /** An instance that is there. */
  #take({ receipt }: InvocationContext): CommandInstance | undefined {
    const startedMs = receipt ? performance.now() : 0;
    const instance = this.#pool.take();
    if (instance && receipt) {
      receipt.instance = 'ready';
      receipt.instantiateMs = performance.now() - startedMs;
    }
    return instance;
  }

  /** Returns once there is room for a new instance, or with one that became free meanwhile. */
  async #room(context: InvocationContext): Promise<CommandInstance | undefined> {
    if (threadMemory.waiting === 0 && threadMemory.take(this.#need)) return undefined;
    let instance: CommandInstance | undefined;
    context.turn.release();
    await threadMemory.wait(() => {
      instance = this.#take(context);
      return instance !== undefined || threadMemory.take(this.#need);
    }, context.signal);
    await context.turn.take();
    return instance;
  }

  #make(run: Invocation): CommandInstance {
    const { receipt } = run;
    const startedMs = receipt ? performance.now() : 0;
    run.state.context.onColdStart?.();
    const instance = this.#entered(run, () => this.#pool.make(run));
    if (receipt) {
      receipt.instance = 'new';
      receipt.instantiateMs = performance.now() - startedMs;
    }
    return instance;
  }

  async #execute(run: Invocation, instance: CommandInstance): Promise<void> {
    const { receipt } = run;
    const startedMs = receipt ? performance.now() : 0;
    try {
      await instance.execute(run);
    } catch (error) {
      throw this.#failureOf(run, error, instance);
    } finally {
      if (receipt) {
        receipt.peakMemoryBytes = instance.wasmMemory?.buffer.byteLength ?? 0;
        receipt.guestMs = Math.max(0, performance.now() - startedMs - receipt.hostMs - receipt.waitingMs);
      }
    }
  }

  /** A start function may fail before there is an instance. */
  #entered(run: Invocation, enter: () => CommandInstance): CommandInstance {
    try {
      return enter();
    } catch (error) {
      throw this.#failureOf(run, error, null);
    }
  }

  #failureOf(run: Invocation, error: unknown, instance: CommandInstance | null): FissiumError {
    const memories = instance?.wasmMemory ? [instance.wasmMemory] : [];
    return guestFailure(run.failure ?? error, memories, this.#deployment.limits.memoryBytes);
  }
}

/** CONTENT_LENGTH must be right (RFC 3875, 4.1.2): a body that comes without a length is read first. */
async function bodyLength(context: InvocationContext, stdin: Stdin, state: GuestState): Promise<number> {
  const announced = context.request.headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1];
  if (announced !== undefined && /^\d+$/.test(announced)) return Number(announced);
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  const forget = state.onEnd(() => reject(clientGone()));
  try {
    return await Promise.race([stdin.buffer(), promise]);
  } finally {
    forget();
  }
}

/** The program has ended: what it wrote is the answer, unless it failed before it had one. */
function finish(run: Invocation): Promise<void> | undefined {
  const { exitCode, stdout, state } = run;
  // Nothing of the guest runs any more; its neighbours need not wait for its client.
  run.context.turn.release();
  if (exitCode !== null && exitCode !== 0) {
    if (!stdout.hasHead) {
      throw new FissiumError(
        'GUEST_EXITED',
        `the function exited with code ${exitCode} before it had answered`,
      );
    }
    state.note(`the function exited with code ${exitCode} after it had answered`);
  }
  return stdout.end();
}

function clientGone(): FissiumError {
  return new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more');
}

export const p1Engine: EngineRuntime = {
  name: 'p1',
  specialise: async (deployment, control) => {
    if (!deployment.manifest.imports.includes(UNSTABLE)) return new CgiFunction(deployment, control, null);
    const { loadWasmer, wasmerRun } = await import('./wasmer.worker.ts');
    await loadWasmer();
    return new CgiFunction(deployment, control, wasmerRun);
  },
};
