/** What Wasm hosts may read: pure. Guests never get at it. */
import { GROUP, type ObjectName } from '../../api/index.ts';
import type { KubeObject } from '../../kube/index.ts';
import { MANAGED_BY } from '../pods/labels.ts';

/** Of Wasm hosts, in each namespace that has functions for them. */
export const HOST_SERVICE_ACCOUNT = 'fissium-wasm-host';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface RoleObject extends KubeObject {
  readonly rules: readonly Rule[];
}

export interface BindingObject extends KubeObject {
  readonly roleRef: { readonly apiGroup: string; readonly kind: 'Role'; readonly name: string };
  readonly subjects: readonly {
    readonly kind: 'ServiceAccount';
    readonly name: string;
    readonly namespace: string;
  }[];
}

/** What functions of one namespace name. */
export interface NamedByFunctions {
  /** Of the namespace's functions that hosts run. */
  readonly secrets: readonly string[];
  readonly configMaps: readonly string[];
}

const READ = ['get', 'list', 'watch'];

export function hostServiceAccount(namespace: string): KubeObject {
  return { metadata: { namespace, name: HOST_SERVICE_ACCOUNT, labels: { ...MANAGED_BY } } };
}

/** The functions and packages of the namespace, and of its secrets and config maps those that functions name. */
export function hostRole(namespace: string, { secrets, configMaps }: NamedByFunctions): RoleObject {
  const named = (resource: string, names: readonly string[]): Rule[] =>
    // A rule without names would be one for all of them.
    names.length === 0
      ? []
      : [{ apiGroups: [''], resources: [resource], verbs: READ, resourceNames: names.toSorted(byText) }];
  return {
    metadata: { namespace, name: HOST_SERVICE_ACCOUNT, labels: { ...MANAGED_BY } },
    rules: [
      { apiGroups: [GROUP], resources: ['functions', 'packages', 'environments'], verbs: READ },
      ...named('secrets', secrets),
      ...named('configmaps', configMaps),
    ],
  };
}

export function hostBinding(namespace: string): BindingObject {
  return binding(namespace, HOST_SERVICE_ACCOUNT, namespace);
}

/** For functions whose environment is in another namespace: that environment alone. */
export function environmentRole(environment: ObjectName, hosts: string): RoleObject {
  const { namespace, name } = environment;
  return {
    metadata: { namespace, name: environmentRoleName(name, hosts), labels: { ...MANAGED_BY } },
    rules: [{ apiGroups: [GROUP], resources: ['environments'], verbs: READ, resourceNames: [name] }],
  };
}

export function environmentBinding({ namespace, name }: ObjectName, hosts: string): BindingObject {
  return binding(namespace, environmentRoleName(name, hosts), hosts);
}

function environmentRoleName(environment: string, hosts: string): string {
  return `${HOST_SERVICE_ACCOUNT}-${environment}-${hosts}`;
}

function binding(namespace: string, role: string, hosts: string): BindingObject {
  return {
    metadata: { namespace, name: role, labels: { ...MANAGED_BY } },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: role },
    subjects: [{ kind: 'ServiceAccount', name: HOST_SERVICE_ACCOUNT, namespace: hosts }],
  };
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
