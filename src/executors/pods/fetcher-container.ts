/** The fetcher beside a runtime or a builder: what of it is the same everywhere. */
import type { Container, EnvVar, Probe, VolumeMount } from '../../kube/index.ts';
import { FETCHER_PORT, httpProbe, PLATFORM_SECURITY, TELLS_WHY } from './containers.ts';

/** Its container's name, by which users' changes find it. */
export const FETCHER = 'fetcher';

export interface FetcherOptions {
  /** The platform's own. */
  readonly image: string;
  /** Behind `fissium fetcher`. */
  readonly args: readonly string[];
  readonly env: readonly EnvVar[];
  readonly volumeMounts: readonly VolumeMount[];
  /** Of its readiness probe. @default the usual ones */
  readonly readiness?: Partial<Probe>;
  /** @default it is not probed: what hangs there its pod's readiness tells */
  readonly livenessProbe?: Probe;
}

export function fetcherContainer(options: FetcherOptions): Container {
  const { image, args, env, volumeMounts, readiness = {}, livenessProbe } = options;
  return {
    name: FETCHER,
    image,
    imagePullPolicy: 'IfNotPresent',
    args: ['fetcher', ...args],
    env: [...env],
    ports: [{ name: 'http-fetcher', containerPort: FETCHER_PORT, protocol: 'TCP' }],
    readinessProbe: httpProbe('/readiness-healthz', FETCHER_PORT, { failureThreshold: 30, ...readiness }),
    ...(livenessProbe === undefined ? {} : { livenessProbe }),
    resources: { requests: { cpu: '10m', memory: '32Mi' } },
    securityContext: PLATFORM_SECURITY,
    volumeMounts: [...volumeMounts],
    ...TELLS_WHY,
  };
}
