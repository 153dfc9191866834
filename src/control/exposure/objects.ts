/** The Ingress or HTTPRoute that shows a trigger outside: pure, and as Fission makes them. */
import { createHash } from 'node:crypto';

import type { ResolvedExposure, ResolvedTrigger } from '../../api/index.ts';
import { type KubeObject, RESOURCES, type ResourceType } from '../../kube/index.ts';

export type Provider = ResolvedExposure['provider'];

export interface RouteObject extends KubeObject {
  readonly spec: object;
}

export const ROUTE_TYPES: Readonly<Record<Provider, ResourceType>> = {
  ingress: RESOURCES.ingresses,
  gateway: RESOURCES.httproutes,
};

/** Selects all of them. */
export const ROUTE_SELECTOR = 'app.kubernetes.io/managed-by=fissium,fissium.io/part=route';
/** `namespace/name` of the trigger: owners cannot be in another namespace. */
export const TRIGGER_ANNOTATION = 'fissium.io/trigger';

/** The routers' Service, public port. */
const BACKEND = { name: 'router', port: 80 };
/** Where Fission's users have their triggers: there the object has the trigger's name. */
const USUAL_NAMESPACE = 'default';

/**
 * The trigger's name, as in Fission; with a mark where the trigger is in another namespace than `default`, as all of
 * them are made in one.
 */
export function routeName({
  namespace,
  name,
}: {
  readonly namespace: string;
  readonly name: string;
}): string {
  if (namespace === USUAL_NAMESPACE) return name;
  const mark = createHash('sha256').update(`${namespace}/${name}`).digest('hex').slice(0, 8);
  return `${name}-${mark}`;
}

/** @param controlNamespace where the router's Service is: neither kind sends to another namespace */
export function routeObject(
  trigger: ResolvedTrigger,
  exposure: ResolvedExposure,
  controlNamespace: string,
): RouteObject {
  const { namespace, name, functions } = trigger;
  const metadata = {
    namespace: controlNamespace,
    name: routeName(trigger),
    labels: {
      triggerName: name,
      functionName: functions[0]?.name ?? '',
      triggerNamespace: namespace,
      'app.kubernetes.io/managed-by': 'fissium',
      'fissium.io/part': 'route',
    },
    annotations: { ...exposure.annotations, [TRIGGER_ANNOTATION]: `${namespace}/${name}` },
  };
  return { metadata, spec: exposure.provider === 'ingress' ? ingressSpec(exposure) : routeSpec(exposure) };
}

function ingressSpec({
  hosts,
  path,
  tlsSecret,
}: Extract<ResolvedExposure, { provider: 'ingress' }>): RouteObject['spec'] {
  const backend = { service: { name: BACKEND.name, port: { number: BACKEND.port } } };
  const http = { paths: [{ path, pathType: 'ImplementationSpecific', backend }] };
  return {
    rules: hosts.length === 0 ? [{ http }] : hosts.map((host) => ({ host, http })),
    ...(tlsSecret === ''
      ? {}
      : { tls: [{ ...(hosts.length === 0 ? {} : { hosts: [...hosts] }), secretName: tlsSecret }] }),
  };
}

function routeSpec({
  hosts,
  path,
  gateways,
}: Extract<ResolvedExposure, { provider: 'gateway' }>): RouteObject['spec'] {
  return {
    parentRefs: gateways.map(({ name, namespace, sectionName, port }) => ({
      name,
      ...(namespace === '' ? {} : { namespace }),
      ...(sectionName === '' ? {} : { sectionName }),
      ...(port === 0 ? {} : { port }),
    })),
    ...(hosts.length === 0 ? {} : { hostnames: [...hosts] }),
    rules: [
      {
        matches: [{ path: { type: 'PathPrefix', value: path } }],
        backendRefs: [{ name: BACKEND.name, port: BACKEND.port }],
      },
    ],
  };
}
