import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Environment } from '../api/index.ts';
import { RESOURCES } from '../kube/index.ts';
import { startTestPlatform, testWasm, type CliResult, type TestPlatform } from './testing/platform.ts';

let platform: TestPlatform;
const cli = (line: string): Promise<CliResult> => platform.cli(line.split(' '));
const get = (name: string): Promise<Environment> =>
  platform.client.get<Environment>(RESOURCES.environments, 'default', name);

beforeAll(async () => {
  platform = await startTestPlatform();
});
afterAll(() => platform[Symbol.asyncDispose]());

test('Fission’s flags make Fission’s spec', async () => {
  const { code, stderr } = await cli(
    'env create --name node --image fission/node-env --builder fission/node-builder --poolsize 4 --version 3 --period 120 ' +
      '--mincpu 100 --maxcpu 200 --minmemory 64 --maxmemory 128 --imagepullsecret registry --keeparchive --externalnetwork=true ' +
      '--runtime-env A=1 --builder-env B=2 --labels team=a',
  );
  expect(code).toBe(0);
  expect(stderr).toContain('warning: --poolsize is not served where the platform runs in one process');
  expect(stderr).toContain('warning: --externalnetwork is not served yet');
  const { spec, metadata } = await get('node');
  expect(metadata.labels).toEqual({ team: 'a' });
  expect(spec).toEqual({
    version: 3,
    runtime: { image: 'fission/node-env', container: { name: 'node', env: [{ name: 'A', value: '1' }] } },
    builder: {
      image: 'fission/node-builder',
      command: 'build',
      container: { name: 'builder', env: [{ name: 'B', value: '2' }] },
    },
    poolsize: 4,
    terminationGracePeriod: 120,
    imagepullsecret: 'registry',
    keeparchive: true,
    allowAccessToExternalNetwork: true,
    resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '200m', memory: '128Mi' } },
  });
});

test('update changes what the flags name and keeps the rest', async () => {
  const before = await get('node');
  expect((await cli('env update node --poolsize 5')).stdout).toBe("environment 'node' updated\n");
  expect((await get('node')).spec).toEqual({ ...before.spec, poolsize: 5 });
});

test('lists with the columns of Fission', async () => {
  await cli('env wait node --for condition=Ready');
  await cli('env wait wasm --for condition=Ready');
  expect((await cli('environment list')).stdout).toMatchInlineSnapshot(`
    "NAME   IMAGE              BUILDER_IMAGE          POOLSIZE   MINCPU   MAXCPU   MINMEMORY   MAXMEMORY   EXTNET   GRACETIME   READY   NAMESPACE
    node   fission/node-env   fission/node-builder   5          100m     200m     64Mi        128Mi       true     120         True    default
    wasm   wasm               wasm                                                                        false    90          True    default
    "
  `);
  expect((await cli('env list -o name')).stdout).toBe('environment/node\nenvironment/wasm\n');
  expect((await cli('env get wasm -o yaml')).stdout).toContain('image: wasm');
});

test('one that functions use is only deleted by force', async () => {
  await platform.write('x.wasm', testWasm('x'));
  await cli('env create mywasm --image wasm');
  await cli('fn create x --env mywasm --code x.wasm');
  expect(await cli('env delete mywasm')).toMatchInlineSnapshot(`
    {
      "code": 1,
      "stderr": "error: environment 'mywasm' is used by a function
      why: x
      fix: delete them first, or add --force
    ",
      "stdout": "",
    }
  `);
  expect((await cli('env delete mywasm -f')).stdout).toBe("environment 'mywasm' deleted\n");
});

test.each([
  ['--name a', 'missing --image'],
  ['', 'missing --name and --image'],
  ['--name a --image b --version 4', '--version is "4"'],
  ['--name a --image b --mincpu lots', '--mincpu is "lots": allowed is a number of 1 or more'],
  ['--name a --image b --labels x', '--labels is "x": it must be key=value'],
])('env create %s is a usage error', async (args, message) => {
  const { code, stderr } = await cli(`env create ${args}`.trim());
  expect(code).toBe(2);
  expect(stderr).toContain(`error: ${message}`);
});
