/** Builds in pods: each environment has a builder of its own, which builds one source after another. */
import { randomBytes } from 'node:crypto';

import type { Logger } from 'pino';
import { Agent } from 'undici';

import type { Environment, Package } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import type { Archive } from '../../fetcher/contract.ts';
import { isApiError, isNotFound, RESOURCES } from '../../kube/index.ts';
import { BuildError, type Builder, type BuildRequest, type BuildResult } from '../builder.ts';
import { RunningBuilds } from '../running-builds.ts';
import { BuilderClient, type BuilderClientOptions, BuilderGoneError } from './builder-client.ts';
import { type BuilderPod, BuilderPods, type BuilderPodsOptions } from './builder-pods.ts';

export interface PodBuilderOptions extends BuilderPodsOptions {
  /** The storage service, as pods reach it, e.g. `http://storagesvc.fission`. */
  readonly storageUrl: string;
  /** Longest build, with what brings its source and takes its result. @default 16 minutes */
  readonly timeoutMs?: number;
  readonly ports?: BuilderClientOptions['ports'];
}

/** A minute more than `fissium builder` gives a build, whose own words are better. */
const TIMEOUT_MS = 16 * 60_000;
const NAME_MAX_LENGTH = 40;

export class PodBuilder implements Builder {
  readonly #options: PodBuilderOptions;
  readonly #logger: Logger;
  readonly #pods: BuilderPods;
  readonly #client: BuilderClient;
  readonly #agent = new Agent();
  readonly #running = new RunningBuilds();
  /** By environment, the end of the build that was asked for last. */
  readonly #turns = new Map<string, Promise<void>>();

