/** The environment variables of a function, from what its spec says and from secrets and config maps. */
import type { ObjectName, ResolvedFunction } from '../../api/index.ts';
import type { ConfigMap, Secret } from '../../kube/resources.ts';

/** Where the objects that a function names are looked up. */
export interface GrantSources {
  secret(name: ObjectName): Secret | undefined;
  configMap(name: ObjectName): ConfigMap | undefined;
}

/** Something that a function names is not there. */
export interface ObjectMissing {
  readonly ok: false;
  readonly reason: string;
  readonly message: string;
}

export type VariablesResult =
  | { readonly ok: true; readonly env: readonly [name: string, value: string][] }
  | ObjectMissing;

/** Later `envFrom` sources win over earlier ones, and `env` over all of them (Kubernetes' order). */
export function variablesOf(
  fn: Pick<ResolvedFunction, 'env' | 'envFrom'>,
  sources: GrantSources,
): VariablesResult {
  const values = new Map<string, string>();
  for (const { from, object, prefix, optional } of fn.envFrom) {
    const data = dataOf(from, object, sources);
    if (data === undefined) {
      if (!optional) return notFound(from, object);
      continue;
    }
    for (const [key, value] of Object.entries(data)) {
      // As the kubelet does: what cannot be the name of a variable is left out.
      if (isVariableName(prefix + key)) values.set(prefix + key, value);
    }
  }
  for (const variable of fn.env) {
    if (variable.from === 'value') {
      values.set(variable.name, variable.value);
      continue;
    }
    const { from, object, key, optional, name } = variable;
    const data = dataOf(from, object, sources);
    const value = data?.[key];
    if (value !== undefined) values.set(name, value);
    else if (!optional) return data === undefined ? notFound(from, object) : keyNotFound(from, object, key);
  }
  return { ok: true, env: [...values] };
}

type Kind = 'secret' | 'configMap';

function dataOf(kind: Kind, name: ObjectName, sources: GrantSources): Record<string, string> | undefined {
  if (kind === 'configMap') {
    const configMap = sources.configMap(name);
    return configMap && (configMap.data ?? {});
  }
  const secret = sources.secret(name);
  if (secret === undefined) return undefined;
  const decoded = Object.entries(secret.data ?? {}).map(
    ([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')] as const,
  );
  return Object.fromEntries(decoded);
}

/** Kubernetes' rule (IsEnvVarName): printable ASCII without `=`. */
function isVariableName(name: string): boolean {
  return /^[\x20-\x3c\x3e-\x7e]+$/.test(name);
}

export function notFound(kind: Kind, { namespace, name }: ObjectName): ObjectMissing {
  const [reason, what] =
    kind === 'secret' ? ['SecretNotFound', 'Secret'] : ['ConfigMapNotFound', 'ConfigMap'];
  return {
    ok: false,
    reason,
    message: `The function names ${what} ${namespace}/${name}, which does not exist. Create it; the function follows by itself.`,
  };
}

function keyNotFound(kind: Kind, { namespace, name }: ObjectName, key: string): ObjectMissing {
  const [reason, what] =
    kind === 'secret' ? ['SecretKeyNotFound', 'Secret'] : ['ConfigMapKeyNotFound', 'ConfigMap'];
  return {
    ok: false,
    reason,
    message: `The function names key "${key}" of ${what} ${namespace}/${name}, which has no such key. Add it, or mark the variable as optional.`,
  };
}
