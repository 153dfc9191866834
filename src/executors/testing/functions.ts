/** Functions as the controller hands them to strategies. */
import {
  type Environment,
  type FissionFunction,
  type Package,
  resolveEnvironment,
  resolveFunction,
} from '../../api/index.ts';
import type { FunctionOnCluster } from '../strategy.ts';

const DIGEST = 'a'.repeat(64);

export interface FunctionParts {
  readonly strategy: 'poolmgr' | 'newdeploy' | 'container';
  readonly spec?: Partial<FissionFunction['spec']>;
  /** Of `InvokeStrategy.ExecutionStrategy`. */
  readonly scale?: object;
  readonly metadata?: Partial<FissionFunction['metadata']>;
  /** null: the strategy has none. */
  readonly environment?: Partial<Environment['spec']> | null;
  /** Of the deployment archive. */
  readonly url?: string;
}

export function functionOnCluster(parts: FunctionParts): FunctionOnCluster {
  const {
    strategy,
    spec = {},
    scale = {},
    metadata = {},
    environment = {},
    url = 'http://files/a.zip',
  } = parts;
  const object: FissionFunction = {
    apiVersion: 'fission.io/v1',
    kind: 'Function',
    metadata: {
      name: 'hello',
      namespace: 'default',
      uid: '11111111-2222-3333-4444-555555555555',
      generation: 1,
      ...metadata,
    },
    spec: {
      environment: environment === null ? {} : { name: 'python' },
      ...(environment === null ? {} : { package: { packageref: { name: 'hello-pkg' } } }),
      InvokeStrategy: {
        ExecutionStrategy: { ExecutorType: strategy, MinScale: 0, MaxScale: 3, ...scale },
        StrategyType: 'execution',
      },
      ...spec,
    },
  };
  return {
    object,
    resolved: resolveFunction(object),
    environment: environment === null ? null : environmentOf(environment),
    pkg: environment === null ? null : packageOf(url),
  };
}

function environmentOf(spec: Partial<Environment['spec']>): NonNullable<FunctionOnCluster['environment']> {
  const object: Environment = {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: { name: 'python', namespace: 'default', uid: 'env-uid' },
    spec: { version: 3, runtime: { image: 'fission/python-env' }, ...spec },
  };
  return { object, resolved: resolveEnvironment(object) };
}

function packageOf(url: string): Package {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { name: 'hello-pkg', namespace: 'default', uid: 'pkg-uid' },
    spec: {
      environment: { name: 'python', namespace: 'default' },
      deployment: { type: 'url', url, checksum: { type: 'sha256', sum: DIGEST } },
    },
  };
}
