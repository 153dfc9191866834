/** What the roles on a cluster read from their environment; nobody else does. */
import { hostKeys } from '../auth/host-calls.ts';
import { type AuthSecrets, authSecrets } from '../auth/request-signer.ts';
import { FissiumError } from '../errors.ts';
import { type StorageSigner, storageSigner } from '../fetcher/download.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface ClusterSettings {
  readonly podName: string;
  readonly podIp: string;
  /** The control plane's namespace. */
  readonly namespace: string;
  /** Namespaces whose resources are served; empty for all. */
  readonly namespaces: readonly string[];
  /** The platform's own image, for hosts, fetchers and builders. */
  readonly image: string;
  /** Fission's internal authentication. */
  readonly auth: AuthSecrets;
  /** Whether Wasm hosts, where the secret is set, let in nobody who does not sign. */
  readonly checksHostCalls: boolean;
  /** Whether the controllers answer for `custom.metrics.k8s.io`. */
  readonly customMetrics: boolean;
  /** Of pino. */
  readonly logLevel: string;
}

/** @throws FissiumError BAD_OPTION that names what is missing */
export function clusterSettings(env: Env): ClusterSettings {
  return {
    podName: required(env, 'POD_NAME', "the pod's name, by the downward API"),
    podIp: required(env, 'POD_IP', "the pod's address, by the downward API"),
    namespace: required(env, 'POD_NAMESPACE', "the pod's namespace, by the downward API"),
    namespaces: list(env['FISSIUM_NAMESPACES']),
    image: env['FISSIUM_IMAGE'] ?? '',
    auth: authSecrets(env),
    checksHostCalls: env['FISSIUM_CHECK_HOST_CALLS'] !== 'false',
    customMetrics: env['FISSIUM_CUSTOM_METRICS'] !== 'false',
    logLevel: env['FISSIUM_LOG_LEVEL'] ?? 'info',
  };
}

export interface WasmHostSettings {
  readonly podName: string;
  /** Namespace of the functions; the host's own. */
  readonly namespace: string;
  readonly environment: { readonly namespace: string; readonly name: string };
  /** The one function of a host of strategy `newdeploy`; null for all of the environment. */
  readonly onlyFunction: string | null;
  /** Folder for archives, prepared packages and logs; may be lost with the pod. */
  readonly dataFolder: string;
  /** For archives, with the namespace's key. */
  readonly signStorage: StorageSigner;
  /** By which keys the passes of calls are made; empty where everybody is let in. */
  readonly callKeys: readonly Uint8Array[];
  readonly logLevel: string;
}

/** @throws FissiumError BAD_OPTION that names what is missing */
export function wasmHostSettings(env: Env): WasmHostSettings {
  const namespace = required(env, 'POD_NAMESPACE', "the pod's namespace, by the downward API");
  const [environmentNamespace = '', environmentName = ''] = required(
    env,
    'FISSIUM_ENVIRONMENT',
    'NAMESPACE/NAME of the environment',
  ).split('/');
  return {
    podName: required(env, 'POD_NAME', "the pod's name, by the downward API"),
    namespace,
    environment: { namespace: environmentNamespace, name: environmentName },
    onlyFunction: env['FISSIUM_FUNCTION'] || null,
    dataFolder: env['FISSIUM_DATA'] ?? '/data',
    signStorage: storageSigner(env, namespace),
    callKeys: hostKeys(env['FISSIUM_HOST_KEY'], env['FISSIUM_HOST_KEY_OLD']),
    logLevel: env['FISSIUM_LOG_LEVEL'] ?? 'info',
  };
}

function required(env: Env, name: string, what: string): string {
  const value = env[name];
  if (value !== undefined && value !== '') return value;
  throw new FissiumError('BAD_OPTION', `The environment variable ${name} is not set: ${what}.`);
}

function list(text = ''): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
