import { createHash } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { FissionFunction, HttpTrigger, Package } from '../api/index.ts';
import { FissiumError } from '../errors.ts';
import { type ConfigMap, type KubeObject, RESOURCES, type Secret } from '../kube/index.ts';
import { eventually } from '../kube/testing/eventually.ts';
import { ensureDefaults } from './defaults.ts';
import { environment, fn, pkg, TestPlatform, trigger, wasm } from './testing/platform.ts';

let platform: TestPlatform;

beforeEach(async () => {
  platform = await TestPlatform.make();
});
afterEach(() => platform.close());

const { environments, packages, functions, httptriggers, secrets, events } = RESOURCES;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const newCode = (code: Uint8Array): object => ({ spec: { deployment: { literal: base64(code) } } });
/** The environment of a function's newest version; functions are deployed beside each other, in no order. */
const envOf = (name: string): unknown =>
  platform.host.deployed.findLast((deployed) => deployed.name === name)?.grants.env;

async function deployHello(): Promise<void> {
  await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'), fn('hello'));
  await platform.start();
  await platform.ready(functions, 'hello', 'Deployed');
}

describe('environments', () => {
  it('are ready when they are Wasm, and say so when they are containers', async () => {
    await platform.create(environment('wasm', 'wasm'), environment('python', 'fission/python-env'));
    await platform.start();
    expect((await platform.ready(environments, 'wasm', 'Wasm')).status).toBe('True');
    const python = await platform.ready(environments, 'python', 'NotServedYet');
    expect(python).toMatchObject({
      status: 'False',
      message: expect.stringContaining('answer 501') as unknown,
    });
  });

  it('are made by ensureDefaults, once', async () => {
    await ensureDefaults(platform.client);
    await ensureDefaults(platform.client);
    expect(await platform.get(environments, 'wasm')).toMatchObject({ spec: { runtime: { image: 'wasm' } } });
  });
});

