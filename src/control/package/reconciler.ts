import { setTimeout as delay } from 'node:timers/promises';

import type { Logger } from 'pino';

import { type Archive, type Package, resolvePackage } from '../../api/index.ts';
import { BuildError, type BuildRequest, type BuildResult } from '../../builders/index.ts';
import { FissiumError } from '../../errors.ts';
import { isNotFound, keyOf, RESOURCES } from '../../kube/index.ts';
import {
  type ArchiveFetcher,
  type ArchiveStore,
  readPackageFiles,
  SeveralModulesError,
  type StoredArchive,
  unpackWasm,
} from '../../packages/index.ts';
import { announce } from '../announce.ts';
import type { ReconcilerContext } from '../context.ts';
import { lookUp } from '../look-up.ts';
import type { GuestFileSet, PreparerPort } from '../ports.ts';
import { environmentOf } from '../resolutions.ts';
import { findCondition } from '../status.ts';
import { pinOf } from './archives-in-use.ts';
import {
  BUILT_FROM,
  buildKeyOf,
  buildStateOf,
  hasBuildFailed,
  isBuilt,
  isRebuildAsked,
} from './build-state.ts';
import type { PackageBuilds } from './builds.ts';
import { failureReason, isFinal } from './failures.ts';
import type { EarlierPackage, PackageStates, PreparedWasm, ReadyPackage } from './package-states.ts';
import { planPackage } from './plan.ts';
import { viewOf } from './slim.ts';
import { type PackageOutcome, packageStatus, type PackageStatus } from './status.ts';

export interface PackageReconcilerParts {
  readonly context: ReconcilerContext;
  readonly states: PackageStates;
  readonly archives: ArchiveStore;
  readonly fetcher: ArchiveFetcher;
  readonly preparer: PreparerPort;
  /** Builds sources. @default another process does */
  readonly builds?: PackageBuilds;
}

/** Preparing that takes longer than this is written into the status. */
const RUNNING_AFTER_MS = 250;

/**
 * Brings a package's archive into the store, checks and prepares it, and says so in its status. One package is
 * fetched once for each generation, and prepared once for each digest.
 */
export class PackageReconciler {
  readonly #parts: PackageReconcilerParts;
  readonly #logger: Logger;

  constructor(parts: PackageReconcilerParts) {
    this.#parts = parts;
    this.#logger = parts.context.logger.child({ component: 'package-reconciler' });
  }

  async reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { context, states } = this.#parts;
    const pkg = context.watched.packages.getByKey(key);
    if (pkg === undefined || pkg.metadata.deletionTimestamp !== undefined) {
      states.delete(key);
      this.#parts.builds?.forget(key);
      return;
    }
    const view = viewOf(pkg);
    const named = view.ok ? view.value.environment : undefined;
    const environment = named && (await lookUp(context.client, context.watched.environments, named));
    const buildState = view.ok ? buildStateOf(this.#latest(pkg), view.value) : 'none';
    const plan = planPackage(view, environment && environmentOf(environment), buildState);
    if (plan.kind !== 'build') this.#parts.builds?.forget(key);
    if (buildState === 'given' && view.ok && this.#parts.builds !== undefined) {
      await this.#remember(pkg, { [BUILT_FROM]: buildKeyOf(view.value) });
    }
    switch (plan.kind) {
      case 'build':
        return this.#build(pkg, plan.environment, signal);
      case 'store':
        states.set(pkg, { phase: 'stored', fetch: this.#fetcherFor(pkg, plan.archive) });
        return this.#write(pkg, { kind: 'stored', buildStatus: plan.buildStatus });
      case 'wait':
      case 'fail':
        states.set(pkg, { phase: 'failed', error: plan.error });
        return this.#write(pkg, {
          kind: plan.kind === 'wait' ? 'waiting' : 'failed',
          reason: plan.reason,
          error: plan.error,
        });
      case 'prepare':
        return this.#prepare(pkg, plan.archive, signal);
    }
  }

