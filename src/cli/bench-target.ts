/** Where `fissium bench` asks a function: straight at a listener, since through the API every byte goes twice. */
import type { HttpTrigger } from '../api/index.ts';
import { readAddresses, type ListenerAddresses } from '../kube/listener-addresses.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import { usageError, type CliIo } from './command.ts';
import { CliError } from './errors.ts';

export interface BenchTarget {
  readonly url: string;
  /** Which address that is, for a person. */
  readonly how: string;
  /** The internal listener, where functions without a route are asked; null where it is not known. */
  readonly internal: string | null;
}

interface Wanted {
  readonly name: string;
  readonly url: string | undefined;
  readonly subpath: string | undefined;
}

/** The address to ask: what was given, else a route of the function's, else its path on the internal listener. */
export async function benchTarget(cluster: Cluster, env: CliIo['env'], wanted: Wanted): Promise<BenchTarget> {
  const { router, internal } = addresses(cluster, env);
  const below = (wanted.subpath ?? '').replace(/^\/*/, '/').replace(/^\/$/, '');
  if (wanted.url !== undefined) {
    if (!URL.canParse(wanted.url) || new URL(wanted.url).protocol !== 'http:')
      throw usageError(
        `--url is ${JSON.stringify(wanted.url)}`,
        'it must begin with http://: the load generator speaks no TLS',
      );
    return { url: wanted.url + below, how: 'as --url says', internal };
  }
  if (router !== null) {
    const triggers = await cluster.list<HttpTrigger>(RESOURCES.httptriggers);
    const path = routeOf(triggers, wanted.name);
    if (path !== null) return { url: router + path + below, how: 'its route', internal };
  }
  if (internal !== null) {
    const url = internal + functionPath(cluster.namespace, wanted.name) + below;
    return { url, how: 'the internal listener, as `fissium function test` does', internal };
  }
  throw new CliError('the address of the platform’s router is not known', {
    why: 'the Kubernetes API passes requests on to it, but would be what is measured',
    fix: 'set FISSION_ROUTER_INTERNAL_URL or FISSION_ROUTER_URL to an address that is reached directly (a node port or a load balancer; `kubectl port-forward` is slower than the platform), or name one with --url',
  });
}

/** `/fission-function/<ns>/<name>`; Fission leaves the namespace out where it is `default`. */
export function functionPath(namespace: string, name: string): string {
  const parts = namespace === 'default' ? [name] : [namespace, name];
  return `/fission-function/${parts.map(encodeURIComponent).join('/')}`;
}

function addresses(
  cluster: Cluster,
  env: CliIo['env'],
): { [K in keyof ListenerAddresses]: ListenerAddresses[K] | null } {
  const written = readAddresses(cluster.connection.source);
  const given = (value: string | undefined): string | null =>
    value === undefined || value === '' ? null : value.replace(/\/+$/, '');
  return {
    router: given(env.FISSION_ROUTER_URL) ?? written?.router ?? null,
    internal: given(env.FISSION_ROUTER_INTERNAL_URL) ?? written?.internal ?? null,
  };
}

/** The path of a route to this function alone, without host and parameters; null where there is none. */
export function routeOf(triggers: readonly HttpTrigger[], name: string): string | null {
  for (const { spec } of triggers) {
    const { functionref, host } = spec;
    if (functionref.name !== name || (functionref.type ?? 'name') !== 'name' || host) continue;
    const path = spec.prefix || spec.relativeurl || '';
    if (path.startsWith('/') && !path.includes('{')) return path;
  }
  return null;
}
