/** The main thread's side of one executor thread: its port, its control block and the calls it runs. */
import { MessageChannel } from 'node:worker_threads';
import { FissiumError, toErrorData } from '../../src/errors.ts';
import type { InvokeRequest, InvokeResponse } from '../../src/executors/executor.ts';
import { Call, type CallMessage } from './call.ts';
import { ControlBlock, type RunningGuest } from './control.ts';
import type { Deployment } from './engine.ts';
import type { ExecutorStart, FromExecutor, ToExecutor } from './protocol.ts';

/** Starts the thread's task; resolves or rejects when the thread is gone. The signal ends the thread. */
export type RunExecutor = (start: ExecutorStart, signal: AbortSignal) => Promise<void>;

export interface ThreadEvents {
  /** A call ended, or began: there may be room for another. */
  changed(): void;
  /** The thread is gone; every call that it had was failed. */
  lost(thread: ExecutorThread, error: unknown): void;
}

export class ExecutorThread {
  readonly control = new ControlBlock();
  readonly ready: Promise<void>;
  /** Settles when the thread is gone. */
  readonly gone: Promise<void>;
  #alive = true;
  #outgoing: ToExecutor[] = [];
  #transfer: ArrayBuffer[] = [];
  #unstarted = 0;
  #nextCall = 1;
  readonly #port: MessagePort;
  readonly #abort = new AbortController();
  readonly #calls = new Map<number, Call>();
  readonly #byLife = new Map<number, Call>();
  readonly #specialising = new Map<string, PromiseWithResolvers<void>>();
  readonly #events: ThreadEvents;

  constructor(run: RunExecutor, events: ThreadEvents) {
    this.#events = events;
    const channel = new MessageChannel();
    this.#port = channel.port1 as unknown as MessagePort;
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#port.onmessage = (event: MessageEvent<readonly FromExecutor[]>) => {
      for (const message of event.data) {
        if (message.type === 'ready') ready.resolve();
        else this.#receive(message);
      }
    };
    const start: ExecutorStart = {
      port: channel.port2 as unknown as MessagePort,
      control: this.control.memory,
    };
    this.gone = run(start, this.#abort.signal).then(
      () => this.#lost(undefined),
      (error: unknown) => {
        ready.reject(error);
        this.#lost(error);
      },
    );
    // A thread that dies before it is ready is reported through `lost` as well.
    this.ready.catch(() => {});
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Calls that this thread holds, begun or not. */
  get load(): number {
    return this.#calls.size;
  }

  /** Calls that were sent but whose guest was not entered yet. */
  get unstarted(): number {
    return this.#unstarted;
  }

  running(): RunningGuest {
    return this.control.running();
  }

  call(life: number): Call | undefined {
    return this.#byLife.get(life);
  }

  /** Resolves when this thread serves the function. */
  async specialise(deployment: Deployment): Promise<void> {
    const waiting = Promise.withResolvers<void>();
    this.#specialising.set(deployment.key, waiting);
    this.#send({ type: 'specialise', deployment });
    await waiting.promise;
  }

  drop(key: string): void {
    this.#send({ type: 'drop', key });
  }

  invoke(
    deployment: Deployment,
    request: InvokeRequest,
    onLog: (stream: 'stdout' | 'stderr', lines: readonly string[]) => void,
    onDone: () => void,
  ): Promise<InvokeResponse> {
    const number = this.#nextCall;
    // Lives are positive 31-bit numbers in the control block; a wrapped one is long gone.
    this.#nextCall = number === 0x7fffffff ? 1 : number + 1;
    const call = new Call({
      number,
      life: number,
      cpuTimeMs: deployment.limits.cpuTimeMs,
      request,
      thread: { send: this.#send },
      coldStart: true,
      onLog,
      onDone: (ended) => {
        if (!ended.started) this.#unstarted--;
        this.#calls.delete(number);
        this.#byLife.delete(ended.life);
        onDone();
        this.#events.changed();
      },
    });
    this.#calls.set(number, call);
    this.#byLife.set(call.life, call);
    this.#unstarted++;
    const { id, method, scheme, authority, pathWithQuery, headers } = request;
    this.#send({
      type: 'call',
      call: number,
      key: deployment.key,
      life: call.life,
      head: { id, method, scheme, authority, pathWithQuery, headers },
      hasBody: request.body !== null,
    });
    return call.response;
  }

  /** Ends the thread at once: the last resort, for a guest that cannot be interrupted. */
  terminate(): void {
    this.#abort.abort();
  }

  /** Lets the thread's task return. Calls that it still runs are lost: drain first. */
  close(): void {
    this.#send({ type: 'close' });
  }

  /** What is to be sent leaves together, once for each turn of the event loop: see `executor.worker.ts`. */
  readonly #send = (message: ToExecutor, transfer?: ArrayBuffer[]): void => {
    if (this.#outgoing.length === 0) setImmediate(this.#flush);
    this.#outgoing.push(message);
    if (transfer) this.#transfer.push(...transfer);
  };

  readonly #flush = (): void => {
    const messages = this.#outgoing;
    const transfer = this.#transfer;
    this.#outgoing = [];
    this.#transfer = [];
    if (this.#alive) this.#port.postMessage(messages, transfer);
  };

  #receive(message: Exclude<FromExecutor, { type: 'ready' }>): void {
    if (message.type === 'specialised') {
      this.#specialising.get(message.key)?.resolve();
      this.#specialising.delete(message.key);
      return;
    }
    if (message.type === 'specialise-failed') {
      const { code, message: text } = message.error;
      this.#specialising.get(message.key)?.reject(new FissiumError(code, text));
      this.#specialising.delete(message.key);
      return;
    }
    this.#receiveForCall(message);
  }

  #receiveForCall(message: CallMessage): void {
    const call = this.#calls.get(message.call);
    if (!call) return;
    call.receive(message);
    if (message.type === 'started') {
      this.#unstarted--;
      this.#events.changed();
    }
  }

  #lost(error: unknown): void {
    this.#alive = false;
    this.#port.close();
    const failure = new FissiumError('THREAD_LOST', 'the thread that ran this request ended', {
      cause: error,
    });
    for (const waiting of this.#specialising.values()) waiting.reject(failure);
    for (const call of this.#calls.values()) call.finish(toErrorData(failure));
    this.#events.lost(this, error);
  }
}