describe('packages', () => {
  const status = async (name: string): Promise<Package['status']> =>
    (await platform.get<Package>(packages, name)).status;

  it('are stored by digest, prepared once, and tell with which engine', async () => {
    await platform.create(environment('wasm', 'wasm'), pkg('a'), pkg('b'));
    await platform.start();
    await platform.ready(packages, 'a', 'Prepared');
    await platform.ready(packages, 'b', 'Prepared');
    const digest = sha256(wasm());
    expect(await platform.archives.list()).toEqual([digest]);
    expect(await status('a')).toMatchObject({
      buildstatus: 'succeeded',
      contentHash: digest,
      lastUpdateTimestamp: expect.any(String) as unknown,
      conditions: expect.arrayContaining([
        expect.objectContaining({
          type: 'Prepared',
          status: 'True',
          message: expect.stringContaining(`Engine jco: a component; sha256 ${digest}`) as unknown,
        }),
      ]) as unknown,
    });
  });

  it('are refused with the reason, for good until the spec changes', async () => {
    platform.preparer.refused.set(sha256(wasm('bad')), 'no handler; supported are ...');
    await platform.create(
      environment('wasm', 'wasm'),
      pkg('a', wasm('bad')),
      pkg('b', Buffer.from('print(1)')),
    );
    await platform.start();
    await platform.ready(packages, 'a', 'PackageRefused');
    expect(await status('a')).toMatchObject({
      buildstatus: 'failed',
      buildlog: 'no handler; supported are ...',
    });
    await platform.ready(packages, 'b', 'ArchiveRefused');
    expect((await status('b'))?.buildlog).toMatch(/text \(source code/);
    expect(platform.preparer.prepared).toHaveLength(1);
    await platform.patch(packages, 'a', newCode(wasm('good')));
    await platform.ready(packages, 'a', 'Prepared');
  });

  it('that cannot be fetched are tried again', async () => {
    const code = wasm('later');
    const url = `http://storagesvc.fission/v1/archive?id=${sha256(code)}`;
    const later = pkg('a');
    later.spec.deployment = { type: 'url', url };
    await platform.create(environment('wasm', 'wasm'), later);
    const control = await platform.start();
    await platform.ready(packages, 'a', 'ArchiveNotFound');
    expect(control.archiveUsers(sha256(code))).toEqual(['default/a']);
    await platform.archives.put(code);
    await platform.ready(packages, 'a', 'Prepared');
  });

  it('of source only, of containers and without an environment say where they stand', async () => {
    const source = pkg('source');
    source.spec.source = source.spec.deployment;
    source.spec.deployment = undefined;
    await platform.create(
      environment('wasm', 'wasm'),
      environment('python', 'py'),
      source,
      pkg('py', Buffer.from('x'), 'python'),
      pkg('none', wasm(), 'nowhere'),
    );
    await platform.start();
    await platform.ready(packages, 'source', 'NoBuilder');
    expect((await status('source'))?.buildstatus).toBe('pending');
    await platform.ready(packages, 'py', 'Stored');
    expect((await status('py'))?.buildstatus).toBe('none');
    await platform.ready(packages, 'none', 'EnvironmentNotFound');
    expect((await status('none'))?.buildstatus).toBe('pending');
    await platform.create(environment('nowhere', 'wasm'));
    await platform.ready(packages, 'none', 'Prepared');
  });
});

describe('functions', () => {
  it('are deployed with what their spec grants and nothing else', async () => {
    const spec: Partial<FissionFunction['spec']> = {
      env: [
        { name: 'A', value: 'literal' },
        { name: 'B', valueFrom: { secretKeyRef: { name: 'keys', key: 'b' } } },
        { name: 'C', valueFrom: { configMapKeyRef: { name: 'settings', key: 'none', optional: true } } },
      ],
      envFrom: [{ prefix: 'S_', configMapRef: { name: 'settings' } }],
      resources: { limits: { memory: '64Mi' } },
      wasm: { allowedOutboundHosts: ['https://api.example.com:443'] },
    };
    const secret: Secret = {
      kind: 'Secret',
      metadata: { namespace: 'default', name: 'keys' },
      data: { b: base64(Buffer.from('geheim')) },
    };
    const settings: ConfigMap = {
      kind: 'ConfigMap',
      metadata: { namespace: 'default', name: 'settings' },
      data: { x: '1', 'not=a-name': '2' },
    };
    await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'), fn('hello', spec), secret, settings);
    await platform.start();
    await platform.ready(functions, 'hello', 'Deployed');
    expect(platform.host.deployed).toHaveLength(1);
    expect(platform.host.deployed[0]).toMatchObject({
      namespace: 'default',
      name: 'hello',
      folder: `/cache/${sha256(wasm())}`,
      grants: {
        env: [
          ['S_x', '1'],
          ['A', 'literal'],
          ['B', 'geheim'],
        ],
        args: [],
        allowedOutboundHosts: ['https://api.example.com:443'],
      },
      limits: { memoryBytes: 64 * 1024 * 1024 },
    });
    expect(platform.phase('hello')).toBe('ready');
  });

  it('swap to a new version only when it is ready, then close the old one', async () => {
    await deployHello();
    const before = platform.functions.get('default', 'hello')?.state;
    const { promise, resolve } = Promise.withResolvers<void>();
    platform.host.gate = promise;
    await platform.patch(packages, 'hello-pkg', newCode(wasm('v2')));
    await platform.ready(packages, 'hello-pkg', 'Prepared');
    expect(platform.functions.get('default', 'hello')?.state).toBe(before);
    expect(platform.host.closed).toBe(0);
    resolve();
    await eventually('the swap', () => platform.host.closed === 1);
    expect(platform.functions.get('default', 'hello')?.state).not.toBe(before);
    expect(platform.host.deployed.at(-1)?.manifest.digest).toBe(sha256(wasm('v2')));
  });

  it('keep serving the old version when the new one fails, and say so', async () => {
    await deployHello();
    const before = platform.functions.get('default', 'hello')?.state;
    await platform.patch(packages, 'hello-pkg', newCode(Buffer.from('print(1)')));
    const failed = await platform.ready(functions, 'hello', 'PackageFailed');
    expect(failed).toMatchObject({
      status: 'False',
      message: expect.stringMatching(
        /hello-pkg.*source code.*Generation 1, as it was deployed, still serves/,
      ) as unknown,
    });
    expect(platform.functions.get('default', 'hello')?.state).toBe(before);

    await platform.patch(packages, 'hello-pkg', newCode(wasm('v3')));
    await platform.ready(functions, 'hello', 'Deployed');
    platform.host.refuse = new FissiumError('PACKAGE_REFUSED', 'needs 2 GiB');
    await platform.patch(functions, 'hello', { spec: { resources: { limits: { memory: '1Mi' } } } });
    const refused = await platform.ready(functions, 'hello', 'DeployFailed');
    expect(refused.message).toBe('needs 2 GiB Generation 1, as it was deployed, still serves.');
    expect([platform.phase('hello'), platform.host.closed]).toEqual(['ready', 1]);
  });

  it('that the host cannot take for a reason of its own say so, and are tried again', async () => {
    platform.host.refuse = new RangeError('a fault in the host');
    await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'), fn('hello'));
    await platform.start();
    expect((await platform.ready(functions, 'hello', 'DeployFailed')).message).toBe('a fault in the host');
    expect(platform.functions.get('default', 'hello')?.state).toMatchObject({
      error: { code: 'FUNCTION_NOT_READY' },
    });
    platform.host.refuse = undefined;
    await platform.ready(functions, 'hello', 'Deployed');
  });

  it('are not deployed again for a change of labels, status or timeouts, but take new limits over', async () => {
    await deployHello();
    await platform.patch(functions, 'hello', { metadata: { labels: { a: 'b' } } });
    await platform.patch(functions, 'hello', { spec: { functionTimeout: 7 } });
    await eventually(
      'new limits',
      () => platform.functions.get('default', 'hello')?.limits.firstByteTimeoutMs === 7000,
    );
    await platform.ready(functions, 'hello', 'Deployed');
    expect(platform.host.deployed).toHaveLength(1);
  });

  it('follow the secrets and config maps that they name', async () => {
    const spec = { env: [{ name: 'B', valueFrom: { secretKeyRef: { name: 'keys', key: 'b' } } }] };
    await platform.create(
      environment('wasm', 'wasm'),
      pkg('hello-pkg'),
      fn('hello', spec),
      pkg('other-pkg'),
      fn('other'),
    );
    await platform.start();
    const missing = await platform.ready(functions, 'hello', 'SecretNotFound');
    expect(missing.message).toContain('default/keys, which does not exist');
    expect(platform.functions.get('default', 'hello')?.state).toMatchObject({
      error: { code: 'FUNCTION_NOT_READY' },
    });
    const secret: Secret = {
      kind: 'Secret',
      metadata: { namespace: 'default', name: 'keys' },
      data: { a: 'eA==' },
    };
    await platform.create(secret);
    await platform.ready(functions, 'hello', 'SecretKeyNotFound');
    await platform.patch(secrets, 'keys', { data: { b: base64(Buffer.from('one')) } });
    await platform.ready(functions, 'hello', 'Deployed');
    expect(envOf('hello')).toEqual([['B', 'one']]);
    await platform.patch(secrets, 'keys', { data: { b: base64(Buffer.from('two')) } });
    await eventually('the new value', () => JSON.stringify(envOf('hello')) === '[["B","two"]]');
    await platform.ready(functions, 'other', 'Deployed');
    expect(platform.host.deployed.filter(({ name }) => name === 'other')).toHaveLength(1);
  });

  it('of container environments answer 501 and say why', async () => {
    await platform.create(
      environment('wasm', 'python-image'),
      pkg('hello-pkg', Buffer.from('x')),
      fn('hello'),
      trigger('t', 'hello'),
    );
    await platform.start();
    const condition = await platform.ready(functions, 'hello', 'EnvironmentNotServed');
    expect(condition.message).toMatch(/container environment \(image python-image\).*501/);
    expect(platform.functions.get('default', 'hello')?.state).toMatchObject({
      phase: 'refused',
      error: { code: 'ENVIRONMENT_NOT_SERVED', status: 501 },
    });
    await eventually('the reason on the trigger', async () =>
      (await platform.ready(httptriggers, 't', 'FunctionNotReady')).message.includes('501'),
    );
    expect(platform.routes.match('', '/t', 'GET').kind).toBe('found');
  });

  it('name what they lack, and go on when it comes', async () => {
    await platform.create(fn('hello'));
    await platform.start();
    expect((await platform.ready(functions, 'hello', 'EnvironmentNotFound')).message).toMatch(
      /default\/wasm.*environment create --name wasm/,
    );
    await platform.create(environment('wasm', 'wasm'));
    await platform.ready(functions, 'hello', 'PackageNotFound');
    await platform.create(pkg('hello-pkg'));
    await platform.ready(functions, 'hello', 'Deployed');
  });

  it('wait while their package is prepared, and say so where nothing was said before', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    platform.preparer.gate = promise;
    await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'), fn('hello'));
    await platform.start();
    await platform.ready(functions, 'hello', 'PackagePending');
    expect(platform.phase('hello')).toBe('preparing');
    resolve();
    await platform.ready(functions, 'hello', 'Deployed');
    const { items } = await platform.client.list<KubeObject & { reason: string }>(events, 'default');
    expect(items.map(({ reason }) => reason)).not.toContain('PackagePending');
  });

  it('that name a newer package than the watch has brought wait for it', async () => {
    await deployHello();
    // The function's change overtakes the package's.
    const { metadata } = await platform.get(packages, 'hello-pkg');
    platform.api.holdBack('packages');
    await platform.patch(packages, 'hello-pkg', newCode(wasm('v2')));
    const updated = await platform.get(packages, 'hello-pkg');
    expect(updated.metadata.resourceVersion).not.toBe(metadata.resourceVersion);
    await platform.patch(functions, 'hello', {
      spec: { package: { packageref: { resourceversion: updated.metadata.resourceVersion } } },
    });
    await eventually('a look at the package', () => platform.api.count('GET', '/packages/hello-pkg') > 3);
    const waiting = await platform.get<FissionFunction>(functions, 'hello');
    expect(waiting.status?.observedGeneration).toBe(1);
    platform.api.releaseAll();
    await platform.ready(functions, 'hello', 'Deployed');
    expect(platform.host.deployed.map(({ manifest }) => manifest.digest)).toEqual([
      sha256(wasm()),
      sha256(wasm('v2')),
    ]);
  });

  it('are taken out when they are deleted, and are others when made again', async () => {
    await deployHello();
    await platform.client.remove(functions, 'default', 'hello');
    await eventually('the entry gone', () => platform.phase('hello') === undefined);
    await eventually('the version closed', () => platform.host.closed === 1);
    await platform.create(fn('hello'));
    await platform.ready(functions, 'hello', 'Deployed');
    expect(platform.host.deployed).toHaveLength(2);
  });

  it('settle: what is done is not done again', async () => {
    await deployHello();
    await platform.create(trigger('t', 'hello'));
    await platform.ready(httptriggers, 't', 'Served');
    await eventually('silence', async () => {
      const before = platform.api.requests.length;
      await new Promise((resolve) => {
        setTimeout(resolve, 300);
      });
      return platform.api.requests.length === before;
    });
    const writes = platform.api.requests.filter(
      ({ method, path }) => method === 'PATCH' && path.includes('/functions/hello/status'),
    );
    expect(writes).toHaveLength(1);
    // Somebody else's status write is no reason to work either.
    const before = platform.api.requests.length;
    await platform.client.patchStatus(functions, 'default', 'hello', { status: { provisionedReady: 1 } });
    await platform.patch(functions, 'hello', { metadata: { labels: { x: 'y' } } });
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    expect(platform.api.requests).toHaveLength(before + 2);
  });

  it('write status again from what is there when somebody else was faster', async () => {
    let interfered = false;
    platform.api.intercept = ({ method, path }) => {
      if (method !== 'PATCH' || !path.endsWith('/functions/hello/status') || interfered) return undefined;
      interfered = true;
      return { status: 409, body: { kind: 'Status', code: 409, reason: 'Conflict' } };
    };
    await deployHello();
    expect(interfered).toBe(true);
  });

  it('tell failures and the first success as events', async () => {
    await platform.create(fn('hello'));
    await platform.start();
    await platform.ready(functions, 'hello', 'EnvironmentNotFound');
    await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'));
    await platform.ready(functions, 'hello', 'Deployed');
    const reasons = await eventually('events', async () => {
      const { items } = await platform.client.list<
        KubeObject & { reason: string; type: string; involvedObject: { kind: string } }
      >(events, 'default');
      const ofFunction = items.filter(({ involvedObject }) => involvedObject.kind === 'Function');
      return (
        ofFunction.some(({ reason }) => reason === 'Deployed') &&
        ofFunction.map(({ type, reason }) => `${type} ${reason}`)
      );
    });
    expect(reasons).toContain('Warning EnvironmentNotFound');
    expect(reasons).toContain('Normal Deployed');
  });
});

