/** The main thread's side of one executor thread: its port, its control block and the calls it runs. */
import { MessageChannel } from 'node:worker_threads';
import { FissiumError, toErrorData } from '../../src/errors.ts';
import type { InvokeRequest, StreamedResponse } from '../../src/executors/executor.ts';
import { onMessage } from '../../src/message-port.ts';
import { Call, type CallMessage } from './call.ts';
import { ControlBlock, type RunningGuest } from './control.ts';
import type { Deployment } from './engine.ts';
import type { LimitsHandle } from './pool/shared-limits.ts';
import type { ListenerStart } from '../../src/router/threads/protocol.ts';
import type { ExecutorStart, FromExecutor, ToExecutor } from './protocol.ts';

/** Starts the thread's task; resolves or rejects when the thread is gone. The signal ends the thread. */
export type RunExecutor = (start: ExecutorStart, signal: AbortSignal) => Promise<void>;

export interface ThreadEvents {
  /** A call ended, or began: there may be room for another. */
  changed(): void;
  /** The thread is gone; every call that it had was failed. */
  lost(thread: ExecutorThread, error: unknown): void;
  /** The thread has calls, and nobody watches it. */
  busy(): void;
  /** A call in the thread waits for this function. */
  needs(thread: ExecutorThread, key: string): void;
  /** The thread does not have this function any more. */
  gaveUp(thread: ExecutorThread, key: string): void;
  /** Output of a call that the thread took itself. */
  logged(key: string, requestId: string, stream: 'stdout' | 'stderr', lines: readonly string[]): void;
}

export interface ThreadStart {
  /** How much compiled code the thread may hold, as bytes of Wasm. */
  readonly codeBytes: number;
  readonly limits: LimitsHandle;
  readonly listener: ListenerStart | null;
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

  constructor(run: RunExecutor, events: ThreadEvents, { codeBytes, limits, listener }: ThreadStart) {
    this.#events = events;
    const channel = new MessageChannel();
    this.#port = channel.port1 as unknown as MessagePort;
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    onMessage(this.#port, (messages: readonly FromExecutor[]) => {
      for (const message of messages) {
        if (message.type === 'ready') ready.resolve();
        else this.#receive(message);
      }
    });
    const start: ExecutorStart = {
      port: channel.port2 as unknown as MessagePort,
      control: this.control.memory,
      codeBytes,
      limits,
      listener,
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

  /** Calls that this thread holds, begun or not, its own among them. */
  get load(): number {
    // Those that are on their way to it are not counted there yet.
    return Math.max(this.#calls.size, this.control.calls);
  }

  /** Calls that were sent but whose guest was not entered yet. */
  get unstarted(): number {
    return this.#unstarted;
  }

  running(): RunningGuest {
    return this.control.running();
  }

  isUnwanted(life: number): boolean {
    return this.#byLife.get(life)?.ending != null;
  }

  /** Resolves when this thread serves the function. */
  async specialise(deployment: Deployment): Promise<void> {
    const waiting = Promise.withResolvers<void>();
    this.#specialising.set(deployment.key, waiting);
    this.#send({ type: 'specialise', deployment });
    await waiting.promise;
  }

  /** Tells the thread that a function which it needs cannot be had. */
  refuse(key: string, error: unknown): void {
    this.#send({ type: 'specialise-failed', key, error: toErrorData(error) });
  }

  drop(key: string): void {
    this.#send({ type: 'drop', key });
  }

  invoke(
    key: string,
    request: InvokeRequest,
    onLog: (stream: 'stdout' | 'stderr', lines: readonly string[]) => void,
    onDone: () => void,
  ): Promise<StreamedResponse> {
    const number = this.#nextCall++;
    const call = new Call({
      number,
      request,
      thread: { send: this.#send },
      onLog,
      onDone: (ended) => {
        if (ended.life === 0) this.#unstarted--;
        this.#calls.delete(number);
        this.#byLife.delete(ended.life);
        onDone();
        this.#events.changed();
      },
    });
    this.#calls.set(number, call);
    this.#unstarted++;
    const { id, method, scheme, authority, pathWithQuery, headers } = request;
    this.#send({
      type: 'call',
      call: number,
      key,
      head: { id, method, scheme, authority, pathWithQuery, headers },
      hasBody: request.body !== null,
      wantsReceipt: request.onReceipt !== undefined,
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
    switch (message.type) {
      case 'specialised':
        this.#specialising.get(message.key)?.resolve();
        this.#specialising.delete(message.key);
        return;
      case 'specialise-failed': {
        const { code, message: text } = message.error;
        this.#specialising.get(message.key)?.reject(new FissiumError(code, text));
        this.#specialising.delete(message.key);
        return;
      }
      case 'busy':
        this.#events.busy();
        return;
      case 'need':
        this.#events.needs(this, message.key);
        return;
      case 'gave-up':
        this.#events.gaveUp(this, message.key);
        return;
      case 'guest-log':
        this.#events.logged(message.key, message.requestId, message.stream, message.lines);
        return;
      default:
        this.#receiveForCall(message);
    }
  }

  #receiveForCall(message: CallMessage): void {
    const call = this.#calls.get(message.call);
    if (!call) return;
    call.receive(message);
    if (message.type === 'started') {
      this.#byLife.set(message.life, call);
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
