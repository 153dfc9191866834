/** Keys of Fission's internal authentication for the pods of a namespace; the installation's secret never goes there. */
import { createHash } from 'node:crypto';

import { FETCHER_KEYS, HOST_KEYS } from '../../api/index.ts';
import { deriveServiceKey } from '../../auth/internal-auth.ts';
import type { AuthSecrets } from '../../auth/request-signer.ts';
import type { EnvVar, KubeObject } from '../../kube/index.ts';
import { MANAGED_BY } from './labels.ts';

/** The keys of a namespace's Secrets, which are Fission's variables. */
const FETCHER_KEY = 'FISSION_FETCHER_KEY';
const STORAGE_KEY = 'FISSION_STORAGE_KEY';
/** Read in src/roles/cluster-settings.ts. */
const HOST_KEY = 'FISSIUM_HOST_KEY';
const HOST_KEY_OLD = 'FISSIUM_HOST_KEY_OLD';

/** A namespace's keys, by the variables in which its pods get them. */
export type KeysSecret = KubeObject & { readonly data: Readonly<Record<string, string>> };

/** @param services by variable: whose key is in it */
export function keysSecret(
  namespace: string,
  name: string,
  services: Readonly<Record<string, Parameters<typeof deriveServiceKey>[1]>>,
  authSecret: string,
): KeysSecret {
  const data = Object.entries(services).map(([variable, service]) => {
    const key = deriveServiceKey(authSecret, service, namespace).toString('hex');
    return [variable, Buffer.from(key).toString('base64')] as const;
  });
  return { metadata: { namespace, name, labels: { ...MANAGED_BY } }, data: Object.fromEntries(data) };
}

export function keyVariable(secret: string, key: string): EnvVar {
  return { name: key, valueFrom: { secretKeyRef: { name: secret, key } } };
}

/** Keys of the namespace's own for its fetchers, from which the installation's secret cannot be had. */
export function fetcherKeys(namespace: string, authSecret: string): KeysSecret {
  const services = { [FETCHER_KEY]: 'fetcher', [STORAGE_KEY]: 'storagesvc' } as const;
  return keysSecret(namespace, FETCHER_KEYS, services, authSecret);
}

/** The keys as a fetcher's variables. */
export function fetcherKeyEnv(authSecret: string): EnvVar[] {
  return [
    keyVariable(FETCHER_KEYS, FETCHER_KEY),
    keyVariable(FETCHER_KEYS, STORAGE_KEY),
    keysMark(authSecret),
  ];
}

/** Keys of a namespace's Wasm hosts, by which they know the routers. */
export function hostKeysSecret(namespace: string, secrets: AuthSecrets): KeysSecret | null {
  if (secrets.current === null) return null;
  const of = (variable: string, secret: string): Readonly<Record<string, string>> =>
    keysSecret(namespace, HOST_KEYS, { [variable]: 'wasm-host' }, secret).data;
  const previous = secrets.previous === null ? {} : of(HOST_KEY_OLD, secrets.previous);
  const made = keysSecret(namespace, HOST_KEYS, {}, secrets.current);
  return { ...made, data: { ...of(HOST_KEY, secrets.current), ...previous } };
}

/**
 * What a Wasm host signs with when it asks for archives, and knows routers by.
 * @param checksCalls whether it lets in nobody else
 */
export function hostKeyEnv({ current, previous }: AuthSecrets, checksCalls: boolean): EnvVar[] {
  if (current === null) return [];
  const storage = keyVariable(FETCHER_KEYS, STORAGE_KEY);
  const mark = keysMark(current);
  if (!checksCalls) return [storage, mark];
  const old = { secretKeyRef: { name: HOST_KEYS, key: HOST_KEY_OLD, optional: true } };
  // A secret that is taken no more has hosts replaced as well, since they would go on taking it.
  const marks = previous === null ? mark.value : `${mark.value} ${keysMark(previous).value}`;
  return [
    storage,
    keyVariable(HOST_KEYS, HOST_KEY),
    { name: HOST_KEY_OLD, valueFrom: old },
    { name: mark.name, value: marks },
  ];
}

/** Tells secrets apart without telling them: pods read their keys at their start, and another secret needs other pods. */
export function keysMark(authSecret: string): { readonly name: string; readonly value: string } {
  const key = deriveServiceKey(authSecret, 'storagesvc');
  return { name: 'FISSIUM_KEYS', value: createHash('sha256').update(key).digest('hex').slice(0, 8) };
}

/** The namespace whose key it is. */
export const POD_NAMESPACE_ENV: EnvVar = {
  name: 'POD_NAMESPACE',
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } },
};
