import { isDeepStrictEqual } from 'node:util';

import type { FissionFunction, Package, ResolvedFunction } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import { isNotFound, RESOURCES, splitKey } from '../../kube/index.ts';
import type { FunctionEntry, FunctionState } from '../../router/index.ts';
import type { Verdict } from '../conditions.ts';
import type { ReconcilerContext } from '../context.ts';
import { lookUp } from '../look-up.ts';
import type { PackageState, PackageStates } from '../package/package-states.ts';
import { isFinal } from '../package/failures.ts';
import type { DeployedFunction, FunctionTablePort, GuestLogPort, ProcessPort } from '../ports.ts';
import { environmentOf, functionOf } from '../resolutions.ts';
import type { Patience } from '../patience.ts';
import { isNewer } from '../status.ts';
import type { Deployments, LiveDeployment } from './deployments.ts';
import { grantSourcesFor } from './grant-sources.ts';
import type { GrantSources } from './grants.ts';
import type { OwnedRoutes, RouteCondition } from './owned-routes.ts';
import { filesToMount } from './mounts.ts';
import { type FunctionFacts, type FunctionPlan, type Instead, planFunction } from './plan.ts';
import { processSpec } from './process-spec.ts';
import { writeFunctionStatus } from './write-status.ts';

export interface FunctionReconcilerParts {
  readonly context: ReconcilerContext;
  readonly packageStates: PackageStates;
  readonly deployments: Deployments;
  readonly processes: ProcessPort | undefined;
  readonly logs: GuestLogPort | undefined;
  readonly table: FunctionTablePort;
  /** Called when what the table says of a function changed. */
  readonly onTableChange: (key: string) => void;
  readonly patience: Patience;
  /** Absent where somebody else keeps the triggers of the short form. */
  readonly routes?: OwnedRoutes;
}

/**
 * Has each function served by the host as its spec, package, secrets and config maps say, and keeps its entry in
 * the function table. A new version takes over when every thread serves it; one that fails leaves the old alone.
 */
export class FunctionReconciler {
  readonly #parts: FunctionReconcilerParts;

  constructor(parts: FunctionReconcilerParts) {
    this.#parts = parts;
  }

  async reconcile(key: string): Promise<void> {
    const { context, deployments, table } = this.#parts;
    const fn = context.watched.functions.getByKey(key);
    const live = deployments.get(key);
    const isGone = fn === undefined || fn.metadata.deletionTimestamp !== undefined;
    if (isGone || (live !== undefined && live.uid !== fn.metadata.uid)) this.#drop(key);
    if (isGone) return;

    const resolved = functionOf(fn);
    const { namespace, name } = splitKey(key);
    // At first sight: calls wait from now on instead of being told that there is no such function.
    if (table.get(namespace, name) === undefined) this.#setPreparing(fn, undefined);
    const route = resolved.ok ? ((await this.#parts.routes?.reconcile(fn, resolved.value)) ?? null) : null;
    const facts = await this.#factsFor(fn);
    await this.#carryOut(key, fn, planFunction(facts), facts.sources, route);
  }

  async #factsFor(fn: FissionFunction): Promise<FunctionFacts> {
    const { client, watched } = this.#parts.context;
    const resolved = functionOf(fn);
    if (!resolved.ok)
      return {
        resolved,
        environment: undefined,
        pkg: undefined,
        packageState: PENDING,
        sources: NOTHING,
        runsProcesses: false,
      };
    const environment = await lookUp(client, watched.environments, resolved.value.environment);
    const pkg = resolved.value.package && (await lookUp(client, watched.packages, resolved.value.package));
    return {
      resolved,
      environment: environment && environmentOf(environment),
      pkg: pkg ?? undefined,
      packageState: await this.#packageState(fn, pkg ?? undefined),
      sources: await grantSourcesFor(this.#parts.context, resolved.value),
      runsProcesses: this.#parts.processes !== undefined,
    };
  }

  /**
   * The state of the package that the function means. A function that names a `resourceversion` newer than what
   * the watch brought was written after its package was: the package's own change is on its way, and serving the
   * version before it would be wrong.
   */
  async #packageState(fn: FissionFunction, pkg: Package | undefined): Promise<PackageState> {
    if (pkg === undefined) return PENDING;
    const { context, packageStates } = this.#parts;
    if (isNewer(fn.spec.package?.packageref?.resourceversion, pkg.metadata.resourceVersion)) {
      const { namespace, name, generation, uid } = pkg.metadata;
      const now = await context.client
        .get<Package>(RESOURCES.packages, namespace, name)
        .catch((error: unknown) => {
          if (isNotFound(error)) return undefined;
          throw error;
        });
      // The watch's event has the function reconciled again.
      if (now?.metadata.generation !== generation || now?.metadata.uid !== uid) return PENDING;
    }
    return packageStates.of(pkg);
  }

  async #carryOut(
    key: string,
    fn: FissionFunction,
    plan: FunctionPlan,
    sources: GrantSources,
    route: RouteCondition | null,
  ): Promise<void> {
    switch (plan.kind) {
      case 'prepare': {
        const live = await this.#liveOr(key, fn, plan.instead, sources);
        this.#setPreparing(fn, live);
        return this.#write(fn, plan.verdict, route);
      }
      case 'refuse': {
        const live = await this.#liveOr(key, fn, plan.instead, sources, plan.error);
        if (live === undefined || plan.evenIfServed === true) {
          this.#refuse(key, fn, plan.error);
          return this.#write(fn, plan.verdict, route);
        }
        return this.#write(fn, stillServed(plan.verdict, live), route);
      }
      case 'deploy':
        return this.#deploy(key, fn, plan.resolved, route, () => this.#wasmCandidate(plan));
      case 'run':
        return this.#deploy(key, fn, plan.resolved, route, () => this.#processCandidate(fn, plan, sources));
    }
  }