describe('the short form spec.route', () => {
  const route = { url: '/hi', methods: ['GET' as const] };
  const owned = (): Promise<HttpTrigger> => platform.get<HttpTrigger>(httptriggers, 'hello');

  it('makes a trigger that the function owns, changes and removes', async () => {
    await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'), fn('hello', { route }));
    await platform.start();
    await platform.ready(httptriggers, 'hello', 'Served');
    const { metadata } = await platform.get(functions, 'hello');
    expect(await owned()).toMatchObject({
      metadata: {
        ownerReferences: [{ kind: 'Function', name: 'hello', uid: metadata.uid, controller: true }],
      },
      spec: { relativeurl: '/hi', methods: ['GET'], functionref: { type: 'name', name: 'hello' } },
    });
    await platform.patch(functions, 'hello', { spec: { route: { url: '/ho', methods: ['POST'] } } });
    await eventually('the new route', () => platform.routes.match('', '/ho', 'POST').kind === 'found');
    expect(platform.routes.match('', '/hi', 'GET').kind).toBe('not-found');
    // Somebody meddles, somebody deletes: it is put right.
    await platform.patch(httptriggers, 'hello', { spec: { relativeurl: '/else' } });
    await eventually('the path again', async () => (await owned()).spec.relativeurl === '/ho');
    const { uid } = (await owned()).metadata;
    await platform.client.remove(httptriggers, 'default', 'hello');
    const exists = (): Promise<HttpTrigger | undefined> => owned().catch(() => undefined);
    await eventually('another trigger', async () => ((await exists())?.metadata.uid ?? uid) !== uid);
    await platform.patch(functions, 'hello', { spec: { route: null } });
    await eventually('no trigger', async () => (await exists()) === undefined);
    await eventually('no route', () => platform.routes.match('', '/ho', 'POST').kind === 'not-found');
  });

  it('is not left behind when the function loses its route just as the trigger is made', async () => {
    await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'), fn('hello', { route }));
    platform.api.holdBack('httptriggers');
    await platform.start();
    await eventually('the trigger made', () => platform.api.count('POST', '/httptriggers') === 1);
    await platform.patch(functions, 'hello', { spec: { route: null } });
    await platform.ready(functions, 'hello', 'Deployed');
    platform.api.releaseAll();
    await eventually('no trigger', async () => (await owned().catch(() => undefined)) === undefined);
    expect(platform.api.count('DELETE', '/httptriggers/hello')).toBe(1);
  });

  it("never takes over somebody else's trigger, and follows when that goes", async () => {
    await platform.create(
      environment('wasm', 'wasm'),
      pkg('hello-pkg'),
      trigger('hello', 'another', '/theirs'),
      fn('hello', { route }),
    );
    await platform.start();
    await platform.ready(functions, 'hello', 'Deployed');
    expect(platform.condition(await platform.get(functions, 'hello'), 'Route')).toMatchObject({
      status: 'False',
      reason: 'TriggerNotOwned',
    });
    expect((await owned()).spec.relativeurl).toBe('/theirs');
    await platform.client.remove(httptriggers, 'default', 'hello');
    await eventually('our trigger', () => platform.routes.match('', '/hi', 'GET').kind === 'found');
    await eventually(
      'no complaint',
      async () => platform.condition(await platform.get(functions, 'hello'), 'Route') === undefined,
    );
  });
});

