/**
 * Calls that a listener thread has the main thread make, because their function is not the thread's to run: in an
 * executor thread, a process, a pod. The thread's side is a client of the same protocol by which the main thread
 * calls executor threads; here the main thread answers.
 */
import { Readable } from 'node:stream';
import { Call, type CallMessage } from '../../../runtimes/wasm/call.ts';
import { GuestCall } from '../../../runtimes/wasm/guest-call.worker.ts';
import type { FromExecutor, ToExecutor } from '../../../runtimes/wasm/protocol.ts';
import type { GuestBodySource, GuestResponseSink } from '../../../runtimes/wasm/engine.ts';
import { toErrorData } from '../../errors.ts';
import type {
  CallSignal,
  HeaderList,
  InvokeReceipt,
  InvokeRequest,
  Invoker,
  StreamedResponse,
} from '../../executors/executor.ts';
import { toFissiumError } from '../answers.ts';

type Send<Message> = (message: Message, transfer?: ArrayBuffer[]) => void;

/** The listener thread's side. */
export class RemoteCalls {
  readonly #send: Send<ToExecutor>;
  readonly #calls = new Map<number, Call>();
  #next = 1;

  constructor(send: Send<ToExecutor>) {
    this.#send = send;
  }

  /** @param key `namespace/name` */
  invoke(key: string, request: InvokeRequest): Promise<StreamedResponse> {
    const number = this.#next++;
    const call = new Call({
      number,
      request,
      thread: { send: this.#send },
      onLog: () => undefined,
      onDone: () => this.#calls.delete(number),
    });
    this.#calls.set(number, call);
    const { id, method, scheme, authority, pathWithQuery, headers, body, onReceipt, upgrade } = request;
    this.#send({
      type: 'call',
      call: number,
      key,
      head: {
        id,
        method,
        scheme,
        authority,
        pathWithQuery,
        headers,
        ...(upgrade === undefined ? {} : { upgrade }),
      },
      hasBody: body !== null,
      wantsReceipt: onReceipt !== undefined,
    });
    return call.response;
  }

  receive(message: FromExecutor): void {
    if (!('call' in message)) return;
    this.#calls.get(message.call)?.receive(message satisfies CallMessage);
  }
}

/** The main thread's side, for one listener thread. */
export class RemoteCallServer {
  readonly #invokerOf: (key: string) => Invoker;
  readonly #send: Send<FromExecutor>;
  readonly #calls = new Map<number, GuestCall>();

  /** @param invokerOf throws a FissiumError where the function cannot be called */
  constructor(invokerOf: (key: string) => Invoker, send: Send<FromExecutor>) {
    this.#invokerOf = invokerOf;
    this.#send = send;
  }

  receive(message: ToExecutor): void {
    switch (message.type) {
      case 'call':
        void this.#serve(message);
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
      default:
        return;
    }
  }

  /** The thread is gone, and everybody who waited for an answer with it. */
  close(): void {
    for (const call of this.#calls.values()) call.abort();
  }

  async #serve(message: Extract<ToExecutor, { type: 'call' }>): Promise<void> {
    const { call: number, key, head, hasBody, wantsReceipt } = message;
    const call = new GuestCall(number, head, hasBody, this.#send);
    this.#calls.set(number, call);
    let receipt: InvokeReceipt | null = null;
    try {
      const { source, sink, signal } = call.ends();
      const request: InvokeRequest = {
        ...head,
        ...(source ? readableOf(source) : { body: null }),
        signal,
        clock: {
          starting: (startingMs) => this.#send({ type: 'clock', call: number, startingMs }),
          started: () => this.#send({ type: 'clock', call: number, startingMs: null }),
        },
        ...(wantsReceipt ? { onReceipt: (made: InvokeReceipt | null) => (receipt = made) } : {}),
      };
      const response = await this.#invokerOf(key).invoke(request);
      call.answers(response.coldStart);
      sink.head(response.status, response.headers);
      stopWith(signal, response.body);
      await pump(response.body, sink);
      sink.end(await response.trailers);
      // What the client still sends goes on to the function.
      await response.closed;
      call.finish(null, receipt);
    } catch (error) {
      call.finish(toErrorData(error), receipt);
    } finally {
      this.#calls.delete(number);
    }
  }
}

function readableOf(source: GuestBodySource): { body: Readable; trailers: Promise<HeaderList> } {
  const { promise, resolve } = Promise.withResolvers<HeaderList>();
  const step = async (): Promise<Uint8Array | null> => {
    const chunk = await source.read();
    if (chunk === null) resolve(await source.trailers());
    return chunk;
  };
  const body = new Readable({
    read() {
      step().then(
        (chunk) => this.push(chunk),
        (error: unknown) => this.destroy(toFissiumError(error)),
      );
    },
    destroy(error, callback) {
      source.cancel();
      resolve([]);
      callback(error);
    },
  });
  return { body, trailers: promise };
}

/** A client that goes while the function is silent is known to the function at once, not with its next byte. */
function stopWith(signal: CallSignal, body: Readable | Uint8Array): void {
  if (!(body instanceof Readable)) return;
  body.on('error', () => undefined);
  const stop = (): void => void body.destroy(toFissiumError(signal.reason));
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
}

async function pump(body: Readable | Uint8Array, sink: GuestResponseSink): Promise<void> {
  if (!(body instanceof Readable)) {
    await sink.write(body);
    return;
  }
  for await (const chunk of body) await sink.write(chunk as Uint8Array);
}
