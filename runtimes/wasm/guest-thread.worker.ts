/**
 * A thread that runs guests: calls come over its MessagePort, or from the thread itself where that owns
 * connections.
 */
import { FissiumError, toErrorData, type ErrorData } from '../../src/errors.ts';
import type { AnswerReceiver, InvokeReceipt, InvokeRequest } from '../../src/executors/executor.ts';
import { heldWrites } from '../../src/held-writes.ts';
import { onMessage } from '../../src/message-port.ts';
import { ControlBlock } from './control.ts';
import type { Deployment, EngineName, EngineReceipt, EngineRuntime, InterruptControl } from './engine.ts';
import { FunctionShelf, type ShelvedFunction } from './function-shelf.worker.ts';
import { GuestCall } from './guest-call.worker.ts';
import { LocalCall } from './local-call.worker.ts';
import { threadMemory } from './pool/thread.ts';
import type { ExecutorStart, FromExecutor, ToExecutor } from './protocol.ts';
import { Turns, type GuestTurn } from './turns.worker.ts';

/** Engines by name; loaded when the first function needs them. */
const ENGINES: Record<EngineName, () => Promise<EngineRuntime>> = {
  component: async () => (await import('./component/component-engine.worker.ts')).componentEngine,
  jco: async () => (await import('./jco/jco-engine.worker.ts')).jcoEngine,
  p1: async () => (await import('./p1/p1.worker.ts')).p1Engine,
};

/** A call on its way through the thread, wherever it came from. */
interface ThreadCall {
  readonly aborted: boolean;
  /** CPU time that it has used before, µs. */
  readonly usedUs: number;
  context(
    turn: GuestTurn,
    receipt: EngineReceipt | null,
  ): Parameters<ShelvedFunction['specialised']['handle']>[0];
  finish(error: ErrorData | null, receipt: InvokeReceipt | null): void;
}

export class GuestThread {
  readonly #port: MessagePort;
  readonly #control: ControlBlock;
  readonly #interrupt: InterruptControl;
  readonly #turns: Turns;
  readonly #shelf: FunctionShelf;
  readonly #calls = new Map<number, GuestCall>();
  /** Calls that wait for a function, by its key. */
  readonly #awaited = new Map<string, PromiseWithResolvers<void>>();
  #outgoing: FromExecutor[] = [];
  #transfer: ArrayBuffer[] = [];
  readonly closed: Promise<void>;
  #close: () => void = () => {};

