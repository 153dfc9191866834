import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { HttpTrigger } from '../../api/index.ts';
import { type KubeClient, type KubeObject, RESOURCES } from '../../kube/index.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { SmallApi } from '../../kube/testing/small-api.ts';
import { FunctionTable, RouteTable } from '../../router/index.ts';
import { TriggerReconciler } from '../http-trigger/reconciler.ts';
import { Patience } from '../patience.ts';
import { StatusWriter } from '../status.ts';
import { allKinds, type Watched, watchEverything } from '../watched.ts';
import { Exposures } from './exposures.ts';

const logger = pino({ level: 'silent' });
const KEY = 'apps/web';
const NAME = expect.stringMatching(/^web-[0-9a-f]{8}$/) as unknown;

let api: SmallApi;
let client: KubeClient;
let watched: Watched;
let exposures: Exposures;
let reconciler: TriggerReconciler;
let again: string[];
let events: string[];

beforeEach(async () => {
  api = await SmallApi.start();
  client = api.client();
  watched = watchEverything(client, logger, undefined);
  for (const kind of allKinds(watched)) kind.start();
  await Promise.all(allKinds(watched).map((kind) => kind.synced()));
  start();
});
afterEach(async () => {
  await Promise.all(allKinds(watched).map((kind) => kind.close()));
  client.close();
  await api.close();
});

/** As a controller does that begins to lead. */
function start(): void {
  again = [];
  events = [];
  exposures = new Exposures({
    client,
    logger,
    controlNamespace: 'fission',
    exists: (key) => watched.triggers.getByKey(key) !== undefined,
    again: (key) => again.push(key),
  });
  const recorder = {
    recordEvent: (_kind: unknown, _object: unknown, type: string, reason: string) => {
      events.push(`${type} ${reason}`);
    },
    close: () => Promise.resolve(),
  };
  reconciler = new TriggerReconciler({
    context: {
      client,
      statuses: new StatusWriter(client),
      events: recorder,
      watched,
      logger,
      now: () => new Date('2026-01-01T00:00:00Z'),
      platform: 'cluster',
    },
    functions: new FunctionTable(),
    routes: new RouteTable(),
    patience: new Patience(() => undefined),
    exposures,
  });
}

async function change(spec: Partial<HttpTrigger['spec']>): Promise<HttpTrigger> {
  const before = watched.triggers.getByKey(KEY);
  const object: HttpTrigger = {
    apiVersion: 'fission.io/v1',
    kind: 'HTTPTrigger',
    metadata: { name: 'web', namespace: 'apps' },
    spec: { relativeurl: '/hello', functionref: { type: 'name', name: 'hello' }, ...spec },
  };
  if (before === undefined) await client.create(RESOURCES.httptriggers, object);
  else await client.patchMerge(RESOURCES.httptriggers, 'apps', 'web', { spec });
  const wanted = await client.get<HttpTrigger>(RESOURCES.httptriggers, 'apps', 'web');
  await eventually(
    'the watch brings it',
    () => watched.triggers.getByKey(KEY)?.metadata.resourceVersion === wanted.metadata.resourceVersion,
  );
  await reconciler.reconcile(KEY);
  return client.get<HttpTrigger>(RESOURCES.httptriggers, 'apps', 'web');
}

const names = async (kind: 'ingresses' | 'httproutes'): Promise<string[]> =>
  (await client.list<KubeObject>(RESOURCES[kind], 'fission')).items.map(({ metadata }) => metadata.name);

function condition({ status }: HttpTrigger, type: string): object | undefined {
  return status?.conditions?.find((each) => each.type === type);
}

const GATEWAY = { provider: 'gateway' as const, gateway: { parentRefs: [{ name: 'main' }] } };

