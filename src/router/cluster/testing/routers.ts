/** Routers on a small API, beside whatever stands for their pods. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach } from 'vitest';

import { type KubeClient, type KubeObject, RESOURCES } from '../../../kube/index.ts';
import { eventually } from '../../../kube/testing/eventually.ts';
import { SmallApi } from '../../../kube/testing/small-api.ts';
import { hostCallSigners } from '../../../auth/host-calls.ts';
import { type AuthSecrets, requestSigner } from '../../../auth/request-signer.ts';
import { FunctionTable } from '../../function-table.ts';
import { routeByName } from '../../route-by-name.ts';
import { RouteTable } from '../../route-table.ts';
import { createRouter, type Router } from '../../server.ts';
import { peersGuard } from '../peers.ts';
import { type RouterControl, startRouterControl } from '../router-control.ts';

const logger = pino({ level: 'silent' });

/** A server that stands for a pod, or for the leader. */
export interface Backend {
  readonly port: number;
  readonly seen: IncomingMessage[];
  close(): Promise<void>;
}

export interface TestRouter {
  readonly url: string;
  readonly peersPort: number;
  readonly control: RouterControl;
}

/** For a file of tests: a new API for each, and everything that was started on it closed after it. */
export function routersOnCluster() {
  let api: SmallApi;
  let client: KubeClient;
  let closing: (() => Promise<void>)[];

  beforeEach(async () => {
    api = await SmallApi.start();
    client = api.client();
    closing = [];
  });

  afterEach(async () => {
    for (const close of closing.toReversed()) await close();
    client.close();
    await api.close();
  });

  async function backend(answer: (req: IncomingMessage, res: ServerResponse) => void): Promise<Backend> {
    const seen: IncomingMessage[] = [];
    const server: Server = createServer((req, res) => {
      seen.push(req);
      answer(req, res);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const close = async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    closing.push(close);
    return { port: (server.address() as AddressInfo).port, seen, close };
  }

  async function startRouter(
    podName: string,
    auth: AuthSecrets = { current: null, previous: null },
  ): Promise<TestRouter> {
    const functions = new FunctionTable();
    const peerFunctions = new FunctionTable();
    const routes = new RouteTable();
    const peerRoutes = new RouteTable();
    const stop = routeByName(peerFunctions, peerRoutes);
    const router = createRouter({ functions, routes, logger });
    const guard = peersGuard(auth);
    const peers = createRouter({
      functions: peerFunctions,
      routes: peerRoutes,
      logger,
      fromRouters: true,
      ...(guard === undefined ? {} : { guard }),
    });
    const control = startRouterControl({
      client,
      logger,
      namespace: 'fission',
      namespaces: [],
      podName,
      peersService: 'router-peers',
      signDemand: requestSigner('executor', auth.current),
      signCall: requestSigner('router-peers', auth.current),
      hostSignerOf: hostCallSigners(auth),
      functions,
      peerFunctions,
      routes,
      admission: router.services.admission,
    });
    const listen = async (part: Router): Promise<number> => {
      const port = await part.listen('127.0.0.1', 0);
      closing.push(() => part.close({ graceMs: 0 }));
      return port;
    };
    closing.push(async () => {
      stop();
      await control.close();
    });
    const port = await listen(router);
    const peersPort = await listen(peers);
    await control.synced();
    return { url: `http://127.0.0.1:${port}`, peersPort, control };
  }

  const put = (type: (typeof RESOURCES)[keyof typeof RESOURCES], object: KubeObject): Promise<KubeObject> =>
    client.create(type, { apiVersion: `${type.group}/${type.version}`, kind: type.kind, ...object });

  async function deploy(name: string, image: string, spec: object = {}): Promise<string> {
    await put(RESOURCES.environments, {
      metadata: { namespace: 'default', name: `env-${name}` },
      spec: { version: 3, runtime: { image } },
    } as KubeObject);
    const { metadata } = await put(RESOURCES.functions, {
      metadata: { namespace: 'default', name },
      spec: {
        environment: { namespace: 'default', name: `env-${name}` },
        package: { packageref: { namespace: 'default', name } },
        InvokeStrategy: { StrategyType: 'execution', ExecutionStrategy: { ExecutorType: 'poolmgr' } },
        ...spec,
      },
    } as KubeObject);
    await put(RESOURCES.httptriggers, {
      metadata: { namespace: 'default', name },
      spec: { relativeurl: `/${name}`, methods: ['GET', 'POST'], functionref: { type: 'name', name } },
    } as KubeObject);
    return metadata.uid ?? '';
  }

  const slice = (
    name: string,
    labels: Record<string, string>,
    ports: readonly number[],
    namespace = 'default',
  ): Promise<unknown[]> =>
    Promise.all(
      ports.map((port, index) =>
        put(RESOURCES.endpointslices, {
          metadata: {
            namespace,
            name: `${name}-${index}`,
            labels: { 'app.kubernetes.io/managed-by': 'fissium', ...labels },
          },
          addressType: 'IPv4',
          ports: [{ name: 'http', port }],
          endpoints: [
            {
              addresses: ['127.0.0.1'],
              conditions: { ready: true },
              targetRef: { kind: 'Pod', namespace, name: `${name}-${index}` },
            },
          ],
        } as KubeObject),
      ),
    );

  const hosts = (name: string, ports: readonly number[]): Promise<unknown[]> =>
    slice(
      `hosts-${name}`,
      {
        'fissium.io/part': 'wasm-host',
        environmentName: `env-${name}`,
        environmentNamespace: 'default',
      },
      ports,
    );

  /** Has routers know of each other. */
  async function introduce(routers: readonly TestRouter[]): Promise<void> {
    await Promise.all(
      routers.map(({ peersPort }, index) =>
        put(RESOURCES.endpointslices, {
          metadata: {
            namespace: 'fission',
            name: `peers-${index}`,
            labels: { 'kubernetes.io/service-name': 'router-peers' },
          },
          addressType: 'IPv4',
          ports: [{ name: 'http', port: peersPort }],
          endpoints: [
            {
              addresses: ['127.0.0.1'],
              targetRef: { kind: 'Pod', namespace: 'fission', name: `router-${index + 1}` },
            },
          ],
        } as KubeObject),
      ),
    );
  }

  const routed = (router: TestRouter, path: string): Promise<boolean> =>
    eventually(`a route ${path}`, async () => {
      // A method that no route takes: 405 says that there is one.
      const answer = await fetch(router.url + path, { method: 'PATCH' });
      return answer.status === 405;
    });

  return { put, backend, startRouter, deploy, slice, hosts, introduce, routed };
}
