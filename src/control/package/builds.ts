/** The builds that are waiting, running, or have ended and are not written down yet. */
import type { Logger } from 'pino';

import type { Builder, BuildRequest, BuildResult } from '../../builders/index.ts';
import { toError } from './to-error.ts';

export type BuildProgress =
  | { readonly phase: 'queued' }
  | { readonly phase: 'running' }
  | { readonly phase: 'succeeded'; readonly result: BuildResult }
  | { readonly phase: 'failed'; readonly error: Error };

interface Build {
  readonly uid: string;
  readonly buildKey: string;
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
}

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

  /** How far the build of this source is; starts it where it is not known, and ends one of another source. */
  of(key: string, buildKey: string, request: Omit<BuildRequest, 'signal'>): BuildProgress {
    const known = this.#builds.get(key);
    if (known?.buildKey === buildKey && known.uid === request.uid) return known.progress;
    this.forget(key);
    const build: Build = {
      uid: request.uid,
      buildKey,
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
    this.#builds.get(key)?.abort.abort(new Error('the build is not wanted any more'));
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
      this.#set(key, build, { phase: 'failed', error: toError(error) });
    } finally {
      this.#running -= 1;
      this.#queue.shift()?.();
    }
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