test('an Ingress is made, changed, swapped for an HTTPRoute and removed with its trigger', async () => {
  let trigger = await change({ createingress: true });
  expect(await names('ingresses')).toEqual([NAME]);
  expect(condition(trigger, 'IngressCreated')).toMatchObject({ status: 'True', reason: 'Created' });
  expect(condition(trigger, 'Served')).toBeUndefined();
  expect(events).toContain('Normal IngressCreated');

  await change({ ingressconfig: { host: 'a.example.com' } });
  const [ingress] = (await client.list(RESOURCES.ingresses, 'fission')).items;
  expect(ingress).toMatchObject({ spec: { rules: [{ host: 'a.example.com' }] } });

  trigger = await change({ routeConfig: GATEWAY });
  expect([await names('ingresses'), await names('httproutes')]).toEqual([[], [NAME]]);
  expect(condition(trigger, 'IngressCreated')).toBeUndefined();
  expect(condition(trigger, 'HTTPRouteCreated')).toMatchObject({ status: 'True' });

  await client.remove(RESOURCES.httptriggers, 'apps', 'web');
  await eventually('the watch brings it', () => watched.triggers.getByKey(KEY) === undefined);
  await reconciler.reconcile(KEY);
  expect(await names('httproutes')).toEqual([]);
});

test('nothing is asked of the API for triggers that want nothing', async () => {
  const trigger = await change({});
  expect(condition(trigger, 'IngressCreated')).toBeUndefined();
  expect(api.requests.filter(({ path }) => /ingresses|httproutes/.test(path))).toEqual([]);
});

test('a new leader removes what is of no trigger, and looks again at the rest', async () => {
  await change({ createingress: true });
  const [name = ''] = await names('ingresses');
  start();
  await exposures.sweep();
  expect(again).toEqual([KEY]);
  expect(await names('ingresses')).toEqual([name]);
  await client.remove(RESOURCES.httptriggers, 'apps', 'web');
  await eventually('the watch brings it', () => watched.triggers.getByKey(KEY) === undefined);
  start();
  await exposures.sweep();
  expect(await names('ingresses')).toEqual([]);
});

test('what somebody removes or changes is noticed', async () => {
  await change({ createingress: true });
  const [name = ''] = await names('ingresses');
  await exposures.sweep();
  expect(again).toEqual([]);
  await client.patchMerge(RESOURCES.ingresses, 'fission', name, { spec: { rules: [] } });
  await exposures.sweep();
  expect(again).toEqual([KEY]);
  await reconciler.reconcile(KEY);
  expect(await client.get(RESOURCES.ingresses, 'fission', name)).toMatchObject({ spec: { rules: [{}] } });
  await client.remove(RESOURCES.ingresses, 'fission', name);
  await exposures.sweep();
  await reconciler.reconcile(KEY);
  expect(await names('ingresses')).toEqual([name]);
});

test("somebody else's object of that name is left alone", async () => {
  const spec = { rules: [{ host: 'theirs' }] };
  await change({ createingress: true });
  const [name = ''] = await names('ingresses');
  await client.remove(RESOURCES.ingresses, 'fission', name);
  const theirs = { metadata: { name, namespace: 'fission' }, spec };
  await client.create(RESOURCES.ingresses, theirs);
  start();
  await exposures.sweep();
  const trigger = await change({});
  expect(condition(trigger, 'IngressCreated')).toMatchObject({ status: 'False', reason: 'NameTaken' });
  expect(events).toContain('Warning NameTaken');
  expect(await client.get(RESOURCES.ingresses, 'fission', name)).toMatchObject({ spec });
});

test.each([
  [404, 'GatewayApiMissing', /^$/],
  [403, 'Forbidden', /^$/],
  [422, 'Refused', /^$/],
  [500, 'ApiFailed', /answered 500/],
])('an HTTPRoute that fails with %s says %s, and is tried again', async (status, reason, thrown) => {
  api.intercept = ({ path, method }) =>
    path.includes('/httproutes') ? { status: method === 'PATCH' ? status : 404 } : undefined;
  const failed = await change({ routeConfig: GATEWAY }).then(
    () => '',
    (error: unknown) => String(error),
  );
  expect(failed).toMatch(thrown);
  const trigger = await client.get<HttpTrigger>(RESOURCES.httptriggers, 'apps', 'web');
  expect(condition(trigger, 'HTTPRouteCreated')).toMatchObject({ status: 'False', reason });
  expect(events).toContain(`Warning ${reason}`);
  await exposures.sweep();
  expect(again).toEqual([KEY]);
  api.intercept = undefined;
  await reconciler.reconcile(KEY);
  expect(await names('httproutes')).toEqual([NAME]);
});
