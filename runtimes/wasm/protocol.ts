/**
 * Messages between the main thread and one executor thread, over one MessagePort. Calls are multiplexed by
 * `call`, a number that is unique within the thread. Bodies flow by credit: a side sends only what the other
 * has asked for, so that a slow reader holds at most {@link BODY_WINDOW_BYTES} of a body in this process.
 */
import type { HeaderList, InvokeReceipt } from '../../src/executors/executor.ts';
import type { ErrorData } from '../../src/errors.ts';
import type { ListenerStart } from '../../src/router/threads/protocol.ts';
import type { Deployment } from './engine.ts';
import type { LimitsHandle } from './pool/shared-limits.ts';

/** How many bytes of one body may be under way between the threads. */
export const BODY_WINDOW_BYTES = 256 * 1024;

/** What a client took is told once it adds up to this; far below the window, so that nobody waits for it. */
export const TAKEN_STEP_BYTES = 64 * 1024;

/** The request without its body, as plain data. */
export interface RequestHead {
  readonly id: string;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly pathWithQuery: string;
  readonly headers: HeaderList;
  /** See `InvokeRequest.upgrade`. */
  readonly upgrade?: string;
}

/** Sent in arrays, like {@link FromExecutor}. */
export type ToExecutor =
  | { readonly type: 'specialise'; readonly deployment: Deployment }
  /** What a thread needs cannot be had. */
  | { readonly type: 'specialise-failed'; readonly key: string; readonly error: ErrorData }
  | { readonly type: 'drop'; readonly key: string }
  | {
      readonly type: 'call';
      readonly call: number;
      readonly key: string;
      readonly head: RequestHead;
      readonly hasBody: boolean;
      /** Whether `done` is to carry a receipt. */
      readonly wantsReceipt: boolean;
    }
  | { readonly type: 'body'; readonly call: number; readonly chunk: Uint8Array }
  | { readonly type: 'body-end'; readonly call: number; readonly trailers: HeaderList }
  | { readonly type: 'body-failed'; readonly call: number; readonly error: ErrorData }
  /** The client took this many bytes of the answer. */
  | { readonly type: 'taken'; readonly call: number; readonly bytes: number }
  | { readonly type: 'abort'; readonly call: number }
  | { readonly type: 'close' };

/** Sent in arrays: whatever a thread had to say in one turn of its event loop, in order. */
export type FromExecutor =
  | { readonly type: 'ready' }
  /** A call came while nobody watched the thread. */
  | { readonly type: 'busy' }
  /** A call waits for a function that this thread does not have (any more). */
  | { readonly type: 'need'; readonly key: string }
  /** Given up to make room; asked for again when it is called. */
  | { readonly type: 'gave-up'; readonly key: string }
  /** Lines of a call that the thread took itself. */
  | {
      readonly type: 'guest-log';
      readonly key: string;
      readonly requestId: string;
      readonly stream: 'stdout' | 'stderr';
      readonly lines: readonly string[];
    }
  | { readonly type: 'specialised'; readonly key: string }
  | { readonly type: 'specialise-failed'; readonly key: string; readonly error: ErrorData }
  /** The guest was entered: the call has begun. `life` names it in the control block. */
  | { readonly type: 'started'; readonly call: number; readonly life: number }
  /** See `StartClock`: its function is being started, within so many ms; null: it is there, and its time begins. */
  | { readonly type: 'clock'; readonly call: number; readonly startingMs: number | null }
  /** The guest can take this many more bytes of the request body. */
  | { readonly type: 'want'; readonly call: number; readonly bytes: number }
  /** The guest reads no more of the request body. */
  | { readonly type: 'body-cancelled'; readonly call: number }
  | {
      readonly type: 'head';
      readonly call: number;
      readonly status: number;
      readonly headers: HeaderList;
      readonly coldStart: boolean;
    }
  | { readonly type: 'chunk'; readonly call: number; readonly chunk: Uint8Array }
  | { readonly type: 'end'; readonly call: number; readonly trailers: HeaderList }
  | {
      readonly type: 'log';
      readonly call: number;
      readonly stream: 'stdout' | 'stderr';
      readonly lines: readonly string[];
    }
  /** The guest is gone: it returned (no error) or failed. Always the last message of a call. */
  | {
      readonly type: 'done';
      readonly call: number;
      readonly error: ErrorData | null;
      readonly receipt: InvokeReceipt | null;
    };

/** What a thread starts with. */
export interface ExecutorStart {
  readonly port: MessagePort;
  /** The thread's control block (see `control.ts`). */
  readonly control: WebAssembly.Memory;
  /** How much compiled code the thread may hold, as bytes of Wasm. */
  readonly codeBytes: number;
  /** The thread's share in what all of them may hold together. */
  readonly limits: LimitsHandle;
  /** What a listener thread takes connections from; null for an executor. */
  readonly listener: ListenerStart | null;
}
