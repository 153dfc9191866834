/** The environment variables that a Function gives its code. */
import type { Report } from './checks.ts';
import type { FissionFunction } from './function.ts';
import { whyNotReadable } from './platform-secrets.ts';
import type { ResolvedEnvFrom, ResolvedEnvVar } from './resolved.ts';

type EnvVar = NonNullable<FissionFunction['spec']['env']>[number];
type EnvFrom = NonNullable<FissionFunction['spec']['envFrom']>[number];

const RESERVED_PREFIX = 'FISSION_';
/** Names with which a function could change how the platform's own processes run. */
const RESERVED: ReadonlySet<string> = new Set([
  'RESOURCE_VERSION_COUNT',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'LD_PRELOAD',
  'NODE_OPTIONS',
  'PYTHONPATH',
]);

export function checkEnv(path: string, env: readonly EnvVar[], report: Report): void {
  const seen = new Set<string>();
  env.forEach((variable, index) => {
    const at = `${path}[${index}]`;
    const { name, value, valueFrom } = variable;
    if (seen.has(name)) report(`${at}.name`, `must not be twice in the list, but "${name}" is`);
    seen.add(name);
    checkEnvName(`${at}.name`, name, report);
    if (value?.includes('\0') === true) report(`${at}.value`, 'must not have a NUL character in it');
    if (valueFrom === undefined) return;
    if (value !== undefined && value !== '') report(`${at}.valueFrom`, 'cannot stand beside value; give one');
    const { secretKeyRef, configMapKeyRef, ...others } = valueFrom;
    for (const other of Object.keys(others)) {
      report(`${at}.valueFrom.${other}`, 'is not supported; use secretKeyRef or configMapKeyRef');
    }
    if ((secretKeyRef === undefined) === (configMapKeyRef === undefined)) {
      report(`${at}.valueFrom`, 'must have one of secretKeyRef and configMapKeyRef');
    }
    for (const [field, ref] of Object.entries({ secretKeyRef, configMapKeyRef })) {
      if (ref !== undefined && (ref.name ?? '') === '')
        report(`${at}.valueFrom.${field}.name`, 'is required');
    }
    const why = whyNotReadable(secretKeyRef?.name);
    if (why !== null) report(`${at}.valueFrom.secretKeyRef.name`, why);
  });
}

/** Any name that a process's environment can hold, but the platform's own. */
function checkEnvName(path: string, name: string, report: Report): void {
  if (!/^[ -<>-~]+$/.test(name)) {
    report(path, `must be printable ASCII characters without "=", but is ${JSON.stringify(name)}`);
  } else if (name.startsWith(RESERVED_PREFIX) || RESERVED.has(name)) {
    report(
      path,
      `must not be "${name}": ${RESERVED_PREFIX}*, proxy and interpreter variables are the platform's`,
    );
  }
}

export function checkEnvFrom(path: string, sources: readonly EnvFrom[], report: Report): void {
  sources.forEach(({ secretRef, configMapRef, prefix = '' }, index) => {
    const at = `${path}[${index}]`;
    if ((secretRef === undefined) === (configMapRef === undefined)) {
      report(at, 'must have one of secretRef and configMapRef');
    }
    for (const [field, ref] of Object.entries({ secretRef, configMapRef })) {
      if (ref !== undefined && (ref.name ?? '') === '') report(`${at}.${field}.name`, 'is required');
    }
    const why = whyNotReadable(secretRef?.name);
    if (why !== null) report(`${at}.secretRef.name`, why);
    if (prefix !== '') checkEnvName(`${at}.prefix`, prefix, report);
  });
}

export function resolveEnv(namespace: string, env: readonly EnvVar[]): ResolvedEnvVar[] {
  return env.map(({ name, value = '', valueFrom }) => {
    const ref = valueFrom?.secretKeyRef ?? valueFrom?.configMapKeyRef;
    if (ref === undefined) return { name, from: 'value', value };
    return {
      name,
      from: valueFrom?.secretKeyRef === undefined ? 'configMap' : 'secret',
      object: { namespace, name: ref.name ?? '' },
      key: ref.key,
      optional: ref.optional ?? false,
    };
  });
}

export function resolveEnvFrom(namespace: string, sources: readonly EnvFrom[]): ResolvedEnvFrom[] {
  return sources.map(({ secretRef, configMapRef, prefix = '' }) => ({
    from: secretRef === undefined ? 'configMap' : 'secret',
    object: { namespace, name: secretRef?.name ?? configMapRef?.name ?? '' },
    prefix,
    optional: secretRef?.optional ?? configMapRef?.optional ?? false,
  }));
}