  /**
   * What is served of a function. Where nothing is, since this process has not been there for it, what was deployed
   * before its package's source changed is served from now on; undefined where that cannot be.
   * @param refusal answered while the earlier version is out of reach for now; else calls wait
   */
  async #liveOr(
    key: string,
    fn: FissionFunction,
    instead: Instead | undefined,
    sources: GrantSources,
    refusal?: FissiumError,
  ): Promise<LiveDeployment | undefined> {
    const { deployments } = this.#parts;
    const known = deployments.get(key);
    if (known !== undefined || instead === undefined) return known;
    try {
      const { deployKey, deploy } =
        instead.kind === 'deploy'
          ? await this.#wasmCandidate(instead)
          : await this.#processCandidate(fn, instead, sources);
      return this.#take(key, fn, instead.resolved, {
        invoker: await deploy(),
        deployKey,
        what: 'What was deployed before',
      });
    } catch (thrown) {
      if (!(thrown instanceof FissiumError)) throw thrown;
      if (isFinal(thrown)) return undefined;
      if (refusal !== undefined)
        this.#refuse(key, fn, new FissiumError('FUNCTION_NOT_READY', refusal.message, { cause: thrown }));
      throw thrown;
    }
  }

  /** Has calls answered by a version from now on. */
  #take(
    key: string,
    fn: FissionFunction,
    resolved: ResolvedFunction,
    version: Pick<LiveDeployment, 'invoker' | 'deployKey' | 'what'>,
  ): LiveDeployment {
    const { resourceVersion } = fn.metadata;
    const { uid, limits } = resolved;
    const next: LiveDeployment = { ...version, uid, resourceVersion, limits };
    // The table first: no call may reach a version that is closing.
    this.#setEntry(resolved, fn, { phase: 'ready', invoker: next.invoker });
    this.#parts.deployments.swap(key, next);
    return next;
  }

  async #deploy(
    key: string,
    fn: FissionFunction,
    resolved: ResolvedFunction,
    route: RouteCondition | null,
    candidate: () => Promise<Candidate>,
  ): Promise<void> {
    const { deployments } = this.#parts;
    const live = deployments.get(key);
    this.#setPreparing(fn, live);
    try {
      const { deployKey, deploy, message } = await candidate();
      const invoker = live?.deployKey === deployKey ? live.invoker : await deploy();
      this.#take(key, fn, resolved, {
        invoker,
        deployKey,
        what: `Generation ${resolved.generation}, as it was deployed,`,
      });
      await this.#write(
        fn,
        {
          ready: true,
          reason: 'Deployed',
          message,
        },
        route,
      );
    } catch (thrown) {
      if (!(thrown instanceof FissiumError) || thrown.code === 'API_UNREACHABLE') throw thrown;
      const verdict: Verdict = { ready: false, reason: 'DeployFailed', message: thrown.message };
      if (live === undefined) {
        const code = isFinal(thrown) ? 'FUNCTION_FAILED' : 'FUNCTION_NOT_READY';
        this.#refuse(key, fn, new FissiumError(code, thrown.message, { cause: thrown }));
      }
      await this.#write(fn, live === undefined ? verdict : stillServed(verdict, live), route);
      // A lost thread or a busy platform may pass.
      if (!isFinal(thrown) && thrown.fault === 'platform') throw thrown;
    }
  }

  async #wasmCandidate({
    resolved,
    pkg,
    grants,
  }: Extract<FunctionPlan, { kind: 'deploy' }>): Promise<Candidate> {
    const { deployments } = this.#parts;
    const wasm = await pkg.select(resolved.entrypoint, resolved.entrypointOptional);
    const { spec, deployKey } = deployments.specFor(resolved, wasm, grants);
    const message = `Every thread serves it (engine ${wasm.manifest.engine}).`;
    return { deployKey, deploy: () => deployments.deploy(spec), message };
  }

  async #processCandidate(
    object: FissionFunction,
    { resolved, environment, fetch, grants }: Extract<FunctionPlan, { kind: 'run' }>,
    sources: GrantSources,
  ): Promise<Candidate> {
    const { processes, logs } = this.#parts;
    if (processes === undefined) throw new Error('planned to run a process where none can');
    const archive = await fetch();
    const files = filesToMount(resolved, sources);
    const parts = { object, resolved, environment, archive, env: grants.env, files, logs };
    const { spec, deployKey } = processSpec(parts);
    const message = `Served by local processes (${environment.image} stands for one; its code is loaded).`;
    return { deployKey, deploy: () => processes.deploy(spec), message };
  }

  #refuse(key: string, fn: FissionFunction, error: FissiumError): void {
    const resolved = functionOf(fn);
    if (resolved.ok) this.#setEntry(resolved.value, fn, { phase: 'refused', error });
    else this.#parts.table.delete(splitKey(key).namespace, splitKey(key).name);
    this.#parts.deployments.drop(key);
  }

  /** Calls wait for what comes, unless an earlier version takes them. */
  #setPreparing(fn: FissionFunction, live: LiveDeployment | undefined): void {
    const resolved = functionOf(fn);
    if (live === undefined && resolved.ok) this.#setEntry(resolved.value, fn, { phase: 'preparing' });
  }

  #drop(key: string): void {
    this.#parts.patience.clear(key);
    const { namespace, name } = splitKey(key);
    this.#parts.table.delete(namespace, name);
    this.#parts.deployments.drop(key);
    this.#parts.onTableChange(key);
  }

  #setEntry(fn: ResolvedFunction, object: FissionFunction, state: FunctionState): void {
    const { table, onTableChange } = this.#parts;
    const { namespace, name, uid, limits, startTimeoutMs } = fn;
    const before = table.get(namespace, name);
    const entry: FunctionEntry = {
      namespace,
      name,
      uid,
      limits,
      startTimeoutMs,
      state,
      ...(object.metadata.resourceVersion === undefined
        ? {}
        : { resourceVersion: object.metadata.resourceVersion }),
    };
    if (before !== undefined && isSameEntry(before, entry)) return;
    table.set(entry);
    onTableChange(`${namespace}/${name}`);
  }

  #write(fn: FissionFunction, verdict: Verdict, route: RouteCondition | null): Promise<void> {
    return writeFunctionStatus(this.#parts, fn, verdict, route);
  }
}

/** A version that could be served. */
interface Candidate {
  /** Changes when what would run does. */
  readonly deployKey: string;
  readonly deploy: () => Promise<DeployedFunction>;
  /** For the `Ready` condition. */
  readonly message: string;
}

const PENDING: PackageState = { phase: 'pending' };
const NOTHING: GrantSources = { secret: () => undefined, configMap: () => undefined };

function stillServed(verdict: Verdict, { what }: LiveDeployment): Verdict {
  return { ...verdict, message: `${verdict.message} ${what} still serves.` };
}

/** Entries that answer calls alike; the version of the object alone is no reason to set another. */
function isSameEntry(a: FunctionEntry, b: FunctionEntry): boolean {
  return (
    a.uid === b.uid &&
    a.startTimeoutMs === b.startTimeoutMs &&
    isSameState(a.state, b.state) &&
    isDeepStrictEqual(a.limits, b.limits)
  );
}

function isSameState(a: FunctionState, b: FunctionState): boolean {
  if (a.phase === 'ready' && b.phase === 'ready') return a.invoker === b.invoker;
  if (a.phase === 'refused' && b.phase === 'refused') {
    return a.error.code === b.error.code && a.error.message === b.error.message;
  }
  return a.phase === b.phase;
}
