/** A function's variables, secrets and config maps as a pod's own. */
import type { ResolvedEnvFrom, ResolvedEnvVar, ResolvedFunction } from '../../api/index.ts';
import type { EnvFromSource, EnvVar, Volume, VolumeMount } from '../../kube/index.ts';

const VOLUME_NAME_MAX_LENGTH = 63;
/** What Fission's fetcher gives the files. */
const FILE_MODE = 0o755;

/** `spec.env` as a container takes it. */
export function podEnv(env: readonly ResolvedEnvVar[]): EnvVar[] {
  return env.map((variable) => {
    const { name } = variable;
    if (variable.from === 'value') return { name, value: variable.value };
    const { object, key, optional } = variable;
    const ref = { name: object.name, key, ...(optional ? { optional } : {}) };
    return { name, valueFrom: variable.from === 'secret' ? { secretKeyRef: ref } : { configMapKeyRef: ref } };
  });
}

/** `spec.envFrom` as a container takes it. */
export function podEnvFrom(sources: readonly ResolvedEnvFrom[]): EnvFromSource[] {
  return sources.map(({ from, object, prefix, optional }) => {
    const ref = { name: object.name, ...(optional ? { optional } : {}) };
    return {
      ...(prefix === '' ? {} : { prefix }),
      ...(from === 'secret' ? { secretRef: ref } : { configMapRef: ref }),
    };
  });
}

/** Variables in order, of which the last of a name counts: a pod with two of a name is refused. */
export function lastOfEachName(env: readonly EnvVar[]): EnvVar[] {
  return [...new Map(env.map((variable) => [variable.name, variable])).values()];
}

/** The files of `spec.secrets` and `spec.configmaps`, at `/secrets/…` and `/configs/…`. */
export function mountsOf(fn: Pick<ResolvedFunction, 'secrets' | 'configMaps'>): {
  volumes: Volume[];
  volumeMounts: VolumeMount[];
} {
  const volumes: Volume[] = [];
  const volumeMounts: VolumeMount[] = [];
  for (const { name, folder } of fn.secrets) {
    const volume = volumeName('secret', name, volumes.length);
    volumes.push({ name: volume, secret: { secretName: name, defaultMode: FILE_MODE } });
    volumeMounts.push({ name: volume, mountPath: `/secrets/${folder}`, readOnly: true });
  }
  for (const { name, folder } of fn.configMaps) {
    const volume = volumeName('config', name, volumes.length);
    volumes.push({ name: volume, configMap: { name, defaultMode: FILE_MODE } });
    volumeMounts.push({ name: volume, mountPath: `/configs/${folder}`, readOnly: true });
  }
  return { volumes, volumeMounts };
}

/** With an index: names may have to be cut, and the same object may be a secret and a config map. */
function volumeName(kind: 'secret' | 'config', name: string, index: number): string {
  const suffix = `-${index}`;
  const words = `${kind}-${name.replaceAll('.', '-')}`.slice(0, VOLUME_NAME_MAX_LENGTH - suffix.length);
  return `${words.replace(/-+$/, '')}${suffix}`;
}
