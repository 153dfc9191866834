/** From a Function as written to what the platform works with. */
import { posix } from 'node:path';

import { withoutNulls } from './defaults.ts';
import { parseSecondsOrDuration } from './duration.ts';
import { executorOf, validateFunction } from './function-checks.ts';
import type { FunctionSpec } from './function-checks.ts';
import { resolveEnv, resolveEnvFrom } from './function-env.ts';
import { functionSchema } from './function.ts';
import type { FissionFunction } from './function.ts';
import { interned } from './interned.ts';
import { deepFreeze } from './json.ts';
import { parseBytes } from './quantity.ts';
import { refuseInvalid, resolvedBase, setFields } from './resolve.ts';
import type {
  ResolvedFunction,
  ResolvedInstance,
  ResolvedLimits,
  ResolvedMount,
  ResolvedPods,
  ResolvedScale,
} from './resolved.ts';
import { cpuWeight, memoryLimitBytes, resolveResources } from './resources.ts';
import type { WasmBlock } from './wasm-block.ts';
import { mergeWasmBlocks, readWasmAnnotations } from './wasm-settings.ts';

/** Fission's where it has the field, ours otherwise. */
const DEFAULTS = {
  functionTimeoutS: 60,
  idleTimeoutMs: 60_000,
  instanceIdleTimeoutMs: 120_000,
  bodyLimitBytes: 256 * 1024 * 1024,
  concurrency: 500,
  queue: 1000,
  cpuTimeMs: 10_000,
  callsPerPod: 20,
} as const;
/** What Fission's CLI writes where nothing is asked for. */
const USUAL_SPECIALIZATION_TIMEOUT_S = 120;

/**
 * The function with its defaults, its short forms and annotations read, frozen.
 * @throws FissiumError RESOURCE_INVALID where the object would not have been accepted.
 */
export function resolveFunction(fn: FissionFunction): ResolvedFunction {
  refuseInvalid('Function', fn, validateFunction(fn));
  // Accepted, so without its nulls it has the type of the schema.
  const object = withoutNulls(functionSchema, fn) as FissionFunction;
  const { spec, metadata } = object;
  const base = resolvedBase(object);
  const { namespace } = base;
  const wasm = mergeWasmBlocks(spec.wasm ?? {}, readWasmAnnotations(metadata.annotations ?? {}).block);
  const version = spec.environment.version;
  return deepFreeze({
    ...base,
    environment: interned({
      namespace,
      name: spec.environment.name ?? '',
      ...(version === undefined ? {} : { version: String(version) }),
    }),
    ...resolvePackageReference(namespace, spec.package ?? {}),
    strategy: executorOf(spec),
    secrets: interned(mountsOf(namespace, spec.secrets)),
    configMaps: interned(mountsOf(namespace, spec.configmaps)),
    env: resolveEnv(namespace, spec.env ?? []),
    envFrom: resolveEnvFrom(namespace, spec.envFrom ?? []),
    limits: interned(resolveLimits(spec, wasm)),
    pods: interned(resolvePods(spec)),
    wasm: interned({
      instance: resolveInstance(spec, wasm),
      allowedOutboundHosts: wasm.allowedOutboundHosts ?? [],
    }),
    scale: interned(resolveScale(spec)),
    idleTimeoutMs: idleTimeoutMs(spec),
    startTimeoutMs:
      firstSet(
        [spec.InvokeStrategy?.ExecutionStrategy?.SpecializationTimeout],
        USUAL_SPECIALIZATION_TIMEOUT_S,
      ) * 1000,
    resources: interned(resolveResources(spec.resources)),
    podSpec: spec.podspec ?? null,
    route: resolveRoute(spec.route),
    notServed: interned(notServed(spec, wasm)),
  });
}

function resolvePackageReference(
  namespace: string,
  { packageref, functionName = '', functionref }: NonNullable<FunctionSpec['package']>,
): Pick<ResolvedFunction, 'package' | 'entrypoint' | 'entrypointOptional'> {
  const name = packageref?.name ?? functionref?.name ?? '';
  const resource = functionref?.resource ?? '';
  return {
    package: name === '' ? null : { namespace, name },
    entrypoint: functionName === '' ? resource : functionName,
    entrypointOptional: functionName === '' && resource !== '',
  };
}

function mountsOf(
  namespace: string,
  list: readonly { name: string; mountPath?: string }[] | null | undefined,
): ResolvedMount[] {
  return (list ?? []).map(({ name, mountPath = '' }) => ({
    namespace,
    name,
    folder: mountPath === '' ? `${namespace}/${name}` : posix.normalize(mountPath).replace(/\/+$/, ''),
  }));
}

/** The first that is set and not 0, which in Fission's fields means the default. */
function firstSet<T>(values: readonly (number | undefined)[], fallback: T): number | T {
  return values.find((value) => value !== undefined && value !== 0) ?? fallback;
}

function milliseconds(value: string | number | undefined): number | undefined {
  return value === undefined ? undefined : (parseSecondsOrDuration(value) ?? undefined);
}

