/** The builds that are waiting, running, or have ended and are not written down yet. */
import type { Logger } from 'pino';

import type { Builder, BuildRequest, BuildResult } from '../../builders/index.ts';
import { FissiumError } from '../../errors.ts';
import { Backoff } from '../../kube/index.ts';
import { isFinal } from './failures.ts';
import { toError } from './to-error.ts';

export type BuildProgress =
  | { readonly phase: 'queued' }
  | { readonly phase: 'running' }
  | { readonly phase: 'succeeded'; readonly result: BuildResult }
  | { readonly phase: 'failed'; readonly error: Error };

interface Build {
  readonly uid: string;
  readonly buildKey: string;
  /** Of the environment that it was asked for with. */
  readonly environmentVersion: string;
  /** Of failures that may pass. */
  readonly backoff: Backoff;
  /** Until it is tried again. */
  retry: NodeJS.Timeout | null;
  readonly abort: AbortController;
  progress: BuildProgress;
}

export interface PackageBuildsOptions {
  readonly builder: Builder;
  readonly logger: Logger;
  /** Has a package (`namespace/name`) reconciled. */
  readonly onChange: (key: string) => void;
  /** Builds at once. @default 2 */
  readonly concurrency?: number;
  /** Delay before what may pass is tried again, doubled each time up to a minute. @default 1000 */
  readonly retryBaseMs?: number;
}

const RETRY_BASE_MS = 1_000;
const RETRY_CAP_MS = 60_000;

/** One build for each package: that of its newest source. */
export class PackageBuilds {
  readonly #options: PackageBuildsOptions;
  readonly #builds = new Map<string, Build>();
  readonly #queue: (() => void)[] = [];
  readonly #pending = new Set<Promise<void>>();
  #running = 0;

  constructor(options: PackageBuildsOptions) {
    this.#options = options;
  }

  /**
   * How far the build of this source is; starts it where it is not known, and ends one of another source. A failure
   * that may pass stays until it is tried again: after a while, or at once when the environment has changed.
   */
  of(key: string, buildKey: string, request: Omit<BuildRequest, 'signal'>): BuildProgress {
    const { uid, environment } = request;
    const environmentVersion = `${environment.uid}/${environment.generation}`;
    const known = this.#builds.get(key);
    const isSame = known?.buildKey === buildKey && known.uid === uid;
    const isMended = known?.retry !== null && known?.environmentVersion !== environmentVersion;
    if (isSame && !isMended) return known.progress;
    this.forget(key);
    return this.#start(key, request, {
      uid,
      buildKey,
      environmentVersion,
      backoff: new Backoff(this.#options.retryBaseMs ?? RETRY_BASE_MS, RETRY_CAP_MS),
    });
  }

  #start(
    key: string,
    request: Omit<BuildRequest, 'signal'>,
    of: Pick<Build, 'uid' | 'buildKey' | 'environmentVersion' | 'backoff'>,
  ): BuildProgress {
    const build: Build = {
      ...of,
      retry: null,
      abort: new AbortController(),
      progress: { phase: 'queued' },
    };
    this.#builds.set(key, build);
    const pending = this.#run(key, build, request).finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
    return build.progress;
  }

  /** What it came to is written down, or nobody wants it any more: then it is ended. */
  forget(key: string): void {
    const build = this.#builds.get(key);
    build?.abort.abort(new Error('the build is not wanted any more'));
    if (build?.retry) clearTimeout(build.retry);
    this.#builds.delete(key);
  }

  async close(): Promise<void> {
    for (const key of this.#builds.keys()) this.forget(key);
    await Promise.all(this.#pending);
    await this.#options.builder.close();
  }

  async #run(key: string, build: Build, request: Omit<BuildRequest, 'signal'>): Promise<void> {
    const { builder, logger } = this.#options;
    const { signal } = build.abort;
    await this.#turn();
    try {
      if (signal.aborted) return;
      this.#set(key, build, { phase: 'running' });
      const result = await builder.build({ ...request, signal });
      this.#set(key, build, { phase: 'succeeded', result });
    } catch (error) {
      if (signal.aborted) return;
      logger.info({ package: key, err: error }, 'a build failed');
      if (!(error instanceof FissiumError && isFinal(error))) this.#tryAgain(key, build, request);
      this.#set(key, build, { phase: 'failed', error: toError(error) });
    } finally {
      this.#running -= 1;
      this.#queue.shift()?.();
    }
  }

  #tryAgain(key: string, failed: Build, request: Omit<BuildRequest, 'signal'>): void {
    if (this.#builds.get(key) !== failed) return;
    failed.retry = setTimeout(() => {
      this.#start(key, request, failed);
      this.#options.onChange(key);
    }, failed.backoff.next());
  }

  #set(key: string, build: Build, progress: BuildProgress): void {
    build.progress = progress;
    if (this.#builds.get(key) === build) this.#options.onChange(key);
  }

  async #turn(): Promise<void> {
    const { concurrency = 2 } = this.#options;
    // Never at once: who asked learns first that it is queued.
    await Promise.resolve();
    while (this.#running >= concurrency) {
      await new Promise<void>((resolve) => {
        this.#queue.push(resolve);
      });
    }
    this.#running += 1;
  }
}
