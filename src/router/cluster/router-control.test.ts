import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type KubeClient, type KubeObject, RESOURCES } from '../../kube/index.ts';
import { LEADER_ADDRESS, LEADER_LEASE } from '../../kube/leader.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { SmallApi } from '../../kube/testing/small-api.ts';
import { hostCallCheck, hostCallSigners } from '../../auth/host-calls.ts';
import { deriveServiceKey } from '../../auth/internal-auth.ts';
import { type AuthSecrets, requestSigner } from '../../auth/request-signer.ts';
import { FunctionTable } from '../function-table.ts';
import { routeByName } from '../route-by-name.ts';
import { RouteTable } from '../route-table.ts';
import { createRouter, type Router } from '../server.ts';
import { peersGuard } from './peers.ts';
import { type RouterControl, startRouterControl } from './router-control.ts';

const logger = pino({ level: 'silent' });
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

interface Backend {
  readonly port: number;
  readonly seen: IncomingMessage[];
}

async function backend(answer: (req: IncomingMessage, res: ServerResponse) => void): Promise<Backend> {
  const seen: IncomingMessage[] = [];
  const server: Server = createServer((req, res) => {
    seen.push(req);
    answer(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

interface TestRouter {
  readonly url: string;
  readonly peersPort: number;
  readonly control: RouterControl;
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

describe('a router on a cluster', () => {
  it("calls Wasm hosts by the function's name, with Fission's headers, and says what it has to do", async () => {
    const host = await backend((req, res) => {
      req.pipe(res.writeHead(201, { 'x-answer': 'yes' }));
    });
    const uid = await deploy('hello', 'wasm');
    await hosts('hello', [host.port]);
    const router = await startRouter('router-1');
    await routed(router, '/hello');
    const answer = await fetch(`${router.url}/hello?a=1`, { method: 'POST', body: 'a body' });
    expect([answer.status, answer.headers.get('x-answer'), await answer.text()]).toEqual([
      201,
      'yes',
      'a body',
    ]);
    const [request] = host.seen;
    expect(request?.url).toBe('/fission-function/default/hello/?a=1');
    expect(request?.headers['x-fission-function-uid']).toBe(uid);
    expect(request?.headers['x-fission-full-url']).toBe('/hello?a=1');
    expect(request?.headers.host).toBe(new URL(router.url).host);
    const loads = router.control.loads();
    expect(loads.functions).toMatchObject([{ uid, strategy: 'poolmgr', running: 0, queued: 0 }]);
    expect(loads.endpoints).toMatchObject([{ pod: 'default/hosts-hello-0', running: 0 }]);
  });

  it('goes to another host where one does not take the connection, with the body whole', async () => {
    const host = await backend((req, res) => {
      req.pipe(res);
    });
    await deploy('hello', 'wasm');
    const closed = await backend(() => undefined);
    await closing.pop()?.();
    await hosts('hello', [closed.port, host.port]);
    const router = await startRouter('router-1');
    await routed(router, '/hello');
    const body = 'x'.repeat(100_000);
    for (let i = 0; i < 8; i++) {
      const answer = await fetch(`${router.url}/hello`, { method: 'POST', body: body + i });
      expect(await answer.text()).toBe(body + i);
    }
  });

  it('has a call wait where nothing runs the function, tells the leader, and goes on when a pod is there', async () => {
    const reports: unknown[] = [];
    const leader = await backend((req, res) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
        reports.push(JSON.parse(Buffer.concat(chunks).toString()));
        res.writeHead(202).end();
      })();
    });
    await put(RESOURCES.leases, {
      metadata: {
        namespace: 'fission',
        name: LEADER_LEASE,
        annotations: { [LEADER_ADDRESS]: `http://127.0.0.1:${leader.port}` },
      },
    });
    const uid = await deploy('scaled', 'python', {
      InvokeStrategy: {
        StrategyType: 'execution',
        ExecutionStrategy: { ExecutorType: 'newdeploy', MinScale: 0, MaxScale: 1 },
      },
    });
    const router = await startRouter('router-1');
    await routed(router, '/scaled');
    const answers = [1, 2, 3].map((n) => fetch(`${router.url}/scaled?n=${n}`));
    await eventually('three that wait', () => router.control.loads().functions[0]?.queued === 3);
    await eventually('a report', () => JSON.stringify(reports).includes('"queued":3'));
    expect(reports.at(-1)).toEqual({
      functions: [{ namespace: 'default', name: 'scaled', uid, running: 0, queued: 3 }],
    });
    const pod = await backend((req, res) => {
      res.end(req.url);
    });
    await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    const texts = await Promise.all(answers.map(async (answer) => (await answer).text()));
    // The function's own pods see its own paths.
    expect(texts).toEqual(['/?n=1', '/?n=2', '/?n=3']);
  });

  it("hands calls of a pool's function to the router that has its pods, once", async () => {
    const uid = await deploy('pooled', 'python');
    const routers = [await startRouter('router-1'), await startRouter('router-2')];
    await introduce(routers);
    for (const router of routers) await routed(router, '/pooled');
    const waitingAt = (): number[] => routers.map(({ control }) => control.loads().functions[0]?.queued ?? 0);
    const calls = Array.from({ length: 6 }, (_, n) => fetch(`${routers[n % 2]?.url}/pooled`));
    await eventually('all at one router', () => Math.max(...waitingAt()) === 6);
    expect(Math.min(...waitingAt())).toBe(0);
    let most = 0;
    let now = 0;
    const pod = await backend((_req, res) => {
      most = Math.max(most, ++now);
      setTimeout(() => {
        now--;
        res.end('done');
      }, 5);
    });
    // Pods are reached at the runtimes' own port; a slice of the function's stands for one here.
    await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    const texts = await Promise.all(calls.map(async (call) => (await call).text()));
    expect(texts).toEqual(Array.from({ length: 6 }, () => 'done'));
    // requestsPerPod is 1, over both routers.
    expect(most).toBe(1);
  });

  it('signs what it hands on and takes only what is signed, with bodies that stream', async () => {
    const uid = await deploy('pooled', 'python');
    const auth = { current: 'of this installation', previous: null };
    const routers = [await startRouter('router-1', auth), await startRouter('router-2', auth)];
    await introduce(routers);
    for (const router of routers) await routed(router, '/pooled');
    const pod = await backend((req, res) => {
      req.pipe(res);
    });
    await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    const body = 'x'.repeat(200_000);
    for (const { url } of routers) {
      const chunks = Readable.toWeb(Readable.from([Buffer.from(body)])) as unknown as ReadableStream;
      const answer = await fetch(`${url}/pooled?a=1`, {
        method: 'POST',
        body: chunks,
        duplex: 'half',
      } as RequestInit);
      expect([answer.status, await answer.text()]).toEqual([200, body]);
    }
    expect(pod.seen).toHaveLength(2);
    for (const { headers } of pod.seen)
      expect(Object.keys(headers).join(' ')).not.toContain('x-fission-auth');
    for (const { peersPort } of routers) {
      const path = '/fission-function/default/pooled';
      const elsewhere = requestSigner('router-internal', auth.current)('GET', path);
      for (const headers of [{}, elsewhere]) {
        const refused = await fetch(`http://127.0.0.1:${peersPort}${path}`, { headers });
        expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
          500,
          'INTERNAL',
        ]);
      }
    }
  });

  it('signs what it sends to a Wasm host, with bodies that are there and bodies that stream', async () => {
    await deploy('hello', 'wasm');
    const auth = { current: 'next', previous: 'before' };
    const router = await startRouter('router-1', auth);
    await routed(router, '/hello');
    const check = hostCallCheck([deriveServiceKey('before', 'wasm-host', 'default')]);
    const host = await backend((req, res) => {
      const header = (name: string): string | undefined => req.headers[name]?.toString();
      try {
        check?.({ header });
      } catch (error) {
        res.writeHead(500).end(String(error));
        return;
      }
      req.pipe(res);
    });
    await hosts('hello', [host.port]);
    expect((await fetch(`${router.url}/hello?a=%20b`)).status).toBe(200);
    const whole = await fetch(`${router.url}/hello`, { method: 'POST', body: 'whole' });
    expect(await whole.text()).toBe('whole');
    const body = Readable.toWeb(Readable.from([Buffer.from('streams')])) as unknown as ReadableStream;
    const streamed = await fetch(`${router.url}/hello`, {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit);
    expect(await streamed.text()).toBe('streams');
    expect(host.seen).toHaveLength(3);
  });

  it.each([
    // functionTimeout counts from when there is a pod; SpecializationTimeout until then.
    { starting: 30, answering: 1, podMs: 1_500, status: 200, says: 'done' },
    { starting: 1, answering: 30, podMs: null, status: 504, says: 'SpecializationTimeout' },
  ])('gives a start of $starting s and then an answer of $answering s: $status', async (given) => {
    const uid = await deploy('slow', 'python', {
      functionTimeout: given.answering,
      InvokeStrategy: {
        StrategyType: 'execution',
        ExecutionStrategy: {
          ExecutorType: 'newdeploy',
          MinScale: 0,
          MaxScale: 1,
          SpecializationTimeout: given.starting,
        },
      },
    });
    const router = await startRouter('router-1');
    await routed(router, '/slow');
    const call = fetch(`${router.url}/slow`);
    if (given.podMs !== null) {
      await new Promise((resolve) => setTimeout(resolve, given.podMs));
      const pod = await backend((_req, res) => res.end('done'));
      await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    }
    const answer = await call;
    expect([answer.status, await answer.text()]).toEqual([
      given.status,
      expect.stringContaining(given.says) as string,
    ]);
  });

  it('does not let a pod that is there answer later than functionTimeout', async () => {
    const uid = await deploy('stuck', 'python', {
      functionTimeout: 1,
      InvokeStrategy: {
        StrategyType: 'execution',
        ExecutionStrategy: { ExecutorType: 'newdeploy', MinScale: 0, MaxScale: 1 },
      },
    });
    const router = await startRouter('router-1');
    await routed(router, '/stuck');
    const call = fetch(`${router.url}/stuck`);
    await eventually('it waits', () => router.control.loads().functions[0]?.queued === 1);
    const pod = await backend(() => undefined);
    await slice('pod', { 'fissium.io/part': 'function', functionUid: uid }, [pod.port]);
    const answer = await call;
    expect([answer.status, await answer.text()]).toEqual([504, expect.stringContaining('functionTimeout')]);
  });
});
