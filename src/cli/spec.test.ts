import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FissionFunction, Package } from '../api/index.ts';
import { RESOURCES } from '../kube/index.ts';
import { startTestPlatform, testWasm, type CliResult, type TestPlatform } from './testing/platform.ts';

let platform: TestPlatform;
const cli = (line: string): Promise<CliResult> => platform.cli(line.split(' '));
const getPackage = (name: string): Promise<Package> =>
  platform.client.get<Package>(RESOURCES.packages, 'default', name);

const FUNCTION = `
apiVersion: fission.io/v1
kind: Function
metadata:
  name: greet
spec:
  environment: { name: wasm }
  package:
    packageref: { name: greet-code }
---
apiVersion: fission.io/v1
kind: HTTPTrigger
metadata:
  name: greet
spec:
  relativeurl: /greet
  functionref: { name: greet }
`;
const PACKAGE = `
apiVersion: fission.io/v1
kind: ArchiveUploadSpec
name: greet
include: [code/greet.wasm]
---
apiVersion: fission.io/v1
kind: Package
metadata:
  name: greet-code
spec:
  environment: { name: wasm }
  deployment: { type: url, url: archive://greet }
`;

beforeAll(async () => {
  platform = await startTestPlatform();
  await mkdir(join(platform.cwd, 'code'));
  await platform.write('code/greet.wasm', testWasm('greet one'));
});
afterAll(() => platform[Symbol.asyncDispose]());

