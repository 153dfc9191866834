import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { FissionFunction } from '../api/index.ts';
import { SmallApi, type SeenRequest } from '../kube/testing/small-api.ts';
import { Cluster } from './cluster.ts';
import { type LogQuery, readLogs } from './logs.ts';

interface TestPod {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly containers: readonly { name: string; args?: readonly string[] }[];
  /** What the kubelet answers with; the second time, if there is one, the second text. */
  readonly log: readonly string[];
}

const fn: FissionFunction = {
  apiVersion: 'fission.io/v1',
  kind: 'Function',
  metadata: { name: 'hello', namespace: 'apps', uid: 'uid-hello' },
  spec: { environment: { name: 'wasm', namespace: 'envs' } },
};

const guest = (second: number, msg: string, more: object = {}): string =>
  `2026-01-01T00:00:0${second}.5Z ${JSON.stringify({ time: `2026-01-01T00:00:0${second}.250Z`, namespace: 'apps', function: 'hello', requestId: `r${second}`, stream: 'stdout', msg, ...more })}\n`;

const HOST = { 'fissium.io/part': 'wasm-host', environmentName: 'wasm', environmentNamespace: 'envs' };
const HOST_CONTAINERS = [{ name: 'wasm', args: ['wasm-host'] }];

let api: SmallApi;
let cluster: Cluster;
let pods: TestPod[];
let deployments: object[];

beforeEach(async () => {
  api = await SmallApi.start();
  cluster = new Cluster(api.connection, {}, 'apps');
  deployments = [{ metadata: { name: 'router' } }];
  api.intercept = answer;
});
afterEach(async () => {
  cluster.close();
  await api.close();
});

function answer({ path, query }: SeenRequest): { status: number; body?: unknown; raw?: string } {
  if (path === '/apis/apps/v1/namespaces/fission/deployments')
    return { status: 200, body: { metadata: {}, items: deployments } };
  if (path === '/api/v1/namespaces/apps/pods') {
    const wanted = (query.get('labelSelector') ?? '').split(',').map((term) => term.split('='));
    const items = pods
      .filter(({ labels }) => wanted.every(([name = '', value]) => labels[name] === value))
      .map(({ name, labels, containers }) => ({ metadata: { name, labels }, spec: { containers } }));
    return { status: 200, body: { metadata: {}, items } };
  }
  const name = /^\/api\/v1\/namespaces\/apps\/pods\/([^/]+)\/log$/.exec(path)?.[1];
  const pod = pods.find((each) => each.name === name);
  if (pod === undefined) return { status: 404 };
  if (pod.log.length === 0) return { status: 400, body: { kind: 'Status', message: 'ContainerCreating' } };
  const earlier = api.requests.filter((seen) => seen.path === path).length - 1;
  return { status: 200, raw: pod.log[Math.min(earlier, pod.log.length - 1)] ?? '' };
}

async function read(query: LogQuery = {}): Promise<string[]> {
  const lines = await Array.fromAsync(readLogs(cluster, fn, query));
  return lines.map(({ time, stream, requestId, line }) => `${time} ${stream} ${requestId} ${line}`);
}

