/**
 * An executor thread: owns no listener, takes calls over its MessagePort and runs them. The piscina task stays
 * pending for as long as the thread serves.
 */
import { FissiumError, toErrorData } from '../../src/errors.ts';
import { ControlBlock } from './control.ts';
import type { Deployment, EngineName, EngineRuntime, InterruptControl, Specialised } from './engine.ts';
import { GuestCall } from './guest-call.worker.ts';
import type { ExecutorStart, FromExecutor, ToExecutor } from './protocol.ts';
import { Turns } from './turns.worker.ts';

/** Engines by name; loaded when the first function needs them. */
const ENGINES: Record<EngineName, () => Promise<EngineRuntime>> = {
  component: async () => (await import('./component/component-engine.worker.ts')).componentEngine,
  jco: async () => (await import('./jco/jco-engine.worker.ts')).jcoEngine,
  p1: async () => (await import('./p1/p1.worker.ts')).p1Engine,
};

class Executor {
  readonly #port: MessagePort;
  readonly #interrupt: InterruptControl;
  readonly #turns: Turns;
  readonly #functions = new Map<string, Specialised>();
  readonly #calls = new Map<number, GuestCall>();
  #outgoing: FromExecutor[] = [];
  #transfer: ArrayBuffer[] = [];
  readonly closed: Promise<void>;
  #close: () => void = () => {};

  constructor(start: ExecutorStart) {
    this.#port = start.port;
    this.#turns = new Turns(new ControlBlock(start.control));
    this.#interrupt = { memory: start.control, yield: this.#turns.yield };
    this.closed = new Promise((resolve) => (this.#close = resolve));
    this.#port.onmessage = (event: MessageEvent<readonly ToExecutor[]>) => {
      for (const message of event.data) this.#receive(message);
    };
    this.#post({ type: 'ready' });
  }

  /**
   * Messages leave together, once for each turn of the event loop: a short answer (head, body, end, done) is one
   * message, and the main thread writes it in one go. Waking the other thread is most of what a message costs.
   */
  readonly #post = (message: FromExecutor, transfer?: ArrayBuffer[]): void => {
    if (this.#outgoing.length === 0) setImmediate(this.#flush);
    this.#outgoing.push(message);
    if (transfer) this.#transfer.push(...transfer);
  };

  readonly #flush = (): void => {
    const messages = this.#outgoing;
    const transfer = this.#transfer;
    this.#outgoing = [];
    this.#transfer = [];
    this.#port.postMessage(messages, transfer);
  };

  #receive(message: ToExecutor): void {
    switch (message.type) {
      case 'specialise':
        void this.#specialise(message.deployment);
        return;
      case 'drop':
        this.#functions.get(message.key)?.close();
        this.#functions.delete(message.key);
        return;
      case 'call':
        void this.#run(message);
        return;
      case 'body':
        this.#calls.get(message.call)?.bodyChunk(message.chunk);
        return;
      case 'body-end':
        this.#calls.get(message.call)?.bodyEnd(message.trailers);
        return;
      case 'body-failed':
        this.#calls.get(message.call)?.bodyFailed(message.error);
        return;
      case 'taken':
        this.#calls.get(message.call)?.taken(message.bytes);
        return;
      case 'abort':
        this.#calls.get(message.call)?.abort();
        return;
      case 'close':
        this.#port.close();
        this.#close();
        return;
      default:
        message satisfies never;
    }
  }

  async #specialise(deployment: Deployment): Promise<void> {
    const { key } = deployment;
    try {
      const engine = await ENGINES[deployment.manifest.engine]();
      this.#functions.set(key, await engine.specialise(deployment, this.#interrupt));
      this.#post({ type: 'specialised', key });
    } catch (error) {
      this.#post({ type: 'specialise-failed', key, error: toErrorData(error) });
    }
  }

  async #run(message: Extract<ToExecutor, { type: 'call' }>): Promise<void> {
    const { call } = message;
    const guestCall = new GuestCall(call, message.head, message.hasBody, this.#post);
    this.#calls.set(call, guestCall);
    const turn = this.#turns.for(message.life, {
      onEntered: () => this.#post({ type: 'started', call }),
      isAborted: () => guestCall.aborted,
    });
    try {
      const specialised = this.#functions.get(message.key);
      if (!specialised) throw new FissiumError('INTERNAL', `this thread was never given ${message.key}`);
      await specialised.handle(guestCall.context(turn));
      guestCall.finish(null);
    } catch (error) {
      guestCall.finish(toErrorData(error));
    } finally {
      turn.close();
      this.#calls.delete(call);
    }
  }
}

/** The piscina task: resolves when the main thread closes this executor. */
export default async function execute(start: ExecutorStart): Promise<void> {
  await new Executor(start).closed;
}