describe('triggers', () => {
  it('are ready when the function serves, and not before', async () => {
    await platform.create(environment('wasm', 'wasm'), trigger('t', 'hello'));
    await platform.start();
    expect((await platform.ready(httptriggers, 't', 'FunctionNotFound')).message).toContain('default/hello');
    await platform.create(fn('hello'));
    await platform.ready(httptriggers, 't', 'FunctionNotReady');
    await platform.create(pkg('hello-pkg'));
    expect(await platform.ready(httptriggers, 't', 'Served')).toMatchObject({ status: 'True' });
    await platform.client.remove(functions, 'default', 'hello');
    await platform.ready(httptriggers, 't', 'FunctionNotFound');
    await platform.client.remove(httptriggers, 'default', 't');
    await eventually('no route', () => platform.routes.match('', '/t', 'GET').kind === 'not-found');
  });

  it('that lose a conflict name the winner, and win when that goes', async () => {
    await deployHello();
    await platform.create(trigger('a', 'hello', '/same'), trigger('b', 'hello', '/same'));
    await platform.ready(httptriggers, 'a', 'Served');
    const lost = await platform.ready(httptriggers, 'b', 'RouteConflict');
    expect(lost.message).toContain('HTTPTrigger default/a is older and already takes GET /same');
    expect(platform.condition(await platform.get(httptriggers, 'b'), 'RouteAdmitted')?.status).toBe('False');
    await platform.client.remove(httptriggers, 'default', 'a');
    await platform.ready(httptriggers, 'b', 'Served');
  });

  it('say which of their fields are not served', async () => {
    await deployHello();
    const ingress = trigger('t', 'hello');
    ingress.spec.createingress = true;
    await platform.create(ingress);
    await platform.ready(httptriggers, 't', 'Served');
    expect(platform.condition(await platform.get(httptriggers, 't'), 'Served')).toMatchObject({
      status: 'False',
      message: expect.stringContaining('createingress') as unknown,
    });
  });
});

