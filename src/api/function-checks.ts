/** What a Function's schema cannot say. */
import { posix } from 'node:path';
import {
  checkDuration,
  checkFunctionReference,
  checkLabel,
  checkMetadata,
  checkRoutePath,
  checkSameNamespace,
  collect,
} from './checks.ts';
import type { Report } from './checks.ts';
import { checkEnv, checkEnvFrom } from './function-env.ts';
import { functionSchema } from './function.ts';
import type { FissionFunction } from './function.ts';
import { isObject } from './json.ts';
import { whyNotReadable } from './platform-secrets.ts';
import { checkPodSpec } from './pod-safety.ts';
import { checkResources } from './resources.ts';
import { createValidator } from './validate.ts';
import { checkWasmBlock, mergeWasmBlocks, readWasmAnnotations } from './wasm-settings.ts';

export type FunctionSpec = FissionFunction['spec'];

/** Fission's limit on asynchronous delivery. */
const MAX_ASYNC_AGE_MS = 7 * 24 * 3_600_000;

/** Everything wrong with any JSON value as a Function. Never throws. */
export const validateFunction = createValidator<FissionFunction>(functionSchema, (fn) => {
  const { errors, block } = readWasmAnnotations(fn.metadata.annotations ?? {});
  return [
    ...errors,
    ...collect((report) => {
      checkMetadata(fn.metadata, report);
      checkReferences(fn, report);
      checkStrategy(fn.spec, report);
      checkCounts(fn.spec, report);
      checkResources('spec.resources', fn.spec.resources, report);
      checkPodSpec('spec.podspec', fn.spec.podspec, report);
      checkExtras(fn.spec, report);
      if (fn.spec.wasm !== undefined) checkWasmBlock('spec.wasm', fn.spec.wasm, report);
      const { instance } = mergeWasmBlocks(fn.spec.wasm ?? {}, block);
      if (fn.spec.onceOnly === true && instance?.mode === 'reuse') {
        report(
          'spec.onceOnly',
          'cannot stand beside instance.mode "reuse"; the one wants a new instance each time',
        );
      }
    }),
  ];
});

export function executorOf(spec: FunctionSpec): 'poolmgr' | 'newdeploy' | 'container' {
  const type = spec.InvokeStrategy?.ExecutionStrategy?.ExecutorType ?? '';
  return type === '' ? 'poolmgr' : type;
}

function checkReferences({ metadata, spec }: FissionFunction, report: Report): void {
  const own = metadata.namespace;
  const { environment, package: code, route } = spec;
  if (executorOf(spec) !== 'container' && (environment.name ?? '') === '') {
    report('spec.environment.name', 'is required: what runs the function');
  }
  checkSameNamespace('spec.environment.namespace', environment.namespace, own, report);
  checkSameNamespace('spec.package.packageref.namespace', code?.packageref?.namespace, own, report);
  checkSameNamespace('spec.package.functionref.namespace', code?.functionref?.namespace, own, report);
  const [long = '', short = ''] = [code?.packageref?.name, code?.functionref?.name];
  if (long !== '' && short !== '' && long !== short) {
    report('spec.package.functionref.name', `names "${short}", but packageref names "${long}"; give one`);
  }
  if ((code?.functionName ?? '') !== '' && (code?.functionref?.resource ?? '') !== '') {
    report('spec.package.functionref.resource', 'cannot stand beside functionName; give one');
  }
  checkMounted('spec.secrets', spec.secrets ?? [], own, report);
  (spec.secrets ?? []).forEach(({ name }, index) => {
    const why = whyNotReadable(name);
    if (why !== null) report(`spec.secrets[${index}].name`, why);
  });
  checkMounted('spec.configmaps', spec.configmaps ?? [], own, report);
  checkEnv('spec.env', spec.env ?? [], report);
  checkEnvFrom('spec.envFrom', spec.envFrom ?? [], report);
  if (route !== undefined) checkRoutePath('spec.route.url', route.url, report);
}

interface Mounted {
  readonly name: string;
  readonly namespace?: string;
  readonly mountPath?: string;
}

function checkMounted(path: string, list: readonly Mounted[], own: string | undefined, report: Report): void {
  const folders = new Map<string, string>();
  const names = new Set<string>();
  list.forEach(({ name, namespace, mountPath = '' }, index) => {
    const at = `${path}[${index}]`;
    checkSameNamespace(`${at}.namespace`, namespace, own, report);
    if (names.has(name)) return report(`${at}.name`, `must not be twice in the list, but "${name}" is`);
    names.add(name);
    const folder =
      mountPath === '' ? `${own ?? 'default'}/${name}` : posix.normalize(mountPath).replace(/\/+$/, '');
    if (folder.startsWith('/') || folder.includes('\\') || /^\.{1,2}(\/|$)/.test(folder)) {
      return report(`${at}.mountPath`, `must be a relative folder that stays inside, but is "${mountPath}"`);
    }
    const other = folders.get(folder);
    if (other !== undefined) report(`${at}.mountPath`, `is the folder of "${other}" already: "${folder}"`);
    folders.set(folder, name);
  });
}

