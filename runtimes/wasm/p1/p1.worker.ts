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
import { CONTROL_IMPORT, FISSIUM_IMPORTS, YIELD_IMPORT } from '../rewrite/interrupt.ts';
import { cgiEnvironment, type Environment } from './cgi-request.ts';
import { PREVIEW1, preview1Imports } from './imports.ts';
import { clientGone, Invocation } from './invocation.ts';
import { bodyTooLarge, Stdin } from './stdio.ts';
import { loadWasmer, wasmerRun } from './wasmer.worker.ts';

class CgiFunction implements Specialised {
  readonly #deployment: Deployment;
  readonly #control: InterruptControl;
  readonly #module: WebAssembly.Module;

  constructor(deployment: Deployment, control: InterruptControl) {
    const [prepared] = deployment.manifest.modules;
    const module = prepared && deployment.modules.get(prepared.name);
    if (!module) throw new FissiumError('INTERNAL', `the package of ${deployment.name} has no core module`);
    this.#deployment = deployment;
    this.#control = control;
    this.#module = module;
  }

  async handle(context: InvocationContext): Promise<void> {
    const { request } = context;
    const { bodyLimitBytes } = this.#deployment.limits;
    const run = new Invocation(context, new Stdin(request.body, bodyLimitBytes), this.#control);
    try {
      const bodyBytes = await bodyLength(run);
      if (bodyBytes !== null && bodyBytes > bodyLimitBytes) throw bodyTooLarge(bodyLimitBytes);
      const environment = cgiEnvironment(request, this.#deployment.grants.env, bodyBytes);
      await context.turn.take();
      await this.#execute(run, environment);
      context.turn.release();
      await Promise.race([answer(run), run.dropped]);
    } finally {
      context.turn.release();
      run.close();
      request.body?.cancel();
    }
  }

  close(): void {
    // Nothing outlives a call: each instance is the garbage collector's once its call is over.
  }

  /** Runs the program until it ends by itself; throws where it fails or is ended. */
  async #execute(run: Invocation, environment: Environment): Promise<void> {
    const { grants, limits, name } = this.#deployment;
    if (run.context.signal.aborted) throw clientGone();
    const wasmer = wasmerRun(grants.args.length > 0 ? grants.args : [name], environment);
    const memories: WebAssembly.Memory[] = [];
    try {
      const instance = new WebAssembly.Instance(this.#module, {
        [PREVIEW1]: preview1Imports(run, wasmer.imports),
        [FISSIUM_IMPORTS]: { [CONTROL_IMPORT]: this.#control.memory, [YIELD_IMPORT]: this.#control.yield },
      });
      const { memory, _start: start } = instance.exports;
      if (typeof start !== 'function') throw new FissiumError('INTERNAL', 'the module has lost its _start');
      if (memory instanceof WebAssembly.Memory) {
        memories.push(memory);
        run.memory.attach(memory);
        wasmer.attach(memory);
      }
      // Nothing calls the guest from now on but its own stack.
      run.context.turn.suspendable = () => true;
      await Promise.race([WebAssembly.promising(start as () => void)(), run.dropped]);
    } catch (error) {
      // After its exit the guest is unwound, by whichever way it left open.
      if (run.exitCode === null) throw guestFailure(run.failure ?? error, memories, limits.memoryBytes);
    } finally {
      wasmer.free();
    }
    // A guest that caught the exception that was to unwind it may even have returned.
    if (run.failure !== null) throw guestFailure(run.failure, memories, limits.memoryBytes);
  }
}

/** CONTENT_LENGTH must be right (RFC 3875, 4.1.2): a body that comes without a length is read first. */
async function bodyLength(run: Invocation): Promise<number | null> {
  const { body, headers } = run.context.request;
  if (body === null) return null;
  const announced = headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1];
  if (announced !== undefined && /^\d+$/.test(announced)) return Number(announced);
  return Promise.race([run.stdin.buffer(), run.dropped]);
}

/** The program has ended: what it wrote is the answer, unless it failed before it had one. */
async function answer(run: Invocation): Promise<void> {
  const { exitCode, stdout } = run;
  if (exitCode !== null && exitCode !== 0) {
    if (!stdout.hasHead) {
      throw new FissiumError(
        'GUEST_EXITED',
        `the function exited with code ${exitCode} before it had answered`,
      );
    }
    run.say(`the function exited with code ${exitCode} after it had answered`);
  }
  await stdout.end();
}

export const p1Engine: EngineRuntime = {
  name: 'p1',
  specialise: async (deployment, control) => {
    await loadWasmer();
    return new CgiFunction(deployment, control);
  },
};
