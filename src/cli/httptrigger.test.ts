import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HttpTrigger } from '../api/index.ts';
import { RESOURCES } from '../kube/index.ts';
import { startTestPlatform, testWasm, type CliResult, type TestPlatform } from './testing/platform.ts';

let platform: TestPlatform;
const cli = (line: string): Promise<CliResult> => platform.cli(line.split(' '));
const get = (name: string): Promise<HttpTrigger> =>
  platform.client.get<HttpTrigger>(RESOURCES.httptriggers, 'default', name);

beforeAll(async () => {
  platform = await startTestPlatform();
  for (const name of ['one', 'two']) {
    await platform.write(`${name}.wasm`, testWasm(name));
    await cli(`fn create ${name} --env wasm --code ${name}.wasm`);
  }
});
afterAll(() => platform[Symbol.asyncDispose]());

test('a route answers as soon as create returns, and no more once delete has returned', async () => {
  expect((await cli('route create first --function one --url /first')).code).toBe(0);
  expect(await (await fetch(`${platform.router}/first`)).text()).toBe('one GET /');
  expect((await fetch(`${platform.router}/first`, { method: 'POST' })).status).toBe(405);
  expect(await cli('route delete --name first')).toEqual({
    code: 0,
    stdout: "trigger 'first' deleted\n",
    stderr: '',
  });
  await expect.poll(async () => (await fetch(`${platform.router}/first`)).status).toBe(404);
});

test('a prefix is stripped unless it is kept', async () => {
  await cli('route create pre --function one --prefix /pre --method GET,POST');
  expect(await (await fetch(`${platform.router}/pre/a`)).text()).toBe('one GET /a');
  expect((await cli('route update pre --keepprefix')).stdout).toBe("trigger 'pre' updated\n");
  expect(await (await fetch(`${platform.router}/pre/a`)).text()).toBe('one GET /pre/a');
  expect((await cli('route update pre --keepprefix=false')).code).toBe(0);
  expect((await get('pre')).spec).toMatchObject({ keepPrefix: false, methods: ['GET', 'POST'] });
});

test('a route that is taken is refused and leaves nothing', async () => {
  await cli('route create taken --function one --url /taken');
  const { code, stderr } = await cli('route create second --function two --url /taken');
  expect(code).toBe(1);
  expect(stderr).toMatchInlineSnapshot(`
    "error: trigger 'second' is refused: GET /taken is taken
      why: trigger 'taken' in namespace default has it, for function one
      fix: choose another --url, --method or --host, or delete the other trigger first
    "
  `);
  expect((await cli('route get second')).code).toBe(1);
});

test('an update to a route that is taken is taken back', async () => {
  await cli('route create mine --function two --url /mine');
  const { code, stderr } = await cli('route update mine --url /taken');
  expect(code).toBe(1);
  expect(stderr).toContain('GET /taken is taken');
  expect((await get('mine')).spec.relativeurl).toBe('/mine');
});

test('a function that does not exist is warned of at once', async () => {
  const { code, stderr } = await cli('route create early --function later --url /early');
  expect(code).toBe(0);
  expect(stderr).toMatchInlineSnapshot(`
    "warning: function 'later' does not exist in namespace default: the route serves once it does
    warning: trigger 'early' is not served yet: There is no Function default/later. Create it, for example with \`fissium function create --name later\`.
    "
  `);
});

test('two functions share a route by weight', async () => {
  expect(
    (await cli('route create both --function one --function two --weight 0 --weight 100 --url /both')).code,
  ).toBe(0);
  expect(await (await fetch(`${platform.router}/both`)).text()).toBe('two GET /');
  expect(
    (await cli('route create bad --function one,two --weight 10 --weight 20 --url /bad')).stderr,
  ).toContain('two functions need two weights that add up to 100');
});

test('Fission’s flags for ingresses are kept with a warning', async () => {
  const { code, stderr } = await cli(
    'ht create out --function one --url /out --host example.com --createingress --ingressrule a.example.com=/x --ingressannotation k=v ' +
      '--route-provider gateway --gateway infra/main',
  );
  expect(code).toBe(0);
  expect(stderr.match(/--\S+ is not served/g)).toEqual([
    '--createingress is not served',
    '--ingressrule is not served',
    '--ingressannotation is not served',
    '--route-provider is not served',
    '--gateway is not served',
  ]);
  expect((await get('out')).spec).toMatchObject({
    host: 'example.com',
    createingress: true,
    ingressconfig: { host: 'a.example.com', path: '/x', annotations: { k: 'v' } },
    routeConfig: { provider: 'gateway', gateway: { parentRefs: [{ namespace: 'infra', name: 'main' }] } },
  });
});

test('lists, shows and deletes by function', async () => {
  const { stdout } = await cli('route list --function two');
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((row) => row.split(/ {2,}/)[0]),
  ).toEqual(['NAME', 'both', 'mine']);
  expect((await cli('route get taken')).stdout).toMatch(/^NAME {3}.*\ntaken {3}\[GET\] .*\n\nCONDITIONS:\n/s);
  expect((await cli('route delete --function two')).stdout).toBe("trigger 'mine' deleted\n");
  expect((await cli('route delete')).code).toBe(2);
});

test.each([
  ['--url /x', 'missing --function'],
  ['--function one', 'missing --url (or --prefix)'],
  [
    '--function one --url /x --method FETCH',
    '--method is "FETCH": allowed: GET, HEAD, POST, PUT, PATCH, DELETE, CONNECT, OPTIONS, TRACE',
  ],
  ['--function one --url /x --ingressrule nonsense', '--ingressrule is "nonsense": it must be host=path'],
  ['--function one --url /x --name Not_A_Name', '--name is "Not_A_Name"'],
])('route create %s is a usage error', async (args, message) => {
  const { code, stderr } = await cli(`route create ${args}`);
  expect(code).toBe(2);
  expect(stderr).toContain(`error: ${message}`);
});
