/**
 * Messages between the main thread and one executor thread, over one MessagePort. Calls are multiplexed by
 * `call`, a number that is unique within the thread. Bodies flow by credit: a side sends only what the other
 * has asked for, so that a slow reader holds at most {@link BODY_WINDOW_BYTES} of a body in this process.
 */
import type { HeaderList } from '../../src/executors/executor.ts';
import type { ErrorData } from '../../src/errors.ts';
import type { Deployment } from './engine.ts';

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
}

/** Sent in arrays, like {@link FromExecutor}. */
export type ToExecutor =
  | { readonly type: 'specialise'; readonly deployment: Deployment }
  | { readonly type: 'drop'; readonly key: string }
  | {
      readonly type: 'call';
      readonly call: number;
      readonly key: string;
      /** Names this life of an instance in the interruption word. */
      readonly life: number;
      readonly head: RequestHead;
      readonly hasBody: boolean;
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
  | { readonly type: 'specialised'; readonly key: string }
  | { readonly type: 'specialise-failed'; readonly key: string; readonly error: ErrorData }
  /** The guest was entered: the call has begun. */
  | { readonly type: 'started'; readonly call: number }
  /** The guest can take this many more bytes of the request body. */
  | { readonly type: 'want'; readonly call: number; readonly bytes: number }
  /** The guest reads no more of the request body. */
  | { readonly type: 'body-cancelled'; readonly call: number }
  | { readonly type: 'head'; readonly call: number; readonly status: number; readonly headers: HeaderList }
  | { readonly type: 'chunk'; readonly call: number; readonly chunk: Uint8Array }
  | { readonly type: 'end'; readonly call: number; readonly trailers: HeaderList }
  | {
      readonly type: 'log';
      readonly call: number;
      readonly stream: 'stdout' | 'stderr';
      readonly lines: readonly string[];
    }
  /** The guest is gone: it returned (no error) or failed. Always the last message of a call. */
  | { readonly type: 'done'; readonly call: number; readonly error: ErrorData | null };

/** What an executor thread starts with. */
export interface ExecutorStart {
  readonly port: MessagePort;
  /** The thread's control block (see `control.ts`). */
  readonly control: WebAssembly.Memory;
}
