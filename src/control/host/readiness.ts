/**
 * When a host that starts may take calls. Routers send it calls of any function of its environment from then on, so
 * whatever other hosts serve it has to serve as well: a package that it cannot fetch yet, or a secret that it may not
 * read yet, would be a 503 that its neighbours do not give.
 *
 * It does not wait for a function that it has refused for good. Its neighbours may serve that one all the same, in an
 * earlier version that no object names any more. Routers pass over a host that refuses where another one serves.
 */
import type { Logger } from 'pino';

import type { FissionFunction } from '../../api/index.ts';
import { splitKey } from '../../kube/index.ts';
import type { FunctionTablePort } from '../ports.ts';
import { findCondition } from '../status.ts';
import type { WatchedKind } from '../watched.ts';

/** Then it takes calls all the same: one function that only others can serve must not cost all of them a host. */
const LIMIT_MS = 30_000;

export interface HostReadinessOptions {
  readonly functions: Pick<WatchedKind<FissionFunction>, 'keys' | 'getByKey'>;
  readonly table: Pick<FunctionTablePort, 'get'>;
  readonly logger: Logger;
  /** @default 30000 */
  readonly limitMs?: number | undefined;
}

export class HostReadiness {
  readonly #options: HostReadinessOptions;
  readonly #reached = Promise.withResolvers<void>();
  /** Functions (`namespace/name`) that are not served yet; null before they are known. */
  #awaited: Set<string> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: HostReadinessOptions) {
    this.#options = options;
  }

  /** Begins with the functions that there are now, each of which has been tried once; at once over where it was closed. */
  async served(): Promise<void> {
    // A host that ends while it starts gets here when its queues have let go.
    if (this.#isClosed) return;
    const { functions, logger, limitMs = LIMIT_MS } = this.#options;
    this.#awaited = new Set(functions.keys());
    this.#timer = setTimeout(() => {
      logger.warn(
        { functions: [...(this.#awaited ?? [])] },
        'the host takes calls though functions that are ready elsewhere are not so here',
      );
      this.close();
    }, limitMs);
    this.look();
    await this.#reached.promise;
  }

  /** To be called when what is known of any function has changed. */
  look(): void {
    if (this.#awaited === null) return;
    for (const key of this.#awaited) if (!this.#isAwaited(key)) this.#awaited.delete(key);
    if (this.#awaited.size === 0) this.close();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#reached.resolve();
  }

  #isAwaited(key: string): boolean {
    const fn = this.#options.functions.getByKey(key);
    if (fn === undefined || !isForHosts(fn)) return false;
    const { namespace, name } = splitKey(key);
    const state = this.#options.table.get(namespace, name)?.state;
    if (state === undefined || state.phase === 'preparing') return true;
    return state.phase === 'refused' && state.error.code === 'FUNCTION_NOT_READY';
  }
}

/** Whether a function is ready on other hosts, or waits for nothing but hosts: what else keeps it the controller says. */
function isForHosts({ status }: FissionFunction): boolean {
  const ready = findCondition(status, 'Ready');
  return ready?.status === 'True' || (ready?.status === 'Unknown' && ready.reason !== 'PackagePending');
}
