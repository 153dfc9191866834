/** The one shape of everything that is measured: how it is found, started, waited for and stopped. */
import type { Program } from '../programs.ts';

export type Found =
  | { readonly available: true; readonly version: string; readonly how: string }
  | { readonly available: false; readonly why: string };

export interface Running {
  /** Address of the program, without a slash at its end: the program's own paths follow. */
  readonly url: string;
  /** When the process was spawned, on the clock of `performance.now()`. */
  readonly spawnedAt: number;
  /** Its process and the descendants. */
  readonly pids: () => readonly number[];
  /** What it printed, for the report of a failure. */
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

export interface StartOptions {
  /** A folder of its own, which the caller removes: state that survives a restart is kept here. */
  readonly folder: string;
  /**
   * Started so that thousands of requests run at once: limits that it has on connections, requests and instances are
   * raised as far as it lets us. Functions of a platform get the same by the settings they are deployed with.
   */
  readonly noLimits?: boolean;
}

export interface Rival {
  readonly name: string;
  readonly title: string;
  /** What it does with instances: whether a request can see what an earlier one left. */
  readonly isolation: string;
  find(): Promise<Found>;
  /** Null where it can run the program, else why not. */
  refuses(program: Program): string | null;
  /**
   * Does what is needed once before it can be started with the program (deploying to a platform with state), so that
   * `start` is a restart.
   */
  prepare?(program: Program, options: StartOptions): Promise<void>;
  /** Starts a fresh process that serves the program; resolves when it says or shows that it listens. */
  start(program: Program, options: StartOptions): Promise<Running>;
}

/** A platform: functions come and go while it runs. */
export interface RunningPlatform extends Running {
  /**
   * Deploys the bytes as a function and resolves with its address when the platform says that it is ready.
   * `settings` are more arguments of `fissium function create`.
   */
  deploy(name: string, wasm: Uint8Array, settings?: readonly string[]): Promise<string>;
  /** Deploys many, several at a time and without the CLI, and resolves with their addresses when all are ready. */
  deployAll(
    functions: readonly { readonly name: string; readonly wasm: () => Uint8Array }[],
  ): Promise<string[]>;
  /** Replaces the function's code and resolves when the platform says that the new version serves. */
  update(name: string, wasm: Uint8Array): Promise<void>;
}

export interface Platform extends Rival {
  /** The most different codes that it is asked to deploy; to prepare more would take the run hours. */
  readonly maxCodes: number;
  /** Null where a function may keep its instance until that is idle for too long, else why not. */
  readonly neverIdle: string | null;
  startEmpty(options: StartOptions): Promise<RunningPlatform>;
}

export function isPlatform(rival: Rival): rival is Platform {
  return 'startEmpty' in rival;
}
