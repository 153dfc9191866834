/** The Deployment of an environment's builder: the builder, and the fetcher beside it. Pure. */
import { createHash } from 'node:crypto';

import { BUILDER_KEYS, type Environment } from '../../api/index.ts';
import { keysMark, type KeysSecret, keysSecret, keyVariable } from '../../executors/pods/auth-keys.ts';
import {
  httpProbe,
  PLATFORM_SECURITY,
  POD_SECURITY,
  TELLS_WHY,
  USER_SECURITY,
} from '../../executors/pods/containers.ts';
import { FETCHER, fetcherContainer } from '../../executors/pods/fetcher-container.ts';
import { MANAGED_BY, ownedBy, PART_LABEL, TEMPLATE_ANNOTATION } from '../../executors/pods/labels.ts';
import { mergeContainer, mergePodSpec } from '../../executors/pods/merge-pod.ts';
import type { Container, DeploymentSpec, EnvVar, KubeObject, PodSpec } from '../../kube/index.ts';

export type BuilderDeployment = KubeObject & {
  readonly spec: DeploymentSpec;
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
  };
};

export interface BuilderObjectOptions {
  /** The platform's own image: fetchers, and the builder of WebAssembly. */
  readonly image: string;
  /** By which requests are signed: then both containers get their keys, see {@link builderKeys}. */
  readonly authSecret: string | null;
}

/** Fission's. */
export const BUILDER_PORT = 8001;
const SHARED_FOLDER = '/packages';
const BUILDER = 'builder';
export const BUILDER_PART = 'builder';
export const ENVIRONMENT_UID_LABEL = 'environmentUid';
/** The keys of the Secret of a namespace's builders, which are Fission's variables. */
const KEYS = {
  FISSION_BUILDER_KEY: 'builder',
  FISSION_FETCHER_KEY: 'fetcher',
  FISSION_STORAGE_KEY: 'storagesvc',
} as const;
/** Of `spec.builder.image`: what becomes WebAssembly is built by the platform's own image. */
const WASM = 'wasm';
const OWN_IMAGE = /^fissium-(python|node)-builder([-_.].*)?$/;
const WORD_MAX_LENGTH = 20;

/** `builder-python-default-1b2c3d4e`. */
export function builderName({ metadata }: Environment): string {
  const words = [metadata.name, metadata.namespace ?? 'default'].map((word) =>
    word.slice(0, WORD_MAX_LENGTH),
  );
  const uid = (metadata.uid ?? '').replaceAll('-', '').slice(-8);
  return ['builder', ...words, uid].join('-').replaceAll('.', '-').toLowerCase();
}

/** By which the Deployment knows its pods: never changes while the environment lives. */
export function builderSelector({ metadata }: Environment): Record<string, string> {
  return { [PART_LABEL]: BUILDER_PART, [ENVIRONMENT_UID_LABEL]: metadata.uid ?? '' };
}

/**
 * One pod, since its volume is where a build lives. A new template replaces it only when the old one has ended: a
 * build that this ends is begun again.
 * @throws FissiumError RESOURCE_INVALID where the environment's changes of the pod do not fit
 */
export function builderDeployment(
  environment: Environment,
  options: BuilderObjectOptions,
): BuilderDeployment {
  const { metadata } = environment;
  const labels = { ...fissionLabels(environment), ...builderSelector(environment), ...MANAGED_BY };
  const spec = podSpecOf(environment, options);
  const template = createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 10);
  return {
    metadata: {
      namespace: metadata.namespace ?? 'default',
      name: builderName(environment),
      labels,
      annotations: { [TEMPLATE_ANNOTATION]: template },
      ownerReferences: [ownedBy(environment)],
    },
    spec: {
      replicas: 1,
      selector: { matchLabels: builderSelector(environment) },
      strategy: { type: 'Recreate' },
      revisionHistoryLimit: 0,
      template: { metadata: { labels, annotations: { [TEMPLATE_ANNOTATION]: template } }, spec },
    },
  };
}