describe('a restart', () => {
  it('serves everything again before synced() resolves, and writes nothing that was written', async () => {
    await platform.create(environment('wasm', 'wasm'));
    for (let i = 0; i < 10; i++) {
      await platform.create(pkg(`f${i}-pkg`, wasm(String(i))), fn(`f${i}`), trigger(`t${i}`, `f${i}`));
    }
    await (await platform.start()).synced();
    await platform.ready(httptriggers, 't9', 'Served');
    await platform.stop();
    const again = new Set(platform.api.requests);
    for (let i = 0; i < 10; i++) platform.functions.delete('default', `f${i}`);

    await (await platform.start()).synced();
    for (let i = 0; i < 10; i++) {
      expect(platform.phase(`f${i}`)).toBe('ready');
      expect(platform.routes.match('', `/t${i}`, 'GET').kind).toBe('found');
    }
    const since = platform.api.requests.filter((request) => !again.has(request));
    expect(since.filter(({ method }) => method !== 'GET')).toEqual([]);
    expect(since.filter(({ query }) => query.get('watch') === 'true').length).toBeLessThanOrEqual(9);
  });

  it('begins with the functions that it is told, whatever their names, and leaves none out', async () => {
    await platform.create(environment('wasm', 'wasm'));
    const names = Array.from({ length: 30 }, (_, i) => `f${String(i).padStart(2, '0')}`);
    // Of one package, which all of them wait for.
    await platform.create(pkg('all'));
    const packageref = { namespace: 'default', name: 'all' };
    for (const name of names)
      await platform.create(fn(name, { package: { packageref } }), trigger(name, name));
    const first = ['default/f29', 'default/gone', 'default/f17'];
    await (await platform.start(undefined, first)).synced();
    const deployed = platform.host.deployed.map(({ name }) => name);
    // Eight are worked on at once, and end in any order.
    expect(deployed.slice(0, 10)).toEqual(expect.arrayContaining(['f29', 'f17']));
    expect(deployed.toSorted()).toEqual(names);
    expect(platform.routes.match('', '/f29', 'GET').kind).toBe('found');
  });

  it('tells those who wait when it is closed before', async () => {
    platform.api.intercept = () => ({ status: 500 });
    const control = await platform.start();
    const waiting = control.synced();
    await platform.stop();
    await expect(waiting).rejects.toThrow('was closed');
  });
});

