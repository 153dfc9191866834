/** `fissium check`: each part of the platform, whether it answers, and how to mend it. */
import type { Environment } from '../api/index.ts';
import { clientVersion } from './client-version.ts';
import { RESOURCES, type Cluster, type ServiceName } from './cluster.ts';
import { defineCommand } from './command.ts';
import { CliError, messageOf } from './errors.ts';
import { explain } from './explain.ts';
import {
  metricsReachAutoscalers,
  noForeignFission,
  partsRun,
  someoneLeads,
} from './install/cluster-checks.ts';
import { flag, withDefault } from './options.ts';
import { serverInfo } from './version.ts';

const TIMEOUT_MS = 5000;

interface Check {
  readonly title: string;
  /** Resolves with what is worth telling about it, or null where it does not apply; rejects when it fails. */
  run(cluster: Cluster): Promise<string | null>;
  readonly fix: string;
}

const CHECKS: readonly Check[] = [
  {
    title: 'kubernetes-api',
    fix: 'start the platform with `fissium up`, or name another kubeconfig with --kubeconfig',
    async run({ client, connection }) {
      const { gitVersion } = await client.getPath<{ gitVersion?: string }>('/version', {
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      return `${connection.server} ${gitVersion ?? ''}`;
    },
  },
  {
    title: 'fission.io/v1',
    fix: 'this API server does not know Fission’s kinds: install crds/, or start `fissium up`',
    async run({ client }) {
      const { resources } = await client.getPath<{ resources: { name: string }[] }>('/apis/fission.io/v1');
      return resources
        .map(({ name }) => name)
        .filter((name) => !name.includes('/'))
        .join(', ');
    },
  },
  {
    title: 'fission',
    fix: 'uninstall Fission (helm uninstall), or Fissium',
    run: noForeignFission,
  },
  {
    title: 'parts',
    fix: 'see kubectl get pods,events in the namespace of the installation',
    run: partsRun,
  },
  {
    title: 'leader',
    fix: 'see the logs of Deployment executor',
    run: someoneLeads,
  },
  {
    title: 'custom-metrics',
    fix: 'see kubectl get apiservice, and the logs of Deployment executor',
    run: metricsReachAutoscalers,
  },
  {
    title: 'environment-wasm',
    fix: 'make it: fissium environment create --name wasm --image wasm',
    async run(cluster) {
      const environments = await cluster.list<Environment>(RESOURCES.environments);
      const wasm = environments
        .filter(({ spec }) => spec.runtime.image === 'wasm')
        .map(({ metadata }) => metadata.name);
      if (wasm.length === 0)
        throw new Error(`namespace ${cluster.namespace} has no environment with image wasm`);
      return wasm.join(', ');
    },
  },
  {
    title: 'router',
    fix: 'see the platform’s log; its router may listen elsewhere: set FISSION_ROUTER_URL',
    async run(cluster) {
      const { Build, Fissium } = await serverInfo(cluster);
      if (Fissium === undefined)
        throw new Error(`what answers is not Fissium's router: ${JSON.stringify(Build ?? {})}`);
      const server = Fissium.Version ?? 'unknown';
      const client = clientVersion();
      const skew = minor(server) !== minor(client) ? ` (this CLI is ${client})` : '';
      return `version ${server}${skew}`;
    },
  },
  {
    title: 'router-internal',
    fix: 'see the platform’s log; set FISSION_ROUTER_INTERNAL_URL if it listens elsewhere',
    run: (cluster) => answers(cluster, 'router-internal', '/readyz'),
  },
  {
    title: 'storage',
    fix: 'see the platform’s log; set FISSION_STORAGESVC_URL if it listens elsewhere',
    run: (cluster) => answers(cluster, 'storagesvc', '/healthz'),
  },
];

export const check = defineCommand({
  name: 'check',
  summary: 'Check that the platform can be reached and serves',
  options: {
    pre: withDefault(flag('pre', 'Only what an installation needs: an API server that answers'), false),
  },
  async handler({ pre }, { connect, out }) {
    let cluster: Cluster;
    try {
      cluster = await connect();
    } catch (thrown) {
      const error = explain(thrown);
      out.line(`kubeconfig: failed: ${error.message}`);
      return 1;
    }
    const { source, context } = cluster.connection;
    out.line(`kubeconfig: ok: ${source} (context ${context}, namespace ${cluster.namespace})`);
    let failed = 0;
    for (const each of pre ? CHECKS.slice(0, 1) : CHECKS) {
      const progress = out.progress(`checking ${each.title}`);
      try {
        const found = await each.run(cluster);
        progress.end();
        if (found !== null) out.line(found === '' ? `${each.title}: ok` : `${each.title}: ok: ${found}`);
      } catch (thrown) {
        progress.end();
        failed++;
        out.line(`${each.title}: failed: ${thrown instanceof CliError ? thrown.message : messageOf(thrown)}`);
        out.line(`  fix: ${each.fix}`);
        // Nothing else can answer where the API server does not.
        if (each === CHECKS[0]) break;
      }
    }
    return failed === 0 ? 0 : 1;
  },
});

async function answers(cluster: Cluster, service: ServiceName, path: string): Promise<string> {
  const answer = await cluster.service(service, path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const text = (await answer.text()).trim();
  if (answer.status >= 300) throw new Error(`it answered ${answer.status} to ${path}: ${text.slice(0, 200)}`);
  return text.startsWith('{') ? '' : text;
}

function minor(version: string): string {
  return version.replace(/^v/, '').split('.').slice(0, 2).join('.');
}
