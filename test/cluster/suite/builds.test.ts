/** Source packages, built by a builder pod of their environment: builds, changes of the source, failures. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { writeZip } from '../../../src/packages/zip.ts';
import { pathOf, routerUrl } from '../support/functions.ts';
import { images, installFissium } from '../support/install.ts';
import { type AnyObject, apply, kubectl, list } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';
import { condition, eventually, readyPods } from '../support/wait.ts';

beforeAll(installFissium);

const SLOW_MS = 180_000;
/** Writes the module that is deployed, so that what answers was built. */
const MAKE = `import os, pathlib
word = pathlib.Path("word.txt").read_text()
deploy = pathlib.Path(os.environ["DEPLOY_PKG"])
deploy.mkdir()
deploy.joinpath("main.py").write_text(f"def main():\\n    return {('built ' + word)!r}\\n")
print("made of", word)
`;

function environment(namespace: string, builder: object): object {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: { name: 'python', namespace },
    spec: {
      version: 3,
      runtime: { image: images.python },
      builder: { command: 'build', ...builder },
      poolsize: 1,
    },
  };
}

async function zipOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fissium-source-'));
  try {
    const target = join(folder, '.source.zip');
    const entries = Object.keys(files).map((name) => ({ name, path: join(folder, name) }));
    for (const { name, path } of entries) await writeFile(path, files[name] ?? '');
    await writeZip(target, entries);
    return (await readFile(target)).toString('base64');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function packageOf(
  namespace: string,
  files: Readonly<Record<string, string>>,
  buildcmd = '',
): Promise<object> {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { namespace, name: 'hello' },
    spec: {
      environment: { name: 'python', namespace },
      source: { type: 'literal', literal: await zipOf(files) },
      ...(buildcmd === '' ? {} : { buildcmd }),
    },
  };
}

function functionOf(namespace: string): object[] {
  return [
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata: { namespace, name: 'hello' },
      spec: {
        environment: { name: 'python', namespace },
        package: { packageref: { name: 'hello', namespace }, functionName: 'main.main' },
      },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'HTTPTrigger',
      metadata: { namespace, name: 'hello' },
      spec: {
        relativeurl: pathOf(namespace, 'hello'),
        methods: ['GET'],
        functionref: { type: 'name', name: 'hello' },
      },
    },
  ];
}

async function buildLog(namespace: string): Promise<string> {
  return kubectl('get', 'package', 'hello', '-n', namespace, '-o', 'jsonpath={.status.buildlog}');
}

test(
  'a source is built, built again when it changes, and what was built answers',
  { timeout: SLOW_MS },
  async () => {
    const namespace = await newNamespace();
    await apply([
      environment(namespace, { image: images.pythonBuilder }),
      await packageOf(namespace, { 'make.py': MAKE, 'word.txt': 'one' }, 'python3 make.py'),
      ...functionOf(namespace),
    ]);
    await condition('package', 'hello', namespace, { type: 'BuildSucceeded', status: 'True' }, 120_000);
    expect(await buildLog(namespace)).toContain('made of one');
    const deployment = await kubectl(
      'get',
      'package',
      'hello',
      '-n',
      namespace,
      '-o',
      'jsonpath={.spec.deployment.url} {.spec.deployment.checksum.sum}',
    );
    expect(deployment).toMatch(/^http:\/\/storagesvc\.fission\/v1\/archive\?id=\S+ [0-9a-f]{64}$/);
    const url = `${await routerUrl()}${pathOf(namespace, 'hello')}`;
    const answers = (text: string) => async (): Promise<boolean> => {
      const answer = await fetch(url, { signal: AbortSignal.timeout(60_000) });
      return (await answer.text()) === text;
    };
    await eventually('what was built answers', answers('built one'), 90_000);
    await apply([await packageOf(namespace, { 'make.py': MAKE, 'word.txt': 'two' }, 'python3 make.py')]);
    await eventually('what was built of the new source answers', answers('built two'), 90_000);
    const [pod, ...others] = (await list('pods', namespace)).filter(
      ({ metadata }) => metadata.labels?.['fissium.io/part'] === 'builder',
    );
    expect(others).toEqual([]);
    expect(pod?.metadata.labels).toMatchObject({ envName: 'python', envNamespace: namespace });
  },
);

