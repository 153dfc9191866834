import { X509Certificate } from 'node:crypto';

import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { FunctionLoadReport, Loads } from '../executors/loads.ts';
import { type ConfigMap, type KubeClient, type KubeObject, RESOURCES, type Secret } from '../kube/index.ts';
import { SmallApi } from '../kube/testing/small-api.ts';
import { type ApiService, judgeMetricsApi } from './api-service.ts';
import { servingCertificate } from './certificate-secret.ts';
import { MetricsApi } from './metrics-api.ts';
import { ask, type Asked, type ClientCertificate, FrontProxy } from './testing/front-proxy-client.ts';

const SERVICE = { namespace: 'fission', name: 'executor', port: 8443 };
const HOST = 'executor.fission.svc';
const V2 = '/apis/custom.metrics.k8s.io/v1beta2';
const IN_FLIGHT = `${V2}/namespaces/default/functions.fission.io/hello/fissium_requests_in_flight`;
const HPA = {
  'x-remote-user': 'system:serviceaccount:kube-system:horizontal-pod-autoscaler',
  'x-remote-group': ['system:serviceaccounts', 'system:authenticated'],
  'x-remote-extra-scopes%2eread': 'all',
};

let proxy: FrontProxy;
let stranger: FrontProxy;
let trusted: ClientCertificate;
let api: SmallApi;
let client: KubeClient;
let metrics: MetricsApi;
let port: number;
let ca: string;
let loads: { completeAtMs: number | null; reports: FunctionLoadReport[] };
let readings: number;
let allowed: (spec: Record<string, unknown>) => boolean;

beforeAll(async () => {
  proxy = await FrontProxy.make();
  stranger = await FrontProxy.make();
  trusted = await proxy.client('front-proxy-client');
});

beforeEach(async () => {
  api = await SmallApi.start();
  client = api.client();
  allowed = () => true;
  api.intercept = ({ path, body }) => {
    if (!path.endsWith('/subjectaccessreviews')) return undefined;
    const { spec } = body as { spec: Record<string, unknown> };
    return { status: 201, body: { status: { allowed: allowed(spec) } } };
  };
  await client.create<ConfigMap>(RESOURCES.configmaps, authentication(proxy.caCertificate));
  loads = { completeAtMs: performance.now(), reports: [load('hello', 7, 3)] };
  readings = 0;
  metrics = make();
  port = await metrics.start();
  const secret = await client.get<Secret>(RESOURCES.secrets, 'fission', 'fissium-metrics-tls');
  ca = Buffer.from(secret.data?.['ca.crt'] ?? '', 'base64').toString();
});
afterEach(async () => {
  await metrics.close();
  client.close();
  await api.close();
});

function make(): MetricsApi {
  const theirs: Loads = {
    get completeAtMs() {
      return loads.completeAtMs;
    },
    functionOf: (uid) => loads.reports.find((report) => report.uid === uid),
    endpointOf: () => undefined,
    functions: () => loads.reports,
  };
  return new MetricsApi({
    client,
    loads: theirs,
    readLoads: async () => {
      readings += 1;
    },
    functions: (namespace) =>
      namespace === 'default' ? [fn('hello', { team: 'a' }), fn('idle', { team: 'b' })] : [],
    logger: pino({ level: 'silent' }),
    service: SERVICE,
    host: '127.0.0.1',
    port: 0,
  });
}

