/** What a host that starts beside others waits for before it takes calls: a small API, real archives over HTTP. */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { RESOURCES, type Secret } from '../../kube/index.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { ArchiveFetcher } from '../../packages/index.ts';
import { environment, fn, pkg, TestPlatform, wasm } from '../testing/platform.ts';
import { type HostControl, startHostControl } from './host-control.ts';

let platform: TestPlatform;
let storage: Server;
let isStorageUp: boolean;
let asked: number;
let control: HostControl | undefined;

beforeEach(async () => {
  platform = await TestPlatform.make();
  isStorageUp = false;
  asked = 0;
  storage = createServer((_request, response) => {
    asked++;
    response.writeHead(isStorageUp ? 200 : 503).end(isStorageUp ? wasm('stored') : '');
  });
  await new Promise<void>((resolve) => storage.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await control?.close();
  control = undefined;
  await platform.close();
  await new Promise((resolve) => storage.close(resolve));
});

/** `ready` becomes true when the host would take calls. */
function start(readinessLimitMs?: number): { readonly isReady: () => boolean } {
  const { client, functions, host, preparer, archives } = platform;
  control = startHostControl({
    client,
    namespace: 'default',
    environment: { namespace: 'default', name: 'wasm' },
    onlyFunction: null,
    functions,
    host,
    preparer,
    archives,
    fetcher: new ArchiveFetcher({ archives, ownHosts: [] }),
    logger: pino({ level: 'silent' }),
    ...(readinessLimitMs === undefined ? {} : { readinessLimitMs }),
  });
  let ready = false;
  void control.synced().then(() => (ready = true));
  return { isReady: () => ready };
}

/** Of a package that lies in the storage service. */
async function createStored(isServedElsewhere: boolean): Promise<void> {
  const { port } = storage.address() as AddressInfo;
  const sum = createHash('sha256').update(wasm('stored')).digest('hex');
  const stored = pkg('hello-pkg');
  const deployment = {
    type: 'url' as const,
    url: `http://127.0.0.1:${port}/archive`,
    checksum: { type: 'sha256' as const, sum },
  };
  await platform.create(
    environment('wasm', 'wasm'),
    { ...stored, spec: { ...stored.spec, deployment } },
    fn('hello'),
  );
  if (isServedElsewhere) await sayReady('True');
}

async function sayReady(status: 'True' | 'False' | 'Unknown', reason = 'Deployed'): Promise<void> {
  const { functions } = RESOURCES;
  const object = await platform.get(functions, 'hello');
  const condition = {
    type: 'Ready',
    status,
    reason,
    message: '',
    lastTransitionTime: new Date(0).toISOString(),
  };
  await platform.client.patchStatus(functions, 'default', 'hello', {
    metadata: { uid: object.metadata.uid },
    status: { conditions: [condition] },
  });
}

it('waits until it serves what others serve', async () => {
  await createStored(true);
  const { isReady } = start();
  await eventually('a second try', () => Promise.resolve(asked > 1 ? true : undefined));
  expect(platform.phase('hello')).toBe('refused');
  expect(isReady()).toBe(false);
  isStorageUp = true;
  await eventually('ready', () => Promise.resolve(isReady() ? true : undefined));
  expect(platform.phase('hello')).toBe('ready');
});

it('does not wait for what is ready nowhere, from the start or since', async () => {
  await createStored(false);
  const first = start();
  await eventually('ready', () => Promise.resolve(first.isReady() ? true : undefined));
  expect(platform.phase('hello')).toBe('refused');
  await control?.close();

  await sayReady('True');
  const second = start();
  const before = asked;
  await eventually('a second try', () => Promise.resolve(asked > before + 1 ? true : undefined));
  expect(second.isReady()).toBe(false);
  await sayReady('False');
  await eventually('ready', () => Promise.resolve(second.isReady() ? true : undefined));
});

it('waits for a function that waits for a first host, but not for one whose package is being built', async () => {
  await createStored(false);
  await sayReady('Unknown', 'HostsStarting');
  const { isReady } = start();
  await eventually('a second try', () => Promise.resolve(asked > 1 ? true : undefined));
  expect(isReady()).toBe(false);
  await sayReady('Unknown', 'PackagePending');
  await eventually('ready', () => Promise.resolve(isReady() ? true : undefined));
});

it('refuses a function whose package could not be built, with the end of its log, until it is built again', async () => {
  const source = { type: 'literal' as const, literal: Buffer.from('no zip').toString('base64') };
  const given = pkg('hello-pkg');
  const wasmEnvironment = environment('wasm', 'wasm');
  await platform.create(
    { ...wasmEnvironment, spec: { ...wasmEnvironment.spec, builder: { image: 'wasm' } } },
    { ...given, spec: { environment: given.spec.environment, source } },
    fn('hello'),
  );
  const { isReady } = start();
  await eventually('ready', () => Promise.resolve(isReady() ? true : undefined));
  const phase = (wanted: string) => () =>
    Promise.resolve(platform.phase('hello') === wanted ? true : undefined);
  await eventually('waits for the build', phase('preparing'));
  await sayBuilt('failed', 'BuildFailed', 'The build failed: no hello.c');
  await eventually('refused', phase('refused'));
  const state = platform.functions.get('default', 'hello')?.state;
  expect(state?.phase === 'refused' && state.error.message).toContain('no hello.c');
  await sayBuilt('running', 'BuildRunning', 'The source is being built.');
  await eventually('waits again', phase('preparing'));
});

it.each(['failed', 'running'] as const)(
  'serves what is deployed of a package whose new source is built: %s',
  async (build) => {
    const given = pkg('hello-pkg', wasm('the version before'));
    const source = { type: 'literal' as const, literal: Buffer.from('no zip').toString('base64') };
    const wasmEnvironment = environment('wasm', 'wasm');
    await platform.create(
      { ...wasmEnvironment, spec: { ...wasmEnvironment.spec, builder: { image: 'wasm' } } },
      {
        ...given,
        metadata: { ...given.metadata, annotations: { 'fissium.io/built-from': 'another source' } },
        spec: { ...given.spec, source },
      },
      fn('hello'),
    );
    await sayBuilt(build, build === 'failed' ? 'BuildFailed' : 'BuildRunning', 'no hello.c');
    const { isReady } = start();
    await eventually('ready', () => Promise.resolve(isReady() ? true : undefined));
    expect(platform.phase('hello')).toBe('ready');
    const digest = createHash('sha256').update(wasm('the version before')).digest('hex');
    expect(platform.host.deployed.map(({ manifest }) => manifest.digest)).toEqual([digest]);
    // The controller is told why the present one is not served.
    const said = await eventually('a verdict', () => {
      const [reported] = control?.functions() ?? [];
      const status = reported && control?.statusOf(reported);
      return Promise.resolve(status?.conditions?.find(({ type }) => type === 'Ready'));
    });
    expect(`${said.status} ${said.reason} ${said.message}`).toMatch(
      build === 'running'
        ? /^Unknown PackagePending /
        : /^False PackageFailed .*no hello\.c What was deployed before still serves\.$/,
    );
    // The end of the trouble is a version like any other.
    await platform.patch(RESOURCES.packages, 'hello-pkg', {
      metadata: { annotations: { 'fissium.io/built-from': null } },
      spec: {
        source: null,
        deployment: { type: 'literal', literal: wasm('the version after').toString('base64') },
      },
    });
    await eventually('the next version', () =>
      Promise.resolve(platform.host.deployed.length === 2 && platform.host.closed === 1 ? true : undefined),
    );
  },
);

it('does not take calls of a function whose earlier version cannot be fetched yet, and tries again', async () => {
  await createStored(false);
  const source = { type: 'literal' as const, literal: Buffer.from('no zip').toString('base64') };
  await platform.patch(RESOURCES.environments, 'wasm', { spec: { builder: { image: 'wasm' } } });
  await platform.patch(RESOURCES.packages, 'hello-pkg', {
    metadata: { annotations: { 'fissium.io/built-from': 'another source' } },
    spec: { source },
  });
  await sayBuilt('failed', 'BuildFailed', 'no hello.c');
  start();
  await eventually('a second try', () => Promise.resolve(asked > 1 ? true : undefined));
  const state = platform.functions.get('default', 'hello')?.state;
  expect(state?.phase === 'refused' && state.error.code).toBe('FUNCTION_NOT_READY');
  isStorageUp = true;
  await eventually('served', () => Promise.resolve(platform.phase('hello') === 'ready' ? true : undefined));
});

/** What the controller says of a build of the package. */
async function sayBuilt(buildstatus: 'failed' | 'running', reason: string, message: string): Promise<void> {
  const { packages } = RESOURCES;
  const { metadata } = await platform.get(packages, 'hello-pkg');
  const { uid, generation } = metadata;
  const status = buildstatus === 'failed' ? 'False' : 'Unknown';
  const said = {
    reason,
    message,
    observedGeneration: generation,
    lastTransitionTime: new Date(0).toISOString(),
  };
  await platform.client.patchStatus(packages, 'default', 'hello-pkg', {
    metadata: { uid },
    status: {
      buildstatus,
      conditions: [
        { type: 'Ready', status, ...said },
        { type: 'BuildSucceeded', status, ...said },
      ],
    },
  });
}

it('takes calls after a while for the sake of the others', async () => {
  await createStored(true);
  const { isReady } = start(50);
  await eventually('ready', () => Promise.resolve(isReady() ? true : undefined));
  expect(platform.phase('hello')).toBe('refused');
});

it('waits for a secret that it may not read yet', async () => {
  await platform.create(
    environment('wasm', 'wasm'),
    pkg('hello-pkg'),
    fn('hello', { secrets: [{ name: 'late' }] }),
  );
  await sayReady('True');
  const { isReady } = start();
  await eventually('refused', () =>
    Promise.resolve(platform.phase('hello') === 'refused' ? true : undefined),
  );
  expect(isReady()).toBe(false);
  await platform.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace: 'default', name: 'late' },
    data: { key: 'dmFsdWU=' },
  } as Secret);
  await eventually('ready', () => Promise.resolve(isReady() ? true : undefined));
  expect(platform.phase('hello')).toBe('ready');
});

it('does not wait for what no try can mend', async () => {
  platform.preparer.refused.set(createHash('sha256').update(wasm()).digest('hex'), 'no handler');
  await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'), fn('hello'));
  await sayReady('True');
  const { isReady } = start();
  await eventually('ready', () => Promise.resolve(isReady() ? true : undefined));
  expect(platform.phase('hello')).toBe('refused');
});