  /**
   * Has the source built, and takes the result over as the deployment: the next generation is that of the result.
   * What is deployed serves meanwhile.
   */
  async #build(pkg: Package, environment: BuildRequest['environment'], signal: AbortSignal): Promise<void> {
    const { builds, states } = this.#parts;
    const view = viewOf(pkg);
    const earlier = this.#earlierOf(pkg, environment);
    states.set(pkg, { phase: 'pending', ...earlier });
    if (!view.ok) return;
    const current = this.#latest(pkg);
    const failed = hasBuildFailed(current) && !isRebuildAsked(current);
    if (failed) {
      const message = findCondition(current.status, 'Ready')?.message ?? 'The build failed.';
      states.set(pkg, { phase: 'failed', error: new FissiumError('BUILD_FAILED', message), ...earlier });
      return;
    }
    // Another process builds it; its result comes by the watch.
    if (builds === undefined) return;
    const key = keyOf(pkg);
    const { namespace = '', name, uid = '' } = pkg.metadata;
    const { source, sourceLiteralDigest, buildCommand } = view.value;
    const progress = builds.of(key, buildKeyOf(view.value), {
      namespace,
      name,
      uid,
      environment,
      command: buildCommand === '' ? environment.builder.command : buildCommand,
      source: () => this.#fetch(pkg, source ?? { type: 'literal' }, undefined, 'source', sourceLiteralDigest),
    });
    switch (progress.phase) {
      case 'queued':
        return this.#write(pkg, { kind: 'building', phase: 'pending' });
      case 'running':
        return this.#write(pkg, { kind: 'building', phase: 'running' });
      case 'succeeded':
        return this.#takeOver(pkg, buildKeyOf(view.value), progress.result, signal);
      case 'failed':
        return this.#buildFailed(pkg, progress.error, earlier);
    }
  }

  /** Nothing is fetched before a function asks for it: those that are served already do not. */
  #earlierOf(pkg: Package, environment: BuildRequest['environment']): { readonly earlier?: EarlierPackage } {
    const view = viewOf(pkg);
    const deployment = view.ok ? view.value.deployment : null;
    if (deployment === null) return {};
    const fetch = (): Promise<StoredArchive> => this.#fetch(pkg, deployment, undefined);
    if (!environment.wasm) return { earlier: { stored: { fetch } } };
    const selector = once(async () => this.#selector(await fetch()));
    const select: ReadyPackage['select'] = async (entrypoint, optional) =>
      (await selector())(entrypoint, optional);
    return { earlier: { wasm: { select } } };
  }

  async #takeOver(
    pkg: Package,
    buildKey: string,
    { url, digest, log }: BuildResult,
    signal: AbortSignal,
  ): Promise<void> {
    const { context, builds } = this.#parts;
    const { namespace, name, uid, generation } = pkg.metadata;
    const fresh = await context.client.get<Package>(RESOURCES.packages, namespace, name);
    // The watch brings what it is now.
    if (fresh.metadata.uid !== uid || fresh.metadata.generation !== generation) return;
    // The log first: behind the new deployment there is nobody who has it.
    await this.#write(pkg, { kind: 'building', phase: 'running', log });
    context.events.recordEvent(RESOURCES.packages, pkg, 'Normal', 'BuildSucceeded', 'The source was built.');
    const { deployment } = fresh.spec;
    const isSame = deployment?.url === url && deployment.checksum?.sum === digest;
    if (isSame && fresh.metadata.annotations?.[BUILT_FROM] === buildKey) {
      // Built again, to the same: nothing changes that the watch could bring.
      builds?.forget(keyOf(pkg));
      return this.reconcile(keyOf(pkg), signal);
    }
    await context.client.patchMerge<Package>(RESOURCES.packages, namespace, name, {
      metadata: { uid, annotations: { [BUILT_FROM]: buildKey } },
      spec: {
        deployment: {
          type: 'url',
          url,
          checksum: { type: 'sha256', sum: digest },
          literal: null,
          oci: null,
        },
      },
    });
  }

  async #buildFailed(
    pkg: Package,
    thrown: Error,
    earlier: { readonly earlier?: EarlierPackage },
  ): Promise<void> {
    const { builds, states } = this.#parts;
    const error =
      thrown instanceof FissiumError && failureReason(thrown) !== undefined
        ? thrown
        : new FissiumError('INTERNAL', thrown.message, { cause: thrown });
    states.set(pkg, { phase: 'failed', error, ...earlier });
    const log = thrown instanceof BuildError ? thrown.log : `${error.message}\n`;
    const reason = failureReason(error) ?? 'PlatformError';
    await this.#write(pkg, { kind: 'buildFailed', reason, error, log });
    // Else it is kept as it is until it is built again: later, and later.
    if (isFinal(error)) builds?.forget(keyOf(pkg));
  }

  /** Annotations of the platform's own. */
  async #remember(pkg: Package, annotations: Readonly<Record<string, string>>): Promise<void> {
    const { namespace, name, uid } = pkg.metadata;
    await this.#parts.context.client.patchMerge<Package>(RESOURCES.packages, namespace, name, {
      metadata: { uid, annotations },
    });
  }

  /** The package with the status that was written last: the watch may be behind. */
  #latest(pkg: Package): Package {
    return this.#parts.context.statuses.latest<PackageStatus, Package>(pkg);
  }

  async #prepare(pkg: Package, archive: Archive, signal: AbortSignal): Promise<void> {
    const { states } = this.#parts;
    const before = states.of(pkg);
    // Looked at already: it only comes again because of its environment, or because a status write failed.
    if (before.phase === 'ready') return this.#write(pkg, await this.#defaultOutcome(before));
    if (before.phase === 'failed' && isFinal(before.error)) return this.#writeFailure(pkg, before.error);
    const work = this.#fetchAndPrepare(pkg, archive, signal);
    try {
      await this.#sayRunningIfSlow(pkg, work);
      const { state, outcome } = await work;
      states.set(pkg, state);
      await this.#write(pkg, outcome);
    } catch (thrown) {
      if (signal.aborted || !(thrown instanceof FissiumError)) throw thrown;
      if (failureReason(thrown) === undefined) throw thrown;
      states.set(pkg, { phase: 'failed', error: thrown });
      await this.#writeFailure(pkg, thrown);
      if (!isFinal(thrown)) throw thrown;
    }
  }

  #writeFailure(pkg: Package, error: FissiumError): Promise<void> {
    return this.#write(pkg, { kind: 'failed', reason: failureReason(error) ?? 'PlatformError', error });
  }

  async #fetchAndPrepare(
    pkg: Package,
    archive: Archive,
    signal: AbortSignal,
  ): Promise<{ state: ReadyPackage; outcome: PackageOutcome }> {
    const stored = await this.#fetch(pkg, archive, signal);
    const state: ReadyPackage = {
      phase: 'ready',
      archiveDigest: stored.digest,
      select: this.#selector(stored),
    };
    return { state, outcome: await this.#defaultOutcome(state) };
  }

  /** Most packages are done, or found prepared, before anybody could read that they are being prepared. */
  async #sayRunningIfSlow(pkg: Package, work: Promise<unknown>): Promise<void> {
    const done = work.then(
      () => true,
      () => true,
    );
    const isDone = await Promise.race([done, delay(RUNNING_AFTER_MS, false, { ref: false })]);
    if (!isDone) await this.#write(pkg, { kind: 'running' });
  }

  /** For the functions of a container environment, whose archive is needed only when one is to run. */
  #fetcherFor(pkg: Package, archive: Archive | null): (() => Promise<StoredArchive>) | null {
    return archive === null ? null : () => this.#fetch(pkg, archive, undefined);
  }

  /** The archive in the store. A literal that is not there yet is read from the API, as it is not kept in memory. */
  async #fetch(
    pkg: Package,
    archive: Archive,
    signal: AbortSignal | undefined,
    which: 'deployment' | 'source' = 'deployment',
    literalDigest = literalDigestOf(pkg),
  ): Promise<StoredArchive> {
    const { archives, fetcher, context } = this.#parts;
    const { namespace, name, uid, generation } = pkg.metadata;
    const pin = pinOf(pkg);
    if (archive.type !== 'literal') return fetcher.fetch(archive, pin, signal);
    const stored = literalDigest === null ? undefined : await archives.findIntact(literalDigest);
    if (stored !== undefined) return stored;
    try {
      const full = await context.client.get<Package>(RESOURCES.packages, namespace, name);
      const wanted = resolvePackage(full)[which];
      if (full.metadata.uid !== uid || full.metadata.generation !== generation || wanted === null) {
        throw new Error('the package changed meanwhile');
      }
      return await fetcher.fetch(wanted, pin, signal);
    } catch (error) {
      if (isNotFound(error)) throw new Error('the package was deleted meanwhile', { cause: error });
      throw error;
    }
  }

  /** Finds and prepares the .wasm for entry points of one archive, each once. */
  #selector(archive: StoredArchive): (entrypoint: string, optional: boolean) => Promise<PreparedWasm> {
    const selected = new Map<string, Promise<PreparedWasm>>();
    const files = once(() => readPackageFiles(archive));
    return (entrypoint, entrypointOptional) => {
      const key = JSON.stringify([entrypoint, entrypointOptional]);
      let selection = selected.get(key);
      if (selection === undefined) {
        selection = this.#select(archive, files, entrypoint, entrypointOptional);
        selected.set(key, selection);
        // What failed is tried again when it is asked for again.
        selection.catch(() => selected.delete(key));
      }
      return selection;
    };
  }

  async #select(
    archive: StoredArchive,
    files: () => Promise<GuestFileSet | null>,
    entrypoint: string,
    entrypointOptional: boolean,
  ): Promise<PreparedWasm> {
    const { archives, preparer } = this.#parts;
    const { temporaryFolder } = archives;
    const wasm = await unpackWasm(archive, { entrypoint, entrypointOptional, temporaryFolder });
    try {
      const { manifest, folder } = await preparer.prepare(wasm.path, wasm.digest);
      return { digest: wasm.digest, file: wasm.file, manifest, folder, files: await files() };
    } finally {
      await wasm.dispose().catch((error: unknown) => {
        this.#logger.warn({ err: error }, 'an extracted file could not be removed');
      });
    }
  }

  async #defaultOutcome({ archiveDigest, select }: ReadyPackage): Promise<PackageOutcome> {
    try {
      return { kind: 'succeeded', archiveDigest, prepared: await select('', false), note: '' };
    } catch (error) {
      // Each function names its own then, and hears of it if that one does not do.
      if (!(error instanceof SeveralModulesError)) throw error;
      return { kind: 'succeeded', archiveDigest, prepared: null, note: error.message };
    }
  }

  async #write(pkg: Package, outcome: PackageOutcome): Promise<void> {
    const { statuses, events, now } = this.#parts.context;
    const view = viewOf(pkg);
    const isBuiltHere = view.ok && isBuilt(this.#latest(pkg), view.value);
    const change = await statuses.write<PackageStatus>(RESOURCES.packages, pkg, (before) =>
      packageStatus(before, {
        outcome,
        generation: pkg.metadata.generation ?? 0,
        notServed: view.ok ? view.value.notServed : [],
        now: now(),
        built: outcome.kind !== 'building' && outcome.kind !== 'buildFailed' && isBuiltHere,
      }),
    );
    if (outcome.kind === 'building') {
      if (change.changed && outcome.phase === 'running' && outcome.log === undefined) {
        events.recordEvent(RESOURCES.packages, pkg, 'Normal', 'BuildRunning', 'The source is being built.');
      }
    } else if (outcome.kind !== 'running') announce(events, RESOURCES.packages, pkg, change);
  }
}

function literalDigestOf(pkg: Package): string | null {
  const view = viewOf(pkg);
  return view.ok ? view.value.literalDigest : null;
}

/** Calls `make` at the first call, and again after a failure; in between, and at once, all get the same. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    if (made === null) {
      made = make();
      made.catch(() => (made = null));
    }
    return made;
  };
}