function resolveLimits(spec: FunctionSpec, wasm: WasmBlock): ResolvedLimits {
  const { streaming } = spec;
  const { maxPods, requestsPerPod } = resolvePods(spec);
  return {
    firstByteTimeoutMs: firstSet([spec.functionTimeout], DEFAULTS.functionTimeoutS) * 1000,
    idleTimeoutMs: firstSet(
      [milliseconds(wasm.idleTimeout), milliseconds(streaming?.idleTimeoutSeconds)],
      DEFAULTS.idleTimeoutMs,
    ),
    totalTimeoutMs: firstSet(
      [milliseconds(wasm.totalTimeout), milliseconds(streaming?.maxDurationSeconds)],
      null,
    ),
    memoryBytes: memoryLimitBytes(spec.resources),
    bodyLimitBytes:
      (wasm.bodyLimit === undefined ? null : parseBytes(wasm.bodyLimit)) ?? DEFAULTS.bodyLimitBytes,
    // Each may be as large as it likes.
    concurrency: Math.min(maxPods * requestsPerPod, Number.MAX_SAFE_INTEGER),
    queue: wasm.queue ?? DEFAULTS.queue,
    cpuTimeMs: milliseconds(wasm.cpuTime) ?? DEFAULTS.cpuTimeMs,
    cpuWeight: cpuWeight(spec.resources),
  };
}

function resolvePods({
  concurrency,
  requestsPerPod,
  onceOnly = false,
  retainPods = 0,
}: FunctionSpec): ResolvedPods {
  return {
    requestsPerPod: onceOnly ? 1 : firstSet([requestsPerPod], 1),
    maxPods: firstSet([concurrency], DEFAULTS.concurrency),
    onceOnly,
    retainPods,
  };
}

function resolveInstance(spec: FunctionSpec, { instance = {} }: WasmBlock): ResolvedInstance {
  return {
    mode: instance.mode ?? 'fresh',
    maxRequests: instance.maxRequests ?? null,
    idleTimeoutMs: firstSet([milliseconds(instance.idleTimeout)], idleTimeoutMs(spec)),
    maxConcurrent: instance.maxConcurrent ?? 1,
  };
}

function idleTimeoutMs(spec: FunctionSpec): number {
  return firstSet([milliseconds(spec.idletimeout)], DEFAULTS.instanceIdleTimeoutMs);
}

function resolveScale(spec: FunctionSpec): ResolvedScale | null {
  if (executorOf(spec) === 'poolmgr') return null;
  const strategy = spec.InvokeStrategy?.ExecutionStrategy ?? {};
  const { MinScale: min = 0, MaxScale: max = 1, hpaMetrics = [], hpaBehavior = {} } = strategy;
  // Fission's CLI writes 1 where nobody asked, which it does not heed for these strategies.
  const { requestsPerPod = 1 } = spec;
  return {
    min,
    max,
    cpuPercent: firstSet([strategy.TargetCPUPercent], null),
    metrics: hpaMetrics,
    behavior: Object.keys(hpaBehavior).length === 0 ? null : hpaBehavior,
    callsPerPod: requestsPerPod > 1 ? requestsPerPod : DEFAULTS.callsPerPod,
  };
}

function resolveRoute(route: FunctionSpec['route']): ResolvedFunction['route'] {
  if (route === undefined) return null;
  const methods = [...new Set(route.methods ?? [])];
  return { url: route.url, methods: methods.length === 0 ? ['GET'] : methods };
}

/** Taken out line by line as the platform comes to serve them. */
function notServed(spec: FunctionSpec, { instance = {} }: WasmBlock): string[] {
  const executor = executorOf(spec);
  const strategy = spec.InvokeStrategy?.ExecutionStrategy ?? {};
  const scaled = executor !== 'poolmgr';
  const path = 'spec.InvokeStrategy.ExecutionStrategy';
  const { limits = {}, requests = {} } = spec.resources ?? {};
  const otherLimits = Object.keys(limits).filter((name) => name !== 'memory');
  return setFields({
    [`${path}.ExecutorType`]: scaled,
    // Without meaning, in Fission too, for poolmgr, where its CLI writes them all the same.
    [`${path}.MinScale`]: scaled && strategy.MinScale,
    [`${path}.MaxScale`]: scaled && strategy.MaxScale,
    [`${path}.TargetCPUPercent`]: scaled && strategy.TargetCPUPercent,
    [`${path}.hpaMetrics`]: strategy.hpaMetrics,
    [`${path}.hpaBehavior`]: strategy.hpaBehavior,
    'spec.environment.version': spec.environment.version,
    // A quantity of 0 is set as well.
    ...Object.fromEntries(otherLimits.map((name) => [`spec.resources.limits.${name}`, true])),
    ...Object.fromEntries(Object.keys(requests).map((name) => [`spec.resources.requests.${name}`, true])),
    'spec.resources.claims': spec.resources?.claims,
    'spec.retainPods': spec.retainPods,
    'spec.streaming.protocol': spec.streaming?.protocol === 'websocket',
    'spec.tool': spec.tool !== undefined,
    'spec.state': spec.state !== undefined,
    'spec.invocation': spec.invocation !== undefined,
    'spec.provisionedConcurrency': spec.provisionedConcurrency !== undefined,
    'spec.versioning': spec.versioning !== undefined,
    'spec.podspec': spec.podspec,
    // Without meaning for instances that serve one request.
    'spec.wasm.instance.maxRequests': instance.mode !== 'reuse' && instance.maxRequests,
    'spec.wasm.instance.idleTimeout': instance.mode !== 'reuse' && instance.idleTimeout,
    'spec.wasm.instance.maxConcurrent': instance.mode !== 'reuse' && instance.maxConcurrent,
  });
}
