/** How a trigger is shown outside the cluster: Fission's `createingress` and, before it, `routeConfig`. */
import type { HttpTrigger } from './http-trigger.ts';
import type { ResolvedExposure } from './resolved.ts';

type Spec = HttpTrigger['spec'];

/** The fields that say it. */
export const EXPOSURE_FIELDS: readonly string[] = [
  'spec.createingress',
  'spec.ingressconfig',
  'spec.routeConfig',
];

/** null where nothing is asked for. */
export function resolveExposure(spec: Spec): ResolvedExposure | null {
  const { routeConfig, ingressconfig, createingress = false, host = '' } = spec;
  if (routeConfig !== undefined) {
    const { provider, hostnames = [], path = '', annotations, tls = '', gateway } = routeConfig;
    if (provider === 'gateway') {
      return {
        provider,
        hosts: hostsOf(hostnames),
        path: path === '' ? '/' : path,
        annotations: annotations ?? {},
        gateways: (gateway?.parentRefs ?? []).map((parent) => ({
          name: parent.name,
          namespace: parent.namespace ?? '',
          sectionName: parent.sectionName ?? '',
          port: parent.port ?? 0,
        })),
      };
    }
    return {
      provider,
      hosts: hostsOf(hostnames.length === 0 ? [host] : hostnames),
      path: path === '' ? ingressPath(spec) : path,
      annotations: annotations ?? {},
      tlsSecret: tls,
    };
  }
  if (!createingress) return null;
  const { host: ingressHost = '', path = '', annotations, tls = '' } = ingressconfig ?? {};
  return {
    provider: 'ingress',
    hosts: hostsOf([ingressHost === '' ? host : ingressHost]),
    path: path === '' ? ingressPath(spec) : path,
    annotations: annotations ?? {},
    tlsSecret: tls,
  };
}

function hostsOf(hosts: readonly string[]): string[] {
  return hosts.some((host) => host === '' || host === '*') ? [] : [...hosts];
}

/** An Ingress knows no parameters: everything below what is before the first one, which the router judges. */
function ingressPath({ prefix = '', relativeurl = '' }: Spec): string {
  const path = prefix === '' ? relativeurl : prefix;
  const parameter = path.indexOf('{');
  return parameter < 0 ? path : path.slice(0, path.lastIndexOf('/', parameter) + 1);
}