function checkStrategy(spec: FunctionSpec, report: Report): void {
  const executor = executorOf(spec);
  const path = 'spec.InvokeStrategy.ExecutionStrategy';
  if (executor === 'container' && spec.podspec === undefined) {
    report('spec.podspec', 'is required by executor container: the pod that answers');
  }
  if (executor !== 'poolmgr') {
    const { MinScale = 0, MaxScale = 0, TargetCPUPercent = 0 } = spec.InvokeStrategy?.ExecutionStrategy ?? {};
    if (MinScale < 0) report(`${path}.MinScale`, `must be 0 at least, but is ${MinScale}`);
    if (MaxScale < 1)
      report(`${path}.MaxScale`, `must be 1 at least for executor ${executor}, but is ${MaxScale}`);
    else if (MaxScale < MinScale) {
      report(`${path}.MaxScale`, `must be MinScale (${MinScale}) at least, but is ${MaxScale}`);
    }
    if (TargetCPUPercent < 0 || TargetCPUPercent > 100) {
      report(`${path}.TargetCPUPercent`, `must be from 0 to 100, but is ${TargetCPUPercent}`);
    }
    if (spec.provisionedConcurrency !== undefined) {
      report('spec.provisionedConcurrency', `is for executor poolmgr, but this one is ${executor}`);
    }
  }
  if (executor === 'container' && spec.state !== undefined) {
    report('spec.state', 'is for executors poolmgr and newdeploy');
  }
}

function checkCounts(spec: FunctionSpec, report: Report): void {
  const { idleTimeoutSeconds: idle = 0, maxDurationSeconds: total = 0 } = spec.streaming ?? {};
  if (idle > 0 && total > 0 && total < idle) {
    report(
      'spec.streaming.maxDurationSeconds',
      `must be idleTimeoutSeconds (${idle}) at least, but is ${total}`,
    );
  }
}

/** Fields that are kept for later work, checked as Fission does so that what is stored stays meaningful. */
function checkExtras(
  { tool, state, invocation, provisionedConcurrency }: FunctionSpec,
  report: Report,
): void {
  if (tool !== undefined) {
    if ((tool.description ?? '').trim() === '')
      report('spec.tool.description', 'is required: what the tool does');
    const { inputSchema } = tool;
    if (inputSchema !== undefined && !(isObject(inputSchema) && 'type' in inputSchema)) {
      report('spec.tool.inputSchema', 'must be a JSON Schema object with a "type"');
    }
    if ((tool.alias ?? '') !== '') checkLabel('spec.tool.alias', tool.alias ?? '', report);
  }
  checkDuration('spec.state.defaultTTL', state?.defaultTTL, report);
  if (invocation !== undefined) checkInvocation(invocation, report);
  const windows = provisionedConcurrency?.windows ?? [];
  windows.forEach(({ name, duration }, index) => {
    const at = `spec.provisionedConcurrency.windows[${index}]`;
    if (windows.findIndex((other) => other.name === name) !== index) {
      report(`${at}.name`, `must not be twice in the list, but "${name}" is`);
    }
    checkDuration(`${at}.duration`, duration, report, { min: Number.MIN_VALUE, words: 'over 0' });
  });
}

function checkInvocation(invocation: NonNullable<FunctionSpec['invocation']>, report: Report): void {
  const { retry = {}, maxAge, onSuccess, onFailure } = invocation;
  checkDuration('spec.invocation.retry.backoffBase', retry.backoffBase, report);
  checkDuration('spec.invocation.retry.backoffCap', retry.backoffCap, report);
  checkDuration('spec.invocation.maxAge', maxAge, report, {
    min: Number.MIN_VALUE,
    max: MAX_ASYNC_AGE_MS,
    words: 'over 0 and 168h at most',
  });
  for (const [name, destination] of Object.entries({ onSuccess, onFailure })) {
    if (destination === undefined) continue;
    const path = `spec.invocation.${name}`;
    const { function: target, topic } = destination;
    if ((target === undefined) === (topic === undefined)) report(path, 'must have one of function and topic');
    if (target !== undefined) checkFunctionReference(`${path}.function`, target, report);
  }
}
