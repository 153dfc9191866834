/** The strategies `newdeploy` and `container`, over watches that they share. */
import type { Logger } from 'pino';

import type { EnvVar, EventRecorder, KubeClient } from '../../kube/index.ts';
import { containerKind } from '../container/index.ts';
import type { Loads } from '../loads.ts';
import { newdeployKind } from '../newdeploy/index.ts';
import type { Strategy } from '../strategy.ts';
import { DeploymentStrategy } from './deployment-strategy.ts';
import { WorkloadCache } from './workload-cache.ts';

export { IN_FLIGHT_METRIC, QUEUED_METRIC } from './autoscaler.ts';

export interface ScaledStrategiesOptions {
  readonly client: KubeClient;
  readonly loads: Loads;
  readonly logger: Logger;
  readonly events: Pick<EventRecorder, 'recordEvent'>;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  /** The platform's own. */
  readonly image: string;
  /** Of Wasm hosts, in the functions' namespaces. */
  readonly hostServiceAccount: string;
  /** Keys of the functions' namespace, for fetchers and for Wasm hosts. @default none */
  readonly fetcherEnv?: readonly EnvVar[];
  readonly hostEnv?: readonly EnvVar[];
  /** Whether Kubernetes asks the platform for `custom.metrics.k8s.io`. */
  readonly customMetrics: () => boolean;
  /** Called with `namespace/name` of a function of which something changed: reconcile it. */
  readonly onChange: (functionKey: string) => void;
  /** Milliseconds of a clock that never goes back. @default performance.now */
  readonly now?: () => number;
}

export interface ScaledStrategies {
  readonly newdeploy: Strategy;
  readonly container: Strategy;
  /** Ends the watches, after the strategies. */
  close(): Promise<void>;
}

export function createScaledStrategies(options: ScaledStrategiesOptions): ScaledStrategies {
  const { image, hostServiceAccount, fetcherEnv = [], hostEnv = [] } = options;
  const logger = options.logger.child({ component: 'deployments' });
  const cache = new WorkloadCache({ ...options, logger });
  cache.onChange(options.onChange);
  const kinds = newdeployKind({
    image,
    serviceAccount: hostServiceAccount,
    fetcherEnv: [...fetcherEnv],
    hostEnv,
  });
  const newdeploy = new DeploymentStrategy(kinds, cache, { ...options, logger });
  const container = new DeploymentStrategy(containerKind, cache, { ...options, logger });
  return {
    newdeploy,
    container,
    async close() {
      await newdeploy.close();
      await container.close();
      await cache.close();
    },
  };
}