it('looks at named namespaces only, where some are named', async () => {
  await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'), fn('hello'));
  const elsewhere = fn('hello');
  elsewhere.metadata.namespace = 'other';
  await platform.create(elsewhere);
  await (await platform.start(['default'])).synced();
  expect(platform.phase('hello')).toBe('ready');
  expect(platform.functions.get('other', 'hello')).toBeUndefined();
});

describe('triggers that are not served yet', () => {
  const object = (kind: string, spec: object): KubeObject & { spec: object } => ({
    apiVersion: 'fission.io/v1',
    kind,
    metadata: { namespace: 'default', name: 'it' },
    spec,
  });
  const functionref = { name: 'report' };

  it.each([
    [RESOURCES.timetriggers, object('TimeTrigger', { cron: '0 9 * * *', functionref }), 'CronJob'],
    [
      RESOURCES.messagequeuetriggers,
      object('MessageQueueTrigger', { messageQueueType: 'kafka', topic: 'orders', functionref }),
      'consumer of yours',
    ],
    [
      RESOURCES.kuberneteswatchtriggers,
      object('KubernetesWatchTrigger', { namespace: 'default', type: 'pod', functionref }),
      'watcher of yours',
    ],
  ])('%s are told so, and what works instead', async (type, trigger, instead) => {
    await platform.create(trigger);
    await platform.start();
    const ready = await platform.ready(type, 'it', 'NotServedYet');
    expect(ready).toMatchObject({ status: 'False', observedGeneration: 1 });
    expect(ready.message).toContain(instead);
    expect(await platform.get(type, 'it')).toMatchObject({ status: { observedGeneration: 1 } });
  });

  it('say what is wrong where a cluster has stored something else', async () => {
    await platform.create(object('TimeTrigger', { cron: 'soon', functionref }));
    await platform.start();
    expect((await platform.ready(RESOURCES.timetriggers, 'it', 'Invalid')).message).toContain(
      'spec.cron must be a cron schedule',
    );
  });
});