/** Those by which Fission's users find builders. */
function fissionLabels({ metadata }: Environment): Record<string, string> {
  return { envName: metadata.name, envNamespace: metadata.namespace ?? 'default', owner: 'buildermgr' };
}

/** Keys of the namespace's own, from which the installation's secret cannot be had. */
export function builderKeys(namespace: string, authSecret: string): KeysSecret {
  return keysSecret(namespace, BUILDER_KEYS, KEYS, authSecret);
}

function keyEnv(...names: (keyof typeof KEYS)[]): EnvVar[] {
  return names.map((name) => keyVariable(BUILDER_KEYS, name));
}

function podSpecOf({ spec }: Environment, options: BuilderObjectOptions): PodSpec {
  const { builder, imagepullsecret = '' } = spec;
  const own = mergeContainer(
    builderContainer(builder?.image ?? '', options),
    builder?.container ?? null,
    'spec.builder.container',
  );
  const base: PodSpec = {
    // Requests bring the archive along, so that nothing in the pod reads the API: users' commands run here.
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    // Both containers write into the volume, whoever they run as.
    securityContext: { ...POD_SECURITY, fsGroup: PLATFORM_SECURITY.runAsGroup },
    ...(imagepullsecret === '' ? {} : { imagePullSecrets: [{ name: imagepullsecret }] }),
    volumes: [
      { name: 'packages', emptyDir: {} },
      { name: 'fissium-tmp', emptyDir: {} },
    ],
    // By its name the fetcher's requests, and changes of users, find it.
    containers: [{ ...own, name: BUILDER }, fetcherOf(options)],
  };
  return mergePodSpec(base, builder?.podspec ?? null, 'spec.builder.podspec');
}

function builderContainer(image: string, { image: platform, authSecret }: BuilderObjectOptions): Container {
  const isWasm = image === WASM;
  const container: Container = {
    name: BUILDER,
    image: isWasm ? platform : image,
    imagePullPolicy: 'IfNotPresent',
    // Where Fission's builder images have their server, and ours too.
    ...(isWasm
      ? { args: ['builder', '--toolchain', WASM, SHARED_FOLDER] }
      : { command: ['/builder', SHARED_FOLDER] }),
    ports: [{ name: 'http-builder', containerPort: BUILDER_PORT, protocol: 'TCP' }],
    // A build may take the processor for itself: the pod is to stay ready then.
    readinessProbe: httpProbe('/healthz', BUILDER_PORT, { timeoutSeconds: 10, failureThreshold: 30 }),
    env: authSecret === null ? [] : [...keyEnv('FISSION_BUILDER_KEY'), keysMark(authSecret)],
    volumeMounts: [{ name: 'packages', mountPath: SHARED_FOLDER }],
    ...TELLS_WHY,
  };
  // Other people's images may be made for root and write where they like.
  if (!isWasm && !isOwnImage(image)) return { ...container, securityContext: USER_SECURITY };
  return {
    ...container,
    securityContext: PLATFORM_SECURITY,
    volumeMounts: [
      ...(container.volumeMounts ?? []),
      { name: 'fissium-tmp', mountPath: '/tmp', subPath: BUILDER },
    ],
  };
}

function fetcherOf({ image, authSecret }: BuilderObjectOptions): Container {
  return fetcherContainer({
    image,
    args: ['-secret-dir', '/tmp/secrets', '-cfgmap-dir', '/tmp/configs', SHARED_FOLDER],
    env: [
      { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
      ...(authSecret === null ? [] : keyEnv('FISSION_FETCHER_KEY', 'FISSION_STORAGE_KEY')),
    ],
    readiness: { timeoutSeconds: 10 },
    volumeMounts: [
      { name: 'packages', mountPath: SHARED_FOLDER },
      { name: 'fissium-tmp', mountPath: '/tmp', subPath: FETCHER },
    ],
  });
}

/** By the last part of the image's name: `registry:5000/team/fissium-python-builder:3.13`. */
function isOwnImage(image: string): boolean {
  const last = image.split('@', 1)[0]?.split('/').at(-1) ?? '';
  return OWN_IMAGE.test((last.split(':', 1)[0] ?? '').toLowerCase());
}