describe('of Wasm hosts', () => {
  beforeEach(() => {
    pods = [
      {
        name: 'host-a',
        labels: HOST,
        containers: HOST_CONTAINERS,
        log: [
          `2026-01-01T00:00:00Z {"level":30,"msg":"the host is ready"}\n` +
            guest(1, 'one') +
            guest(3, 'of another', { function: 'other' }) +
            guest(4, 'elsewhere', { namespace: 'default' }) +
            guest(5, 'five', { stream: 'stderr' }) +
            '2026-01-01T00:00:05.6Z {"time":"2026',
        ],
      },
      {
        name: 'host-b',
        labels: HOST,
        containers: HOST_CONTAINERS,
        log: [guest(2, 'two {}') + guest(7, 'seven')],
      },
      { name: 'starting', labels: HOST, containers: HOST_CONTAINERS, log: [] },
      {
        name: 'of-another-environment',
        labels: { ...HOST, environmentName: 'other' },
        containers: HOST_CONTAINERS,
        log: [guest(6, 'six')],
      },
    ];
  });

  test('gives lines of the function alone, of all hosts by their times', async () => {
    expect(await read()).toEqual([
      '2026-01-01T00:00:01.250Z stdout r1 one',
      '2026-01-01T00:00:02.250Z stdout r2 two {}',
      '2026-01-01T00:00:05.250Z stderr r5 five',
      '2026-01-01T00:00:07.250Z stdout r7 seven',
    ]);
  });

  test.each<[string, LogQuery, string[]]>([
    ['the newest', { tail: 2 }, ['five', 'seven']],
    ['none', { tail: 0 }, []],
    ['from a time on', { sinceMs: Date.parse('2026-01-01T00:00:05.251Z') }, ['seven']],
    ['of a request', { requestId: 'r2' }, ['two {}']],
  ])('gives %s', async (_, query, expected) => {
    const lines = await Array.fromAsync(readLogs(cluster, fn, query));
    expect(lines.map(({ line }) => line)).toEqual(expected);
    // Among a host's newest lines there may be none of the function.
    expect(api.requests.every((seen) => !seen.query.has('tailLines'))).toBe(true);
  });

  test('follows: goes on where it was, with new pods too, until it is told to stop', async () => {
    const [first] = pods;
    pods = [
      {
        ...(first as TestPod),
        log: [
          guest(1, 'one') + guest(1, 'same time'),
          // The API goes on from the whole second.
          guest(1, 'one') + guest(1, 'same time') + guest(1, 'third of the time') + guest(2, 'two'),
        ],
      },
    ];
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const { line } of readLogs(cluster, fn, { follow: true, tail: 1, signal: stop.signal })) {
      seen.push(line);
      if (line === 'two')
        pods.push({ name: 'new', labels: HOST, containers: HOST_CONTAINERS, log: [guest(3, 'of the new')] });
      if (line === 'of the new') stop.abort();
    }
    expect(seen).toEqual(['same time', 'third of the time', 'two', 'of the new']);
    const again = api.requests.find(({ query }) => query.get('follow') === 'true');
    expect(again?.query.get('sinceTime')).toBe('2026-01-01T00:00:01Z');
  });
});

describe("of a function's own pods", () => {
  const labels = { functionUid: 'uid-hello', 'fissium.io/part': 'pool' };

  test('gives lines as they are, of the runtime and not of the fetcher', async () => {
    pods = [
      {
        name: 'pod-a',
        labels,
        containers: [{ name: 'fetcher', args: ['fetcher'] }, { name: 'wasm' }],
        log: ['2026-01-01T02:00:01.123456789+02:00 {"not": "ours"}\n2026-01-01T00:00:02Z about r9\n'],
      },
      { name: 'pod-b', labels, containers: [{ name: 'app' }], log: ['2026-01-01T00:00:01.5Z  between\n'] },
      { name: 'of-another', labels: { functionUid: 'x' }, containers: [{ name: 'app' }], log: ['never\n'] },
    ];
    expect(await read({ tail: 5 })).toEqual([
      '2026-01-01T00:00:01.123456789Z pod  {"not": "ours"}',
      '2026-01-01T00:00:01.5Z pod   between',
      '2026-01-01T00:00:02Z pod  about r9',
    ]);
    const logs = api.requests.filter(({ path }) => path.endsWith('/log'));
    expect(logs.map(({ query }) => query.get('container'))).toEqual(['wasm', 'app']);
    expect(logs.map(({ query }) => query.get('tailLines'))).toEqual(['5', '5']);
    expect((await read({ requestId: 'r9', tail: 5 })).map((line) => line.slice(-8))).toEqual(['about r9']);
  });

  test("knows a function's own Wasm host", async () => {
    pods = [{ name: 'own', labels, containers: HOST_CONTAINERS, log: [guest(1, 'one')] }];
    expect(await read()).toEqual(['2026-01-01T00:00:01.250Z stdout r1 one']);
  });

  test('says that logs may not be read', async () => {
    pods = [{ name: 'own', labels, containers: HOST_CONTAINERS, log: [] }];
    api.intercept = (seen) =>
      seen.path.endsWith('/log')
        ? { status: 403, body: { kind: 'Status', reason: 'Forbidden', message: 'no pods/log for you' } }
        : answer(seen);
    await expect(read()).rejects.toThrow('no pods/log for you');
    await expect(read({ follow: true })).rejects.toThrow('no pods/log for you');
  });
});

test('whoever may not see the installation asks a cluster; with no Deployment, the log service is asked', async () => {
  pods = [{ name: 'host-a', labels: HOST, containers: HOST_CONTAINERS, log: [guest(1, 'one')] }];
  api.intercept = (seen) => (seen.path.includes('/deployments') ? { status: 403 } : answer(seen));
  expect(await read()).toHaveLength(1);
  api.intercept = answer;
  deployments = [];
  await expect(read()).rejects.toThrow("the logs of function 'hello' cannot be read");
  expect(api.requests.at(-1)?.path).toContain('/services/router-internal%3Ahttp/proxy/v1/logs/apps/hello');
});