function authentication(caCertificate: string): ConfigMap {
  return {
    metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' },
    data: {
      'requestheader-client-ca-file': caCertificate,
      'requestheader-allowed-names': '["front-proxy-client"]',
      'requestheader-username-headers': '["X-Remote-User"]',
      'requestheader-group-headers': '["X-Remote-Group"]',
      'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    },
  };
}
const fn = (name: string, labels: Record<string, string>): KubeObject => ({
  metadata: { name, namespace: 'default', uid: `uid-${name}`, labels },
});
const load = (name: string, running: number, queued: number): FunctionLoadReport => ({
  namespace: 'default',
  name,
  uid: `uid-${name}`,
  strategy: 'newdeploy',
  running,
  queued,
  idleMs: 0,
});
const get = (path: string, more: Partial<Asked> = {}): ReturnType<typeof ask> =>
  ask({ port, ca, servername: HOST, path, client: trusted, headers: HPA, ...more });

describe('who asks', () => {
  it.each<[string, () => Promise<Partial<Asked>>]>([
    ['has no certificate', async () => ({ client: undefined })],
    ['has one of another CA', async () => ({ client: await stranger.client('front-proxy-client') })],
    ['has one of another name', async () => ({ client: await proxy.client('somebody') })],
    ['names nobody', async () => ({ headers: {} })],
  ])('is refused who %s', async (_what, more) => {
    const { client: own, ...rest } = { client: trusted, ...(await more()) };
    const { status, body } = await get(IN_FLIGHT, {
      ...rest,
      ...(own === undefined ? { client: undefined } : { client: own }),
    });
    expect([status, body['reason']]).toEqual([401, 'Unauthorized']);
  });

  it('may what Kubernetes says that the user may, asked once', async () => {
    const seen: Record<string, unknown>[] = [];
    allowed = (spec) => {
      seen.push(spec);
      return false;
    };
    expect((await get(IN_FLIGHT)).status).toBe(403);
    expect((await get(IN_FLIGHT)).body).toMatchObject({ kind: 'Status', reason: 'Forbidden', code: 403 });
    expect(seen).toEqual([
      {
        user: 'system:serviceaccount:kube-system:horizontal-pod-autoscaler',
        groups: ['system:serviceaccounts', 'system:authenticated'],
        extra: { 'scopes.read': ['all'] },
        resourceAttributes: {
          group: 'custom.metrics.k8s.io',
          version: 'v1beta2',
          namespace: 'default',
          resource: 'functions.fission.io',
          name: 'hello',
          subresource: 'fissium_requests_in_flight',
          verb: 'get',
        },
      },
    ]);
  });

  it('need not be asked about system:masters', async () => {
    allowed = () => false;
    const headers = { 'x-remote-user': 'system:kube-aggregator', 'x-remote-group': 'system:masters' };
    expect((await get(IN_FLIGHT, { headers })).status).toBe(200);
  });

  it('need not be allowed anything to learn what is here: the API server asks so for its own discovery', async () => {
    allowed = () => false;
    const headers = { 'x-remote-user': 'system:kube-aggregator' };
    const status = async (path: string): Promise<number> => (await get(path, { headers })).status;
    expect(await Promise.all([V2, '/apis', '/openapi/v2', IN_FLIGHT].map(status))).toEqual([
      200, 404, 404, 403,
    ]);
  });

  it('is told 503 while the API server does not say whether it is allowed', async () => {
    api.intercept = ({ path }) => (path.endsWith('/subjectaccessreviews') ? { status: 500 } : undefined);
    expect((await get(IN_FLIGHT)).status).toBe(503);
  });
});

describe('documents', () => {
  it('tell of the group, its versions and what is measured', async () => {
    expect((await get('/apis/custom.metrics.k8s.io')).body).toEqual({
      kind: 'APIGroup',
      apiVersion: 'v1',
      name: 'custom.metrics.k8s.io',
      versions: [
        { groupVersion: 'custom.metrics.k8s.io/v1beta2', version: 'v1beta2' },
        { groupVersion: 'custom.metrics.k8s.io/v1beta1', version: 'v1beta1' },
      ],
      preferredVersion: { groupVersion: 'custom.metrics.k8s.io/v1beta2', version: 'v1beta2' },
    });
    for (const version of ['v1beta1', 'v1beta2']) {
      const { body } = await get(`/apis/custom.metrics.k8s.io/${version}`);
      expect(body).toMatchObject({ groupVersion: `custom.metrics.k8s.io/${version}` });
      expect((body['resources'] as { name: string }[]).map(({ name }) => name)).toEqual([
        'functions.fission.io/fissium_requests_in_flight',
        'functions.fission.io/fissium_requests_queued',
      ]);
    }
  });

  it('are not there for anything else', async () => {
    for (const path of ['/', '/apis', '/apis/custom.metrics.k8s.io/v1', `${V2}/namespaces/default`]) {
      expect(await get(path)).toMatchObject({ status: 404, body: { kind: 'Status', reason: 'NotFound' } });
    }
    expect((await get(V2, { method: 'DELETE' })).status).toBe(405);
  });
});

describe('metrics', () => {
  it('are the calls of a function, in both versions', async () => {
    expect((await get(IN_FLIGHT)).body).toEqual({
      kind: 'MetricValueList',
      apiVersion: 'custom.metrics.k8s.io/v1beta2',
      metadata: {},
      items: [
        {
          describedObject: {
            kind: 'Function',
            namespace: 'default',
            name: 'hello',
            apiVersion: 'fission.io/v1',
          },
          metric: { name: 'fissium_requests_in_flight', selector: null },
          timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as unknown,
          value: '7',
        },
      ],
    });
    const queued = IN_FLIGHT.replace('v1beta2', 'v1beta1').replace('in_flight', 'queued');
    expect((await get(queued)).body).toMatchObject({
      apiVersion: 'custom.metrics.k8s.io/v1beta1',
      items: [{ metricName: 'fissium_requests_queued', value: '3' }],
    });
  });

  it('are 0 for a function that nobody calls, and of those that a selector takes', async () => {
    const values = async (query: string): Promise<unknown> =>
      (
        (await get(`${IN_FLIGHT.replace('/hello/', '/*/')}${query}`)).body['items'] as { value: string }[]
      ).map(({ value }) => value);
    expect(await values('')).toEqual(['7', '0']);
    expect(await values('?labelSelector=team%3Db')).toEqual(['0']);
    expect((await get(`${IN_FLIGHT.replace('/hello/', '/*/')}?labelSelector=a(`)).status).toBe(400);
  });

  it.each([
    [IN_FLIGHT.replace('/hello/', '/nobody/'), 'There is no function default/nobody.'],
    [IN_FLIGHT.replace('in_flight', 'lost'), 'fissium_requests_in_flight, fissium_requests_queued'],
    [IN_FLIGHT.replace('functions.fission.io', 'pods'), 'There is no metric'],
    [IN_FLIGHT.replace('fissium_requests_in_flight', 'constructor'), 'There is no metric'],
  ])('that are not there are named: %s', async (path, message) => {
    const { status, body } = await get(path);
    expect(status).toBe(404);
    expect(body['message']).toContain(message);
  });

  it('are not told where the routers did not say lately', async () => {
    loads.completeAtMs = null;
    expect((await get(IN_FLIGHT)).status).toBe(503);
    expect(readings).toBe(1);
    loads.completeAtMs = performance.now() - 31_000;
    expect((await get(IN_FLIGHT)).status).toBe(503);
  });
});

describe('certificates', () => {
  it('of the front proxy are followed when they change', async () => {
    const next = await FrontProxy.make();
    await client.patchMerge(
      RESOURCES.configmaps,
      'kube-system',
      'extension-apiserver-authentication',
      authentication(next.caCertificate),
    );
    await metrics.refresh();
    expect((await get(IN_FLIGHT)).status).toBe(401);
    expect((await get(IN_FLIGHT, { client: await next.client('front-proxy-client') })).status).toBe(200);
  });

  it('nobody is trusted where there is no front proxy', async () => {
    await client.remove(RESOURCES.configmaps, 'kube-system', 'extension-apiserver-authentication');
    await metrics.refresh();
    expect((await get(IN_FLIGHT)).status).toBe(401);
  });

  it('are shared by all replicas, made by one', async () => {
    const [other, another] = [make(), make()];
    await client.remove(RESOURCES.secrets, 'fission', 'fissium-metrics-tls');
    const ports = await Promise.all([other.start(), another.start()]);
    const secret = await client.get<Secret>(RESOURCES.secrets, 'fission', 'fissium-metrics-tls');
    ca = Buffer.from(secret.data?.['ca.crt'] ?? '', 'base64').toString();
    for (const each of ports) expect((await get(V2, { port: each })).status).toBe(200);
    expect(api.count('POST', '/secrets')).toBeGreaterThan(1);
    await Promise.all([other.close(), another.close()]);
  });

  it('are renewed before their end, by the same CA', async () => {
    const options = { client, namespace: 'fission', secretName: 's', hosts: [HOST] };
    const first = await servingCertificate(options);
    expect(await servingCertificate(options)).toEqual(first);
    const later = new Date(new X509Certificate(first.certificate).validToDate.getTime() - 29 * 86_400_000);
    const renewed = await servingCertificate({ ...options, now: () => later });
    expect(renewed.caCertificate).toBe(first.caCertificate);
    expect(renewed.certificate).not.toBe(first.certificate);
  });

  it('that somebody broke are made anew', async () => {
    const data = { 'tls.crt': Buffer.from('nonsense').toString('base64') };
    await client.patchMerge(RESOURCES.secrets, 'fission', 'fissium-metrics-tls', { data });
    await metrics.refresh();
    expect((await get(V2)).status).toBe(200);
  });
});

describe('registration', () => {
  const services = async (): Promise<ApiService[]> =>
    (await client.list<ApiService>(RESOURCES.apiservices, undefined)).items;
  const foreign: ApiService = {
    metadata: { name: 'v1beta1.custom.metrics.k8s.io' },
    spec: {
      group: 'custom.metrics.k8s.io',
      version: 'v1beta1',
      service: { namespace: 'monitoring', name: 'prometheus-adapter' },
    },
  };

  it('tells Kubernetes of both versions, once', async () => {
    expect(metrics.isRegistered).toBe(false);
    await metrics.keepRegistered();
    expect(metrics.isRegistered).toBe(true);
    const made = await services();
    expect(made.map(({ metadata }) => metadata.name)).toEqual([
      'v1beta2.custom.metrics.k8s.io',
      'v1beta1.custom.metrics.k8s.io',
    ]);
    expect(made[0]?.spec).toMatchObject({
      service: SERVICE,
      caBundle: Buffer.from(ca).toString('base64'),
    });
    const before = api.requests.filter(({ method }) => method !== 'GET').length;
    expect((await metrics.keepRegistered()).state).toBe('unavailable');
    expect(api.requests.filter(({ method }) => method !== 'GET').length).toBe(before);
  });

  it('leaves another adapter alone, and says so', async () => {
    await client.create(RESOURCES.apiservices, foreign);
    const { state, message } = await metrics.keepRegistered();
    expect(state).toBe('other');
    expect(message).toContain('monitoring/prometheus-adapter');
    expect(metrics.isRegistered).toBe(false);
    expect(await services()).toHaveLength(1);
  });

  it('is judged for whoever checks an installation', async () => {
    expect(judgeMetricsApi([], SERVICE).state).toBe('absent');
    await metrics.keepRegistered();
    const condition = (status: string) => ({
      conditions: [{ type: 'Available', status, message: 'no route' }],
    });
    const made = await services();
    expect(
      judgeMetricsApi(
        made.map((one) => ({ ...one, status: condition('True') })),
        SERVICE,
      ).state,
    ).toBe('ours');
    const down = judgeMetricsApi(
      made.map((one) => ({ ...one, status: condition('False') })),
      SERVICE,
    );
    expect(down).toMatchObject({
      state: 'unavailable',
      message: expect.stringContaining('no route') as unknown,
    });
  });
});