test(
  'JavaScript becomes a component, which answers; what cannot be one is told of in each call',
  { timeout: SLOW_MS },
  async () => {
    const namespace = await newNamespace();
    const js = { name: 'js', namespace };
    const ofJs = (object: object): object => {
      const { spec, ...rest } = object as { spec: object };
      return { ...rest, spec: { ...spec, environment: js } };
    };
    const greets = (word: string): string =>
      `addEventListener('fetch', (event) => event.respondWith(new Response('built ${word}')));\n`;
    await apply([
      {
        apiVersion: 'fission.io/v1',
        kind: 'Environment',
        metadata: js,
        spec: { version: 3, runtime: { image: 'wasm' }, builder: { image: images.wasmBuilder }, poolsize: 1 },
      },
      ofJs(await packageOf(namespace, { 'index.js': greets('one') })),
      ...functionOf(namespace).map((object, index) => (index === 0 ? ofJs(object) : object)),
    ]);
    await condition('function', 'hello', namespace, { type: 'Ready', status: 'True' }, 150_000);
    const url = `${await routerUrl()}${pathOf(namespace, 'hello')}`;
    const ask = async (): Promise<string> => {
      const answer = await fetch(url, { signal: AbortSignal.timeout(60_000) });
      return `${answer.status} ${await answer.text()}`;
    };
    await eventually('what was built answers', async () => (await ask()) === '200 built one', 30_000);

    await apply([ofJs(await packageOf(namespace, { 'index.js': 'no javascript' }))]);
    const failed = { type: 'BuildSucceeded', status: 'False', reason: 'BuildFailed' } as const;
    await condition('package', 'hello', namespace, failed, 120_000);
    // What is deployed serves on, also by a host that has not been there for it.
    expect(await ask()).toBe('200 built one');
    const hosts = 'fissium.io/part=wasm-host';
    const [before] = await readyPods(namespace, hosts, 1);
    await kubectl('delete', 'pod', '-n', namespace, '-l', hosts, '--wait=false');
    await eventually('another host', async () => {
      const [now] = await readyPods(namespace, hosts, 1);
      return now !== undefined && now !== before;
    });
    expect(await ask()).toBe('200 built one');

    // A package that never had anything deployed has nothing to serve.
    const never = ofJs(await packageOf(namespace, { 'index.js': 'no javascript' })) as AnyObject;
    const [function_] = functionOf(namespace).map((object) => ofJs(object)) as [AnyObject];
    const metadata = { namespace, name: 'other' };
    const ofNever = { package: { packageref: metadata, functionName: 'main' } };
    await apply([
      { ...never, metadata },
      { ...function_, metadata, spec: { ...(function_.spec as object), ...ofNever } },
    ]);
    await condition('package', 'other', namespace, failed, 120_000);
    await condition('function', 'other', namespace, { type: 'Ready', status: 'False' }, 30_000);
    const route = { relativeurl: pathOf(namespace, 'other'), methods: ['GET'] };
    await apply([
      {
        apiVersion: 'fission.io/v1',
        kind: 'HTTPTrigger',
        metadata: { namespace, name: 'other' },
        spec: { ...route, functionref: { type: 'name', name: 'other' } },
      },
    ]);
    const otherUrl = `${await routerUrl()}${pathOf(namespace, 'other')}`;
    await eventually(
      'a refusal with the reason',
      async () => {
        const answer = await fetch(otherUrl, { signal: AbortSignal.timeout(20_000) });
        return answer.status === 502 && (await answer.text()).includes('The build failed');
      },
      60_000,
    );
  },
);

test(
  'a pool starts pods of what is deployed, also when another source could not be built',
  { timeout: SLOW_MS },
  async () => {
    const namespace = await newNamespace();
    const [made, ...others] = functionOf(namespace) as [AnyObject, ...object[]];
    await apply([
      environment(namespace, { image: images.pythonBuilder }),
      await packageOf(namespace, { 'make.py': MAKE, 'word.txt': 'one' }, 'python3 make.py'),
      { ...made, spec: { ...(made.spec as object), idletimeout: 3 } },
      ...others,
    ]);
    await condition('function', 'hello', namespace, { type: 'Ready', status: 'True' }, 120_000);
    const url = `${await routerUrl()}${pathOf(namespace, 'hello')}`;
    const ask = async (): Promise<string> => {
      const answer = await fetch(url, { signal: AbortSignal.timeout(60_000) });
      return `${answer.status} ${await answer.text()}`;
    };
    await eventually('what was built answers', async () => (await ask()) === '200 built one', 30_000);
    await apply([await packageOf(namespace, { 'make.py': 'raise SystemExit("no")' }, 'python3 make.py')]);
    const failed = { type: 'BuildSucceeded', status: 'False', reason: 'BuildFailed' } as const;
    await condition('package', 'hello', namespace, failed, 120_000);
    await eventually('its pods are gone', async () => {
      const pods = await list('pods', namespace, 'functionName=hello');
      return pods.length === 0;
    });
    expect(await ask()).toBe('200 built one');
  },
);

test('a build that fails says so, with the end of its log', { timeout: SLOW_MS }, async () => {
  const namespace = await newNamespace();
  await apply([
    environment(namespace, { image: images.pythonBuilder }),
    await packageOf(namespace, { 'make.py': 'raise SystemExit("no such thing")' }, 'python3 make.py'),
  ]);
  const failed = { type: 'BuildSucceeded', status: 'False', reason: 'BuildFailed' } as const;
  const { message } = await condition('package', 'hello', namespace, failed, 120_000);
  expect(message).toMatch(/exit code 1 .*no such thing/);
  expect(await buildLog(namespace)).toContain('no such thing');
});

test('a builder whose image cannot be had is named, and is waited for', { timeout: SLOW_MS }, async () => {
  const namespace = await newNamespace();
  await apply([
    environment(namespace, { image: 'localhost/no-such-builder:1' }),
    await packageOf(namespace, { 'main.py': 'def main():\n    return "as it is"\n' }),
  ]);
  const waiting = { type: 'Ready', status: 'False', reason: 'BuilderUnreachable' } as const;
  const { message } = await condition('package', 'hello', namespace, waiting, 90_000);
  expect(message).toMatch(/no-such-builder/);
  await apply([environment(namespace, { image: images.pythonBuilder })]);
  await condition('package', 'hello', namespace, { type: 'BuildSucceeded', status: 'True' }, 120_000);
});