describe('a specification', () => {
  test('init makes the folder once', async () => {
    expect((await cli('spec init --name shop --deployid uid-1')).stdout).toBe(
      "specification 'shop' made in specs\n",
    );
    expect(await readFile(join(platform.cwd, 'specs/fission-deployment-config.yaml'), 'utf8')).toMatch(
      /^#.*\napiVersion: fission.io\/v1\nkind: DeploymentConfig\nname: shop\nuid: uid-1\n$/,
    );
    expect((await cli('spec init')).stderr).toContain('holds a specification already');
  });

  test('validate names file, line, resource and field, and needs no platform', async () => {
    await platform.write(
      'specs/function.yaml',
      FUNCTION.replace('functionref: { name: greet }', 'functionref: { nam: greet }'),
    );
    const offline = { env: { KUBECONFIG: '/nonexistent' } };
    const bad = await platform.cli(['spec', 'validate'], offline);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(
      /why: specs\/function\.yaml:11: HTTPTrigger "greet": spec\.functionref\.nam: is not a field here; did you mean name\?/,
    );
    await platform.write('specs/function.yaml', FUNCTION);
    const missing = await platform.cli(['spec', 'validate'], offline);
    expect(missing.code).toBe(0);
    expect(missing.stderr).toContain(
      'specs/function.yaml:2: Function "greet" refers to Package "greet-code", which is not in the specification',
    );
    await platform.write('specs/package.yaml', PACKAGE.replace('archive://greet', 'archive://gret'));
    expect((await platform.cli(['spec', 'validate'], offline)).stderr).toContain(
      'Package "greet-code" refers to archive "gret", which no ArchiveUploadSpec describes',
    );
  });

  test('apply makes it, and says that nothing changed the second time', async () => {
    await platform.write('specs/package.yaml', PACKAGE);
    expect(await cli('spec apply')).toMatchInlineSnapshot(`
      {
        "code": 0,
        "stderr": "",
        "stdout": "1 package created: greet-code
      1 function created: greet
      1 httptrigger created: greet
      ",
      }
    `);
    expect(await (await fetch(`${platform.router}/greet`)).text()).toBe('greet one GET /');
    const fn = await platform.client.get<FissionFunction>(RESOURCES.functions, 'default', 'greet');
    expect(fn.metadata.annotations).toEqual({ 'fission-uid': 'uid-1', 'fission-name': 'shop' });
    expect((await getPackage('greet-code')).spec.deployment?.type).toBe('literal');
    expect(await cli('spec apply')).toEqual({ code: 0, stdout: 'Everything up to date.\n', stderr: '' });
  });

  test('a changed file is deployed, in a dry run only shown', async () => {
    await platform.write('code/greet.wasm', testWasm('greet two'));
    expect((await cli('spec apply --dry-run')).stdout).toBe(
      '1 package would be updated: greet-code\n1 function would be updated: greet\n',
    );
    expect((await cli('spec apply --wait')).stdout).toBe(
      '1 package updated: greet-code\n1 function updated: greet\n',
    );
    expect(await (await fetch(`${platform.router}/greet`)).text()).toBe('greet two GET /');
    expect((await cli('spec apply')).stdout).toBe('Everything up to date.\n');
  });

  test('large files are uploaded once', async () => {
    await platform.write('code/greet.wasm', testWasm('greet large', 300_000));
    expect((await cli('spec apply')).stdout).toMatch(/^uploading archive greet\n1 package updated/);
    expect((await getPackage('greet-code')).spec.deployment?.url).toContain('/v1/archive?id=');
    expect((await cli('spec apply')).stdout).toBe('Everything up to date.\n');
    expect(await (await fetch(`${platform.router}/greet`)).text()).toBe('greet large GET /');
  });

  test('what the specification did not make is not touched', async () => {
    await platform.write('other.wasm', testWasm('other'));
    await cli('fn create byhand --env wasm --code other.wasm');
    const yaml = FUNCTION.split('---')[0]?.replace('name: greet\n', 'name: byhand\n') ?? '';
    await platform.write('specs/byhand.yaml', yaml);
    const { code, stderr } = await cli('spec apply');
    expect(code).toBe(1);
    expect(stderr).toContain(
      'specs/byhand.yaml:2: Function "byhand" exists and was not made by this specification',
    );
    expect((await cli('fn test byhand')).stdout).toBe('other GET /');
    await rm(join(platform.cwd, 'specs/byhand.yaml'));
  });

  test('list shows what it made; --delete removes what it no longer names, and only that', async () => {
    expect((await cli('spec list')).stdout.replaceAll(/ +/g, ' ')).toBe(
      'KIND NAME READY NAMESPACE\nHTTPTrigger greet True default\nFunction greet True default\nPackage greet-code True default\n',
    );
    await platform.write('specs/function.yaml', FUNCTION.split('---')[0] ?? '');
    expect((await cli('spec apply')).stdout).toBe('Everything up to date.\n');
    expect((await cli('spec apply --delete --dryrun')).stdout).toBe(
      '1 httptrigger would be deleted: greet\n',
    );
    expect((await cli('spec apply --delete')).stdout).toBe('1 httptrigger deleted: greet\n');
    await expect.poll(async () => (await fetch(`${platform.router}/greet`)).status).toBe(404);
    expect((await cli('fn test byhand')).code).toBe(0);
  });

  test('is applied while the platform writes its status', async () => {
    let writes = 0;
    let done = false;
    // Often enough to meet some of the applies between their reading and writing, and not all.
    const writing = (async () => {
      for (; !done; await sleep(25)) {
        const annotations = { written: String(++writes) };
        await platform.client.patchMerge(RESOURCES.packages, 'default', 'greet-code', {
          metadata: { annotations },
        });
      }
    })();
    try {
      for (let i = 0; i < 16; i++) {
        await platform.write('code/greet.wasm', testWasm(`greet ${i}`));
        const { code, stderr } = await cli('spec apply --no-wait');
        expect(code, stderr).toBe(0);
      }
    } finally {
      done = true;
      await writing;
    }
    expect(writes).toBeGreaterThan(8);
    await platform.write('code/greet.wasm', testWasm('greet two'));
    await cli('spec apply');
  });

  test('--watch applies again when a file of an archive changes, and goes on after a failure', async () => {
    const stop = new AbortController();
    const seen = { stdout: '', stderr: '' };
    const watching = platform.cli(['spec', 'apply', '--watch'], {
      signal: stop.signal,
      onStdout: (text) => (seen.stdout += text),
      onStderr: (text) => (seen.stderr += text),
    });
    await expect.poll(() => seen.stdout).toContain('Watching files for changes...');
    await platform.write('specs/broken.yaml', 'kind: [');
    await expect.poll(() => seen.stderr, { timeout: 5000 }).toContain('specs/broken.yaml:1 is not YAML');
    await rm(join(platform.cwd, 'specs/broken.yaml'));
    // What lies beside an archive's files is none of its business, however often it changes.
    await platform.write('code/app.log', 'a line');
    await platform.write('code/greet.wasm', testWasm('greet three'));
    await expect.poll(() => seen.stdout, { timeout: 5000 }).toContain('1 function updated: greet');
    stop.abort();
    expect((await watching).code).toBe(0);
    expect(seen.stdout.split('Watching files for changes...')[1]).not.toContain('Everything up to date.');
    expect((await cli('fn test greet')).stdout).toBe('greet three GET /');
  }, 20_000);

  test('destroy deletes what it made and nothing else', async () => {
    expect((await cli('spec destroy')).stdout).toBe(
      'Deleted Function default/greet\nDeleted Package default/greet-code\n',
    );
    expect((await cli('fn list -o name')).stdout).toBe('function/byhand\n');
  });
});