  private constructor(options: PodBuilderOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ component: 'pod-builder' });
    this.#pods = new BuilderPods({ ...options, logger: this.#logger });
    const { authSecret, ports } = options;
    this.#client = new BuilderClient({
      agent: this.#agent,
      authSecret,
      ...(ports === undefined ? {} : { ports }),
    });
  }

  /** Resolves when it knows which builders there are. */
  static async start(options: PodBuilderOptions): Promise<PodBuilder> {
    const builder = new PodBuilder(options);
    await builder.#pods.synced();
    return builder;
  }

  /** Keeps the environment's builder ready before anything is to be built, or takes it away. */
  async reconcileEnvironment(environment: Environment): Promise<void> {
    if ((environment.spec.builder?.image ?? '') === '') await this.#pods.remove(environment);
    else await this.#pods.ensure(environment);
  }

  build(request: BuildRequest): Promise<BuildResult> {
    return this.#running.run(request.signal, (signal) => this.#build(request, signal));
  }

  /** Ends every build. */
  async close(): Promise<void> {
    await this.#running.close();
    await this.#pods.close();
    await this.#agent.destroy();
  }

  async #build(request: BuildRequest, signal: AbortSignal): Promise<BuildResult> {
    const environment = await this.#environmentOf(request);
    const template = await this.#ensure(environment);
    // Those whose builder does not start all say so, and do not wait for one another.
    await this.#pods.ready(environment, template, signal);
    return this.#inTurn(environment.metadata.uid ?? '', signal, async () => {
      const pod = await this.#pods.ready(environment, template, signal);
      return this.#buildIn(pod, request, signal);
    });
  }

  async #buildIn(
    pod: BuilderPod & { readonly ip: string },
    request: BuildRequest,
    stopped: AbortSignal,
  ): Promise<BuildResult> {
    const { timeoutMs = TIMEOUT_MS, storageUrl } = this.#options;
    const { namespace, name, command } = request;
    const archive = await this.#sourceOf(request);
    const source = `${name.slice(0, NAME_MAX_LENGTH)}-${randomBytes(4).toString('hex')}`;
    const address = { ip: pod.ip, namespace: pod.metadata.namespace ?? 'default' };
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(timeoutMs)]);
    const startMs = performance.now();
    const left = new Set([source]);
    let log = '';
    try {
      await this.#client.fetch(address, { namespace, name, archive }, source, signal);
      const built = await this.#client.build(address, source, command, signal);
      log = built.log;
      left.add(built.artifact);
      const { keepArchive, wasm } = request.environment;
      const { archiveDownloadUrl, checksum } = await this.#client.upload(
        address,
        {
          filename: built.artifact,
          storagesvcurl: storageUrl,
          archivepackage: !(keepArchive || wasm),
        },
        signal,
      );
      const ms = Math.round(performance.now() - startMs);
      this.#logger.info(
        { package: `${namespace}/${name}`, pod: pod.metadata.name, ms },
        'a package was built',
      );
      return { url: archiveDownloadUrl, digest: checksum.sum, log };
    } catch (error) {
      stopped.throwIfAborted();
      throw await this.#described(error, { pod, log, stopped, isLate: signal.aborted, timeoutMs });
    } finally {
      for (const filename of left) this.#cleanSoon(address, filename);
    }
  }

  async #described(
    error: unknown,
    about: {
      readonly pod: BuilderPod;
      readonly log: string;
      readonly stopped: AbortSignal;
      readonly isLate: boolean;
      readonly timeoutMs: number;
    },
  ): Promise<unknown> {
    const { pod, log, stopped, isLate, timeoutMs } = about;
    const withLog = (message: string): string =>
      `${log}${log === '' || log.endsWith('\n') ? '' : '\n'}${message}\n`;
    if (isLate) {
      const message = `The build took longer than ${timeoutMs / 1000} s and was ended.`;
      return new BuildError('BUILD_FAILED', message, withLog(message), { cause: error });
    }
    if (error instanceof BuilderGoneError) {
      const why = await this.#pods.whyGone(pod, stopped);
      const message = `The builder's pod ${pod.metadata.name} went away: ${error.message}.${why === '' ? '' : ` ${why}`}`;
      return new BuildError('BUILDER_UNREACHABLE', message, withLog(message), { cause: error });
    }
    if (error instanceof FissiumError && !(error instanceof BuildError)) {
      return new BuildError(error.code, error.message, withLog(error.message), { cause: error });
    }
    return error;
  }

  /** As it is now: what a build is asked with may be older, and has no podspec. */
  async #environmentOf({ environment: { namespace, name } }: BuildRequest): Promise<Environment> {
    const { client } = this.#options;
    try {
      const found = await client.get<Environment>(RESOURCES.environments, namespace, name);
      if ((found.spec.builder?.image ?? '') !== '') return found;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    throw new FissiumError(
      'BUILDER_UNREACHABLE',
      `Environment ${namespace}/${name} has no builder any more.`,
    );
  }

  async #ensure(environment: Environment): Promise<string> {
    try {
      return await this.#pods.ensure(environment);
    } catch (error) {
      const isOurs = !isApiError(error) && !(error instanceof FissiumError);
      if (isOurs) throw error;
      // Not the package's fault: it is built when the environment is mended.
      throw new FissiumError('BUILDER_UNREACHABLE', `The builder cannot be made: ${error.message}`, {
        cause: error,
      });
    }
  }

  /**
   * The package's source, with its literal, which is not kept in memory. The fetcher checks it. If it is another one by
   * now, the package's next generation ends this build.
   */
  async #sourceOf({ namespace, name, uid }: BuildRequest): Promise<Archive> {
    const pkg = await this.#options.client.get<Package>(RESOURCES.packages, namespace, name);
    const { source } = pkg.spec;
    if (pkg.metadata.uid === uid && source !== undefined && source !== null) return source;
    throw new Error('the package was replaced meanwhile');
  }

  async #inTurn<T>(environmentUid: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(environmentUid) ?? Promise.resolve();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const turn = before.then(() => done);
    this.#turns.set(environmentUid, turn);
    try {
      await before;
      signal.throwIfAborted();
      return await work();
    } finally {
      resolve();
      if (this.#turns.get(environmentUid) === turn) this.#turns.delete(environmentUid);
    }
  }

  /** What is left in the volume. Builders of old know no such request; their pods' volumes end with them. */
  #cleanSoon(address: { ip: string; namespace: string }, filename: string): void {
    this.#running.add(
      this.#client
        .clean(address, filename)
        .catch((error: unknown) =>
          this.#logger.debug({ err: error, filename }, 'the builder does not clean up'),
        ),
    );
  }
}
