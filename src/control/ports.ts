/** What the reconcilers need of the rest of the platform. */
import type { Invoker } from '../executors/executor.ts';
import type { DeploySpec } from '../../runtimes/wasm/host.ts';
import type { ProcessSpec } from '../executors/process/index.ts';
import type { GuestFileSet, PreparedManifest } from '../../runtimes/wasm/engine.ts';
import type { FunctionTable, RouteTable } from '../router/index.ts';

export type { DeploySpec, GuestFileSet, PreparedManifest };

/** A function that can be called. */
export interface DeployedFunction extends Invoker {
  /** Takes no more calls, waits for those in flight, then frees what it held. */
  close(): Promise<void>;
}

/** Runs functions: the Wasm host. */
export interface HostPort {
  /** Resolves when every thread serves the function; rejects with a FissiumError if it cannot be served. */
  deploy(spec: DeploySpec): Promise<DeployedFunction>;
}

/** Runs functions of container environments where the platform does so itself. */
export interface ProcessPort {
  /** Resolves when the function's code is loaded; rejects with a FissiumError if it cannot be served. */
  deploy(spec: ProcessSpec): Promise<DeployedFunction>;
}

export interface PreparedPackage {
  readonly manifest: PreparedManifest;
  readonly folder: string;
}

/** Makes packages runnable, once for each digest. */
export interface PreparerPort {
  prepare(wasm: Uint8Array | string, digest: string): Promise<PreparedPackage>;
}

/** Takes what guests write. */
export interface GuestLogPort {
  append(line: {
    readonly namespace: string;
    readonly function: string;
    readonly requestId: string;
    readonly stream: 'stdout' | 'stderr' | 'platform';
    readonly line: string;
    readonly timeMs: number;
  }): void;
}

export type FunctionTablePort = Pick<FunctionTable, 'set' | 'delete' | 'get'>;
export type RouteTablePort = Pick<RouteTable, 'upsert' | 'delete' | 'conflicts' | 'onConflictsChanged'>;

/** @returns the time, for timestamps in status */
export type Clock = () => Date;
