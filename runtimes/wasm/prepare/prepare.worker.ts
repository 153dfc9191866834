/** The prepare thread's task. Failures come back as data: an error that crosses a thread loses its class. */
import { toErrorData, type ErrorData } from '../../../src/errors.ts';
import type { PreparedManifest } from '../engine.ts';
import { runPrepareJob, type PrepareJob } from './job.ts';

export type PrepareOutcome = { readonly manifest: PreparedManifest } | { readonly error: ErrorData };

export default async function prepare(job: PrepareJob): Promise<PrepareOutcome> {
  try {
    return { manifest: await runPrepareJob(job) };
  } catch (error) {
    // A lack of memory must reach the pool as what it is.
    if (error instanceof RangeError && /memory/i.test(error.message)) throw error;
    return { error: toErrorData(error) };
  }
}
