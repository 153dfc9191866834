import { readFile } from 'node:fs/promises';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Package } from '../api/index.ts';
import { RESOURCES } from '../kube/index.ts';
import { startTestPlatform, testWasm, type CliResult, type TestPlatform } from './testing/platform.ts';

let platform: TestPlatform;
const cli = (line: string): Promise<CliResult> => platform.cli(line.split(' '));
const get = (name: string): Promise<Package> =>
  platform.client.get<Package>(RESOURCES.packages, 'default', name);

beforeAll(async () => {
  platform = await startTestPlatform();
  await platform.write('a.wasm', testWasm('a'));
  await platform.write('b.wasm', testWasm('b'));
  await platform.write('text.txt', 'no code');
});
afterAll(() => platform[Symbol.asyncDispose]());

test('create waits until the package is prepared; info shows it', async () => {
  expect((await cli('package create --name a --env wasm --code a.wasm')).stdout).toBe(
    "Package 'a' created\n",
  );
  const { stdout } = await cli('pkg info a');
  expect(stdout).toMatch(
    /^Name: {8}a\nEnvironment: wasm\nStatus: {6}(none|succeeded)\nDeployment: {2}literal \(5 bytes\) sha256:/,
  );
  expect(stdout).toMatch(/^Ready +True +Prepared/m);
});

test('a package that is refused stays, with the reason', async () => {
  const { code, stderr } = await cli('package create --name bad --env wasm --code text.txt');
  expect(code).toBe(1);
  expect(stderr).toContain("error: package 'bad' is created, but refused: ArchiveRefused");
  expect((await cli('pkg list --status failed -o name')).stdout).toBe('package/bad\n');
});

test('getdeploy brings the bytes back', async () => {
  expect((await cli('pkg getdeploy a')).stdout).toBe(testWasm('a').toString());
  expect((await cli('pkg getsrc a -o out.wasm')).stdout).toBe('written to out.wasm\n');
  expect(await readFile(join(platform.cwd, 'out.wasm'))).toEqual(testWasm('a'));
});

test('update deploys the functions of the package anew', async () => {
  await cli('fn create user --pkg a');
  expect((await cli('fn test user')).stdout).toBe('a GET /');
  expect(await cli('pkg update a --code b.wasm')).toEqual({
    code: 0,
    stdout: "Package 'a' updated\n",
    stderr: '',
  });
  await expect.poll(async () => (await cli('fn test user')).stdout).toBe('b GET /');
});

test('a package in use is only deleted by force; orphans go together', async () => {
  expect((await cli('pkg delete a')).stderr).toMatchInlineSnapshot(`
    "error: package 'a' is used by a function
      why: user
      fix: add --force
    "
  `);
  expect((await cli('pkg list --orphan -o name')).stdout).toBe('package/bad\n');
  expect((await cli('pkg delete --orphan')).stdout).toBe("Package 'bad' deleted\n");
  expect((await cli('pkg delete a -f')).stdout).toBe("Package 'a' deleted\n");
});

test('several files become a zip whose bytes depend on names and contents only', async () => {
  await mkdir(join(platform.cwd, 'dir/sub'), { recursive: true });
  await platform.write('dir/main.wasm', testWasm('zipped'));
  await platform.write('dir/sub/readme.txt', 'text');
  await cli('pkg create --name z1 --env wasm --deploy dir');
  await platform.write('dir/main.wasm', testWasm('zipped'));
  await cli('pkg create --name z2 --env wasm --deploy dir');
  const [first, second] = [await get('z1'), await get('z2')];
  expect(first.spec.deployment?.checksum?.sum).toBe(second.spec.deployment?.checksum?.sum);
  expect(
    Buffer.from(first.spec.deployment?.literal ?? '', 'base64')
      .subarray(0, 2)
      .toString(),
  ).toBe('PK');
});

test.each([
  ['create --env wasm', 'missing the code'],
  ['create --env wasm --code a.wasm --deploy b.wasm', '--code and --deployarchive both name the code'],
  ['delete', 'give --name or --orphan, one of them'],
])('pkg %s is a usage error', async (args, message) => {
  const { code, stderr } = await cli(`pkg ${args}`);
  expect(code).toBe(2);
  expect(stderr).toContain(`error: ${message}`);
});

test('rebuild needs a source', async () => {
  await platform.write('r.wasm', testWasm('r'));
  await cli('pkg create --name nosource --env wasm --code r.wasm');
  const { code, stderr } = await cli('pkg rebuild --name nosource');
  expect([code, stderr]).toEqual([1, expect.stringContaining("package 'nosource' has no source to build")]);
});

test('archives are uploaded, listed, downloaded and deleted', async () => {
  await platform.write('up.bin', Buffer.from('uploaded'));
  const { stdout } = await cli('archive upload --name up.bin');
  const [, id = ''] = /^File successfully uploaded with ID: ([0-9a-f]{64})\n$/.exec(stdout) ?? [];
  expect((await cli('ar list')).stdout).toContain(`ARCHIVES\n`);
  expect((await cli('ar list')).stdout).toContain(id);
  expect((await cli(`ar get-url --id ${id}`)).stdout).toBe(
    `URL: http://storagesvc.fission/v1/archive?id=${id}\n`,
  );
  await cli(`ar download --id ${id} --output down.bin`);
  expect(await readFile(join(platform.cwd, 'down.bin'), 'utf8')).toBe('uploaded');
  expect((await cli(`ar delete --id ${id}`)).stdout).toBe(`Deleted archive with id: ${id}\n`);
  expect((await cli(`ar download --id ${id}`)).code).toBe(1);
  expect((await cli(`ar delete --id ${id}`)).stderr).toContain(`there is no archive ${id}`);
});
