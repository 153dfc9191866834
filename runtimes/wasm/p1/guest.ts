/** What the functions of WASI preview 1 work on. */
import type { GuestMemory } from './guest-memory.ts';
import type { Invocation } from './invocation.ts';

/** The module names under which commands import WASI, and what they mean. */
export const PREVIEW1 = 'wasi_snapshot_preview1';
/** The WASI of 2019: the same functions, some structures laid out otherwise. */
export const UNSTABLE = 'wasi_unstable';

/** What a host function works on: one instance, and whom it works for at the moment. */
export interface CommandGuest {
  readonly memory: GuestMemory;
  /** Throws outside of any request. */
  readonly run: Invocation;
  readonly dialect: typeof PREVIEW1 | typeof UNSTABLE;
  /** Makes the guest trap at its next interruption check, whatever it catches. */
  kill(): void;
  /** The guest goes to sleep, and wakes up. */
  suspended(): void;
  resumed(): void;
}

export type Answer = number | Promise<number>;
/** A function of preview 1; i64 parameters come as bigint. */
export type HostFunction = (guest: CommandGuest, ...args: never[]) => Answer;
export type HostFunctions = Readonly<Record<string, HostFunction>>;

export const FD = { stdin: 0, stdout: 1, stderr: 2 } as const;
