import { createHash } from 'node:crypto';

import type { Logger } from 'pino';

import type { ResolvedFunction } from '../../api/index.ts';
import { FissiumError, toErrorData } from '../../errors.ts';
import type { PreparedWasm } from '../package/package-states.ts';
import type { DeployedFunction, DeploySpec, GuestLogPort, HostPort } from '../ports.ts';

/** A version of a function that is being served. */
export interface LiveDeployment {
  readonly invoker: DeployedFunction;
  /** Uid of the function, so that one that was deleted and made again is another. */
  readonly uid: string;
  /** What this is, in messages: `Generation 3, as it was deployed,`. */
  readonly what: string;
  readonly resourceVersion: string | undefined;
  readonly limits: ResolvedFunction['limits'];
  /** Changes when the guest would: code, grants, limits that the guest feels. */
  readonly deployKey: string;
}

/** The versions that the host serves for us, one for each function. */
export class Deployments {
  readonly #host: HostPort;
  readonly #logs: GuestLogPort | undefined;
  readonly #logger: Logger;
  readonly #live = new Map<string, LiveDeployment>();
  readonly #closing = new Set<Promise<void>>();

  constructor({ host, logs, logger }: { host: HostPort; logs: GuestLogPort | undefined; logger: Logger }) {
    this.#host = host;
    this.#logs = logs;
    this.#logger = logger.child({ component: 'deployments' });
  }

  get(key: string): LiveDeployment | undefined {
    return this.#live.get(key);
  }

  /** What the host is to serve for a function, and a key that is the same for the same. */
  specFor(
    fn: ResolvedFunction,
    wasm: PreparedWasm,
    grants: DeploySpec['grants'],
  ): { spec: DeploySpec; deployKey: string } {
    const { namespace, name } = fn;
    const { memoryBytes, cpuTimeMs, cpuWeight, bodyLimitBytes } = fn.limits;
    // The function's own secrets and config maps come last: they count where a package has files of their paths.
    const files = [...(wasm.files === null ? [] : [wasm.files]), ...(grants.files ?? [])];
    const what = {
      manifest: wasm.manifest,
      folder: wasm.folder,
      limits: { memoryBytes, cpuTimeMs, cpuWeight, bodyLimitBytes, ...lifeOf(fn) },
    };
    const onLog: DeploySpec['onLog'] = ({ requestId, stream, line }) => {
      this.#logs?.append({ namespace, function: name, requestId, stream, line, timeMs: Date.now() });
    };
    return {
      spec: {
        namespace,
        name,
        ...what,
        grants: { ...grants, ...(files.length === 0 ? {} : { files }) },
        onLog,
      },
      // Hashed: the grants hold secrets, which need not lie about in yet another place.
      deployKey: createHash('sha256')
        .update(JSON.stringify([wasm.digest, what, { ...grants, files: files.map(({ digest }) => digest) }]))
        .digest('hex'),
    };
  }

  /** @throws FissiumError, whatever the host threw: the function's status is to name it */
  async deploy(spec: DeploySpec): Promise<DeployedFunction> {
    try {
      return await this.#host.deploy(spec);
    } catch (thrown) {
      if (thrown instanceof FissiumError) throw thrown;
      throw new FissiumError('INTERNAL', toErrorData(thrown).message, { cause: thrown });
    }
  }

  /** Makes a version the live one; the one before it is closed once its calls have ended. */
  swap(key: string, live: LiveDeployment): void {
    const before = this.#live.get(key);
    this.#live.set(key, live);
    if (before !== undefined && before.invoker !== live.invoker) this.#close(key, before.invoker);
  }

  /** Takes a function out; call after no new call can reach it. */
  drop(key: string): void {
    const live = this.#live.get(key);
    if (live === undefined) return;
    this.#live.delete(key);
    this.#close(key, live.invoker);
  }

  #close(key: string, deployed: DeployedFunction): void {
    const closing = deployed
      .close()
      .catch((error: unknown) => {
        this.#logger.error({ err: error, function: key }, 'an old version could not be closed');
      })
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

/** How long instances live, where that is not the usual way: a clean one for each request. */
function lifeOf({ wasm: { instance } }: ResolvedFunction): Pick<DeploySpec['limits'], 'instance'> {
  if (instance.mode === 'fresh') return {};
  const { mode, maxRequests, idleTimeoutMs, maxConcurrent } = instance;
  return { instance: { mode, maxRequests, idleTimeoutMs, maxConcurrent } };
}
