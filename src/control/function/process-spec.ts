/** What a function of a container environment is as a local process. */
import type { FissionFunction, ResolvedEnvironment, ResolvedFunction } from '../../api/index.ts';
import { deployKeyOf, type ProcessSpec } from '../../executors/process/index.ts';
import type { StoredArchive } from '../../packages/index.ts';
import type { GuestLogPort } from '../ports.ts';
import type { FileToMount } from './mounts.ts';

/** Fission's, where the function says nothing. */
const DEFAULT_CONCURRENCY = 500;

export interface ProcessParts {
  readonly object: FissionFunction;
  readonly resolved: ResolvedFunction;
  readonly environment: ResolvedEnvironment;
  readonly archive: StoredArchive;
  readonly env: ProcessSpec['env'];
  readonly files: readonly FileToMount[];
  readonly logs: GuestLogPort | undefined;
}

/** The specification, and a key that is the same for the same. */
export function processSpec(parts: ProcessParts): { spec: ProcessSpec; deployKey: string } {
  const { object, resolved, environment, archive, env, files, logs } = parts;
  const { namespace, name, uid, entrypoint, entrypointOptional, limits } = resolved;
  const { concurrency = 0, requestsPerPod = 0, resources } = object.spec;
  const what = {
    namespace,
    name,
    uid,
    image: environment.image,
    envVersion: environment.version,
    archivePath: archive.path,
    entrypoint,
    entrypointOptional,
    env,
    files: files.map(({ path, content }) => ({ path, content })),
    // The default is one for WebAssembly: an interpreter alone needs half of it.
    memoryBytes: resources?.limits?.['memory'] === undefined ? null : limits.memoryBytes,
    concurrency: concurrency === 0 ? DEFAULT_CONCURRENCY : concurrency,
    requestsPerPod: requestsPerPod === 0 ? 1 : requestsPerPod,
    idleTimeoutMs: resolved.wasm.instance.idleTimeoutMs,
    startTimeoutMs: resolved.startTimeoutMs,
  };
  return {
    spec: {
      ...what,
      onLog: ({ requestId, stream, line }) =>
        logs?.append({ namespace, function: name, requestId, stream, line, timeMs: Date.now() }),
    },
    deployKey: deployKeyOf(what, archive.digest),
  };
}
