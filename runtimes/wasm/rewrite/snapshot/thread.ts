/** Runs an initialiser in a thread of its own, which is ended whatever it does. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Capture } from './capture.ts';
import { SnapshotDeclined } from './declined.ts';
import type { Runs } from './runs.ts';

export interface GlobalValue {
  /** Place among the globals that the module defines. */
  readonly index: number;
  readonly value: number | bigint;
}

/** What an initialiser left. */
export interface Captured extends Runs {
  readonly pages: number;
  /** All mutable globals of a number type. */
  readonly globals: readonly GlobalValue[];
}

export interface CaptureTask {
  readonly capture: Capture;
  readonly harmless: ReadonlyMap<string, number>;
  readonly maxBytes: number;
}

export type CaptureAnswer =
  | ({ readonly kind: 'captured' } & Captured)
  | { readonly kind: 'called'; readonly module: string; readonly name: string }
  | { readonly kind: 'declined'; readonly reason: string };

/** JavaScript objects in the thread are few; the guest's memory is not among them. */
const HEAP_MB = 128;

/** @throws SnapshotDeclined where it does not end in time, fails, or calls the host */
export async function runInThread(
  capture: Capture,
  options: {
    readonly harmless: ReadonlyMap<string, number>;
    readonly timeoutMs: number;
    readonly maxBytes: number;
    readonly describe: (module: string, name: string) => string;
  },
): Promise<Captured> {
  const task: CaptureTask = { capture, harmless: options.harmless, maxBytes: options.maxBytes };
  const file = new URL(`./run.worker${extname(import.meta.filename)}`, import.meta.url);
  const worker = new Worker(file, {
    workerData: task,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const answer = Promise.withResolvers<CaptureAnswer>();
  const decline = (reason: string): void => answer.resolve({ kind: 'declined', reason });
  worker.once('message', answer.resolve);
  worker.once('error', (error: Error) => decline(`it ends its thread: ${error.message}`));
  worker.once('exit', () => decline('it ends its thread'));
  const timer = setTimeout(() => decline(`it takes longer than ${options.timeoutMs} ms`), options.timeoutMs);
  try {
    const result = await answer.promise;
    if (result.kind === 'captured') return result;
    throw new SnapshotDeclined(
      result.kind === 'called'
        ? `it calls ${options.describe(result.module, result.name)} before its first request`
        : result.reason,
    );
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
