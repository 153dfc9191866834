/** What the reconcilers need of the rest of the platform. */
import type { DeployedFunction, DeploySpec } from '../../runtimes/wasm/host.ts';
import type { PreparedManifest } from '../../runtimes/wasm/engine.ts';
import type { FunctionTable, RouteTable } from '../router/index.ts';

export type { DeployedFunction, DeploySpec, PreparedManifest };

/** Runs functions: the Wasm host. */
export interface HostPort {
  /** Resolves when every thread serves the function; rejects with a FissiumError if it cannot be served. */
  deploy(spec: DeploySpec): Promise<DeployedFunction>;
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
