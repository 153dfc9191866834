/** Keys of Fission's internal authentication for the pods of a namespace; the installation's secret never goes there. */
import { createHash } from 'node:crypto';

import { deriveServiceKey } from '../../auth/internal-auth.ts';
import type { EnvVar, KubeObject } from '../../kube/index.ts';
import { MANAGED_BY } from './labels.ts';

/** The Secret with a namespace's keys, and its keys, which are Fission's variables. */
const FETCHER_KEYS = 'fissium-fetcher-keys';
const FETCHER_KEY = 'FISSION_FETCHER_KEY';
const STORAGE_KEY = 'FISSION_STORAGE_KEY';

/** Keys of the namespace's own for its fetchers, from which the installation's secret cannot be had. */
export function fetcherKeys(
  namespace: string,
  authSecret: string,
): KubeObject & { data: Record<string, string> } {
  const key = (service: 'fetcher' | 'storagesvc'): string =>
    Buffer.from(deriveServiceKey(authSecret, service, namespace).toString('hex')).toString('base64');
  return {
    metadata: { namespace, name: FETCHER_KEYS, labels: { ...MANAGED_BY } },
    data: { [FETCHER_KEY]: key('fetcher'), [STORAGE_KEY]: key('storagesvc') },
  };
}

/** The keys as a fetcher's variables. */
export function fetcherKeyEnv(authSecret: string): EnvVar[] {
  return [...[FETCHER_KEY, STORAGE_KEY].map(variable), keysMark(authSecret)];
}

/** What a Wasm host signs with when it asks for archives. */
export function storageKeyEnv(authSecret: string): EnvVar[] {
  return [variable(STORAGE_KEY), keysMark(authSecret)];
}

/** Tells secrets apart without telling them: pods read their keys at their start, and another secret needs other pods. */
export function keysMark(authSecret: string): EnvVar {
  const key = deriveServiceKey(authSecret, 'storagesvc');
  return { name: 'FISSIUM_KEYS', value: createHash('sha256').update(key).digest('hex').slice(0, 8) };
}

/** The namespace whose key it is. */
export const POD_NAMESPACE_ENV: EnvVar = {
  name: 'POD_NAMESPACE',
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } },
};

function variable(key: string): EnvVar {
  return { name: key, valueFrom: { secretKeyRef: { name: FETCHER_KEYS, key } } };
}
