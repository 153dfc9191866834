/** What the main thread and a listener thread say to each other, over one MessagePort. */
import type { Socket } from 'node:net';
import type { ResolvedFunction, ResolvedTrigger } from '../../api/index.ts';
import type { ErrorData } from '../../errors.ts';
import type { FromExecutor, ToExecutor } from '../../../runtimes/wasm/protocol.ts';
import type { CountsHandle } from '../shared-counts.ts';

/** A function, as its thread's table has it. */
export interface FunctionReplica {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
  readonly limits: ResolvedFunction['limits'];
  readonly startTimeoutMs?: number;
  /** In the shared counts. */
  readonly slot: number;
  readonly state:
    | { readonly phase: 'preparing' }
    | { readonly phase: 'refused'; readonly error: ErrorData }
    /** `threadKey`: what the thread runs it as; null where the main thread has to call it. */
    | { readonly phase: 'ready'; readonly threadKey: string | null; readonly upgrades: boolean };
}

export type TableChange =
  | { readonly do: 'set-function'; readonly function: FunctionReplica }
  | { readonly do: 'delete-function'; readonly namespace: string; readonly name: string }
  | { readonly do: 'set-route'; readonly route: ResolvedTrigger }
  | { readonly do: 'delete-route'; readonly namespace: string; readonly name: string }
  | { readonly do: 'set-ready'; readonly ready: boolean };

/** A function's log line that the router writes: why a call failed. */
export interface PlatformLine {
  readonly namespace: string;
  readonly function: string;
  readonly requestId: string;
  readonly line: string;
  readonly timeMs: number;
}

export type ToListener =
  | { readonly type: 'tables'; readonly number: number; readonly changes: readonly TableChange[] }
  /** A connection that nobody has read from. */
  | { readonly type: 'socket'; readonly socket: Socket }
  | { readonly type: 'drain'; readonly graceMs: number }
  | { readonly type: 'measure'; readonly number: number }
  /** Runs requests of its own through the function that it has as this, over connections that it makes to `port`, */
  | {
      readonly type: 'warm-up';
      readonly threadKey: string;
      readonly port: number;
      readonly connections: number;
    }
  /** and that come to it as any other connection would. */
  | { readonly type: 'warm-up-socket'; readonly socket: Socket }
  /** About a call that this thread asked the main thread to make. */
  | { readonly type: 'call'; readonly message: FromExecutor };

export type FromListener =
  /** Everything up to this number is in the thread's tables. */
  | { readonly type: 'applied'; readonly number: number }
  | { readonly type: 'drained' }
  /** Whether or not it succeeded. */
  | { readonly type: 'warmed-up' }
  | { readonly type: 'measured'; readonly number: number; readonly metrics: unknown }
  | { readonly type: 'log'; readonly line: PlatformLine }
  /** Makes a call of a function that this thread cannot run: its key is `namespace/name`. */
  | { readonly type: 'call'; readonly message: ToExecutor };

/** What a listener thread starts with. */
export interface ListenerStart {
  readonly port: MessagePort;
  /** Word 0: connections that were given to the thread and are not closed. */
  readonly connections: SharedArrayBuffer;
  readonly counts: CountsHandle;
  readonly maxRequests: number;
  /** For `/_version`. */
  readonly version: string;
  /** Of pino. */
  readonly logLevel: string;
  /** See `CallServices.fromRouters`. */
  readonly fromRouters: boolean;
  /** By which keys the passes of requests are made (`src/auth/host-calls.ts`); empty where everybody is let in. */
  readonly callKeys: readonly Uint8Array[];
}
