import { setTimeout as delay } from 'node:timers/promises';

import type { Logger } from 'pino';

import { type Archive, type Package, resolvePackage } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import { isNotFound, RESOURCES } from '../../kube/index.ts';
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
import { pinOf } from './archives-in-use.ts';
import { failureReason, isFinal } from './failures.ts';
import type { PackageStates, PreparedWasm, ReadyPackage } from './package-states.ts';
import { planPackage } from './plan.ts';
import { viewOf } from './slim.ts';
import { type PackageOutcome, packageStatus, type PackageStatus } from './status.ts';

export interface PackageReconcilerParts {
  readonly context: ReconcilerContext;
  readonly states: PackageStates;
  readonly archives: ArchiveStore;
  readonly fetcher: ArchiveFetcher;
  readonly preparer: PreparerPort;
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
      return;
    }
    const view = viewOf(pkg);
    const named = view.ok ? view.value.environment : undefined;
    const environment = named && (await lookUp(context.client, context.watched.environments, named));
    const plan = planPackage(view, environment && environmentOf(environment));
    switch (plan.kind) {
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
  async #fetch(pkg: Package, archive: Archive, signal: AbortSignal | undefined): Promise<StoredArchive> {
    const { archives, fetcher, context } = this.#parts;
    const { namespace, name, uid, generation } = pkg.metadata;
    const pin = pinOf(pkg);
    if (archive.type !== 'literal') return fetcher.fetch(archive, pin, signal);
    const view = viewOf(pkg);
    const digest = view.ok ? view.value.literalDigest : null;
    const stored = digest === null ? undefined : await archives.findIntact(digest);
    if (stored !== undefined) return stored;
    try {
      const full = await context.client.get<Package>(RESOURCES.packages, namespace, name);
      const { deployment } = resolvePackage(full);
      if (full.metadata.uid !== uid || full.metadata.generation !== generation || deployment === null) {
        throw new Error('the package changed meanwhile');
      }
      return await fetcher.fetch(deployment, pin, signal);
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
    const change = await statuses.write<PackageStatus>(RESOURCES.packages, pkg, (before) =>
      packageStatus(before, {
        outcome,
        generation: pkg.metadata.generation ?? 0,
        notServed: view.ok ? view.value.notServed : [],
        now: now(),
      }),
    );
    if (outcome.kind !== 'running') announce(events, RESOURCES.packages, pkg, change);
  }
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