test('create --spec writes what apply takes', async () => {
  const cwd = join(platform.cwd, 'generated');
  await mkdir(cwd);
  await copyFile(join(platform.cwd, 'other.wasm'), join(cwd, 'other.wasm'));
  const here = (line: string): Promise<CliResult> => platform.cli(line.split(' '), { cwd });
  expect((await here('fn create gen --env wasm --code other.wasm --url /gen --spec')).stderr).toContain(
    'fix: make one: fissium spec init',
  );
  await here('spec init');
  expect((await here('env create genenv --image wasm --spec')).stdout).toBe(
    'saved to specs/env-genenv.yaml\n',
  );
  expect((await here('fn create gen --env genenv --code other.wasm --url /gen --spec')).stdout).toBe(
    'saved to specs/function-gen.yaml\n',
  );
  const applied = await here('spec apply');
  expect(applied).toMatchObject({ code: 0, stderr: '' });
  expect(applied.stdout).toMatch(
    /^1 environment created: genenv\n1 package created: gen-.*\n1 function created: gen\n1 httptrigger created: gen-/,
  );
  expect(await (await fetch(`${platform.router}/gen`)).text()).toBe('other GET /');
});

test('the article’s short forms apply as they stand', async () => {
  const cwd = join(platform.cwd, 'article');
  await mkdir(cwd);
  await platform.write(
    'article/function.yaml',
    `# function.yaml
apiVersion: fission.io/v1
kind: Function
metadata:
  name: hello-python
spec:
  environment:
    name: python-env
    version: 3.9
  package:
    functionref:
      name: hello-pkg
      resource: hello-python
  route:
    methods: ["GET"]
    url: /hello
`,
  );
  await platform.write(
    'article/cronjob.yaml',
    'apiVersion: fission.io/v1\nkind: TimeTrigger\nmetadata:\n  name: daily-report\nspec:\n  functionref:\n    name: report-generator\n  cron: "0 9 * * *"\n',
  );
  const { code, stdout, stderr } = await platform.cli(['spec', 'apply', '--specdir', '.'], { cwd });
  expect({ code, stdout }).toEqual({ code: 0, stdout: '1 function created: hello-python\n' });
  expect(stderr).toContain('warning: cronjob.yaml:1: kind TimeTrigger is left out: it is not served yet');
  expect(stderr).toContain(
    'refers to Package "hello-pkg", which is neither in the specification nor in the cluster',
  );
  const { spec } = await platform.client.get<FissionFunction>(RESOURCES.functions, 'default', 'hello-python');
  expect(spec.environment.version).toBe(3.9);
  expect(spec.package?.functionref).toEqual({ name: 'hello-pkg', resource: 'hello-python' });
});

test('a folder that is not there is answered with how to make it', async () => {
  expect(await platform.cli(['spec', 'apply', '--specdir', 'nowhere'])).toMatchObject({
    code: 1,
    stderr: `error: there is no specs folder at ${join(platform.cwd, 'nowhere')}\n  fix: make one with \`fissium spec init\`, or name it with --specdir\n`,
  });
});