  constructor(start: ExecutorStart) {
    this.#port = start.port;
    this.#control = new ControlBlock(start.control);
    this.#turns = new Turns(this.#control);
    threadMemory.attach(start.limits, start.control);
    this.#interrupt = { memory: start.control, yield: this.#turns.yield };
    this.#shelf = new FunctionShelf({
      maxBytes: start.codeBytes,
      onEvicted: (key) => this.#post({ type: 'gave-up', key }),
    });
    this.closed = new Promise((resolve) => (this.#close = resolve));
    onMessage(this.#port, (messages: readonly ToExecutor[]) => {
      for (const message of messages) this.#receive(message);
    });
    this.#post({ type: 'ready' });
  }

  /** Runs a call that this thread has itself; `receiver` is told of its answer, or its FissiumError. */
  start(key: string, request: InvokeRequest, receiver: AnswerReceiver): void {
    const { id, onReceipt } = request;
    const here = this.#shelf.enter(key);
    const call = new LocalCall(request, receiver, (stream, lines) =>
      this.#post({ type: 'guest-log', key, requestId: id, stream, lines }),
    );
    const done: ThreadCall = onReceipt
      ? {
          get aborted() {
            return call.aborted;
          },
          get usedUs() {
            return call.usedUs;
          },
          context: (turn, receipt) => call.context(turn, receipt),
          finish: (error, receipt) => {
            onReceipt(receipt);
            call.finish(error);
          },
        }
      : call;
    if (here && call.repeatable && this.#runAtOnce(key, here, call, onReceipt)) return;
    void this.#run(key, done, onReceipt !== undefined, null, here);
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
      case 'specialise-failed':
        this.#arrived(message.key, new FissiumError(message.error.code, message.error.message));
        return;
      case 'drop':
        this.#shelf.remove(message.key);
        return;
      case 'call': {
        const { call, key, head, hasBody, wantsReceipt } = message;
        const guestCall = new GuestCall(call, head, hasBody, this.#post);
        this.#calls.set(call, guestCall);
        const here = this.#shelf.enter(key);
        void this.#run(key, guestCall, wantsReceipt, call, here).then(() => this.#calls.delete(call));
        return;
      }
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
      this.#shelf.add(deployment, await engine.specialise(deployment, this.#interrupt));
      this.#post({ type: 'specialised', key });
      this.#arrived(key, null);
    } catch (error) {
      const data = toErrorData(error);
      this.#post({ type: 'specialise-failed', key, error: data });
      this.#arrived(key, new FissiumError(data.code, data.message));
    }
  }

  #arrived(key: string, error: FissiumError | null): void {
    const awaited = this.#awaited.get(key);
    this.#awaited.delete(key);
    if (error) awaited?.reject(error);
    else awaited?.resolve();
  }

  /**
   * Runs a call of this thread's own to its end, where the function is one that answers without waiting.
   * @param here has been entered
   * @returns whether it did; else nothing of it has been seen, and it is to be run in the usual way
   */
  #runAtOnce(
    key: string,
    { specialised, limits, share }: ShelvedFunction,
    call: LocalCall,
    onReceipt: ((receipt: InvokeReceipt | null) => void) | undefined,
  ): boolean {
    if (specialised.atOnce !== true || !specialised.handleAtOnce || call.aborted) return false;
    // Nobody's answer waits for a guest that may take its time.
    if (specialised.short !== true) heldWrites.flush();
    const turn = this.#turns.for(this.#turns.nextLife(), {
      cpuTimeMs: limits.cpuTimeMs,
      share,
      atOnce: true,
    });
    if (!turn.takeNow()) return false;
    const receipt = onReceipt ? noReceipt() : null;
    this.#count();
    heldWrites.holds = true;
    let done = false;
    try {
      specialised.handleAtOnce(call.attempt(turn, receipt));
    } catch (thrown) {
      // Of a guest that was given up it shows when it is run again.
      if (call.committed) throw thrown;
    } finally {
      heldWrites.holds = false;
      turn.close();
      this.#control.countCall(-1);
      done = call.committed;
      if (done) {
        this.#shelf.leave(key);
        onReceipt?.(receipt && { ...receipt, queueMs: 0, specialiseMs: 0 });
        call.finish(null);
      } else call.giveUp(turn.usedUs);
    }
    return done;
  }

  /** At once: the guest may begin in this turn of the event loop, and not let go of it until somebody watches. */
  #count(): void {
    if (this.#control.countCall(1)) this.#port.postMessage([{ type: 'busy' } satisfies FromExecutor]);
  }

  /**
   * @param number the main thread's number for the call; null for one of this thread's own
   * @param here the function, which has been entered, if it is in the thread
   */
  async #run(
    key: string,
    call: ThreadCall,
    measured: boolean,
    number: number | null,
    here: ShelvedFunction | undefined,
  ): Promise<void> {
    this.#count();
    heldWrites.flush();
    const beganMs = measured ? performance.now() : 0;
    let turn: GuestTurn | null = null;
    let entered = here !== undefined;
    let receipt: InvokeReceipt | null = null;
    let error: ErrorData | null = null;
    try {
      const shelved = here ?? (await this.#fetch(key));
      entered = true;
      const { specialised, limits, share } = shelved;
      const life = this.#turns.nextLife();
      let turnMs = 0;
      const readyMs = measured ? performance.now() : 0;
      turn = this.#turns.for(life, {
        cpuTimeMs: limits.cpuTimeMs,
        share,
        usedUs: call.usedUs,
        isAborted: () => call.aborted,
        ...(number === null && !measured
          ? {}
          : {
              onEntered: () => {
                turnMs = performance.now();
                if (number !== null) this.#post({ type: 'started', call: number, life });
              },
            }),
      });
      const engine = measured ? noReceipt() : null;
      try {
        await specialised.handle(call.context(turn, engine));
      } catch (thrown) {
        if (!turn.overCpu) throw thrown;
        throw new FissiumError(
          'CPU_LIMIT',
          `the function used more CPU time than one request may (${limits.cpuTimeMs} ms); raise spec.wasm.cpuTime if it needs more`,
          { cause: thrown },
        );
      } finally {
        if (engine) {
          const specialiseMs = here ? 0 : readyMs - beganMs;
          receipt = { ...engine, queueMs: Math.max(0, turnMs - readyMs), specialiseMs };
        }
      }
    } catch (thrown) {
      error = toErrorData(thrown);
    }
    call.finish(error, receipt);
    turn?.close();
    if (entered) this.#shelf.leave(key);
    this.#control.countCall(-1);
  }

  /** Asks the main thread for a function that is not here. */
  async #fetch(key: string): Promise<ShelvedFunction> {
    // What arrives may have to give way again before all who wait for it have had their turn.
    for (;;) {
      let awaited = this.#awaited.get(key);
      if (!awaited) {
        awaited = Promise.withResolvers<void>();
        this.#awaited.set(key, awaited);
        this.#post({ type: 'need', key });
      }
      await awaited.promise;
      const shelved = this.#shelf.enter(key);
      if (shelved) return shelved;
    }
  }
}

function noReceipt(): EngineReceipt {
  return { instance: 'new', instantiateMs: 0, guestMs: 0, hostMs: 0, waitingMs: 0, peakMemoryBytes: 0 };
}
