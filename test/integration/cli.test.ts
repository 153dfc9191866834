/** The CLI as its users have it: `bin/fissium` as a process, against a platform in another. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guest } from './support/guests.ts';
import { type CommandResult, FISSIUM, type Platform, runFissium, startPlatform } from './support/platform.ts';

let platform: Platform;
let cwd: string;

/** Runs `bin/fissium` in a working folder of the tests; words are separated by single spaces. */
const fissium = (line: string): Promise<CommandResult> => platform.cli(line.split(' '), { cwd });
const curl = async (path: string): Promise<string> => (await fetch(platform.router + path)).text();

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'fissium-cli-it-'));
  await copyFile(guest('hello'), join(cwd, 'hello.wasm'));
  await copyFile(guest('cgi'), join(cwd, 'cgi.wasm'));
  await writeFile(join(cwd, 'handler.py'), 'def main(context):\n    return {"message": "Hello, Fission!"}\n');
  platform = await startPlatform();
});
afterAll(async () => {
  await platform?.stop();
  await rm(cwd, { recursive: true, force: true });
});

describe('from a file to an answer', () => {
  test('function create, route create, curl', async () => {
    // Where the machine is slow, its standard error tells of progress.
    expect(await fissium('function create --name hello --code hello.wasm --env wasm')).toMatchObject({
      code: 0,
      stdout: "function 'hello' created\n",
    });
    const route = await fissium('route create --function hello --url /hello --method GET');
    expect(route.code, route.stderr).toBe(0);
    const answer = await fetch(`${platform.router}/hello`);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toMatch(/hello/i);
  });

  test('fn test prints what curl gets', async () => {
    const { code, stdout } = await fissium('fn test --name hello');
    expect(code).toBe(0);
    expect(stdout).toBe(await curl('/hello'));
  });

  test('fn get brings the file back, byte for byte', async () => {
    expect((await fissium('pkg list -o name')).stdout).toMatch(/^package\/hello-/);
    const [, name = ''] = (await fissium('pkg list -o name')).stdout.trim().split('/');
    expect((await fissium(`pkg getdeploy --name ${name} -o back.wasm`)).code).toBe(0);
    expect((await readFile(join(cwd, 'back.wasm'))).equals(await readFile(guest('hello')))).toBe(true);
  });

  test('fn update swaps the code; a file that is refused leaves the old one serving', async () => {
    expect((await fissium('fn update --name hello --code cgi.wasm')).code).toBe(0);
    const swapped = await curl('/hello');
    expect(swapped).not.toMatch(/^hello/i);
    for (const file of ['handler.py', guest('no-handler'), guest('no-start'), guest('unknown-import')]) {
      const { code, stderr } = await fissium(`fn update --name hello --code ${file}`);
      expect(code, stderr).toBe(1);
      expect(stderr).toContain('the old version still serves');
      expect((await fetch(`${platform.router}/hello`)).status).toBe(200);
    }
    expect((await fissium('fn update --name hello --code hello.wasm')).code).toBe(0);
    expect(await curl('/hello')).toMatch(/hello/i);
  });

  test('files that no function can be are refused with the reason, and nothing is left', async () => {
    for (const name of ['no-handler', 'no-start', 'unknown-import', 'big-memory']) {
      const { code, stderr } = await fissium(`fn create --name ${name} --code ${guest(name)} --env wasm`);
      expect(code, stderr).toBe(1);
      expect(stderr).toContain(`error: function '${name}' is refused: `);
      expect(stderr).toMatch(/\n {2}why: \S/);
    }
    const truncated = (await readFile(guest('hello'))).subarray(0, 1000);
    await writeFile(join(cwd, 'truncated.wasm'), truncated);
    expect((await fissium('fn create --name truncated --code truncated.wasm --env wasm')).code).toBe(1);
    expect((await fissium('fn list -o name')).stdout).toBe('function/hello\n');
    expect((await fissium('pkg list -o name')).stdout.trim().split('\n')).toHaveLength(1);
  });

  test('what a function writes is in its logs', async () => {
    await copyFile(guest('torture'), join(cwd, 'torture.wasm'));
    expect((await fissium('fn create --name torture --code torture.wasm --env wasm')).code).toBe(0);
    const { code, stderr } = await fissium('fn test --name torture --subpath /trap');
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: function 'torture' answered 502 GUEST_TRAPPED: /);
    expect(stderr).toMatch(/logs of request \S+:\n\[/);
    await expect.poll(async () => (await fissium('fn logs --name torture --since 5m')).stdout).not.toBe('');
  });

  test('a deleted function and route are gone', async () => {
    expect((await fissium('route delete --function hello')).code).toBe(0);
    expect((await fissium('fn delete --name hello')).stdout).toBe("function 'hello' deleted\n");
    await expect.poll(async () => (await fetch(`${platform.router}/hello`)).status).toBe(404);
  });
});

test('the three commands of the article work as written', async () => {
  expect((await fissium('environment create --name python-env --image fission/python-env:3.9')).code).toBe(0);
  const created = await fissium('function create --name hello-python --code handler.py --env python-env');
  expect(created.code).toBe(0);
  expect((await fissium('route create --function hello-python --url /hello-python --method GET')).code).toBe(
    0,
  );
  const answer = await fetch(`${platform.router}/hello-python`);
  expect([answer.status, (await answer.text()).includes('Hello')]).toEqual([200, true]);
  // On the first run Python's packages are installed.
}, 300_000);

describe('an application as files', () => {
  test('init, generate, apply, list, destroy', async () => {
    const app = join(cwd, 'app');
    await mkdir(app);
    await copyFile(guest('hello'), join(app, 'hello.wasm'));
    const here = (line: string): Promise<CommandResult> => platform.cli(line.split(' '), { cwd: app });
    await here('spec init --name app');
    await here('fn create --name app-hello --env wasm --code hello.wasm --url /app --spec');
    const applied = await here('spec apply --wait');
    expect(applied, applied.stderr).toMatchObject({ code: 0 });
    expect(await curl('/app')).toMatch(/hello/i);
    expect((await here('spec apply')).stdout).toBe('Everything up to date.\n');
    expect((await here('spec list')).stdout.trim().split('\n')).toHaveLength(4);
    expect((await here('spec destroy')).stdout.trim().split('\n')).toHaveLength(3);
    await expect.poll(async () => (await fetch(`${platform.router}/app`)).status).toBe(404);
  });

  test('apply --watch deploys a changed file and ends at SIGINT', async () => {
    const app = join(cwd, 'watched');
    await mkdir(join(app, 'specs'), { recursive: true });
    await copyFile(guest('hello'), join(app, 'code.wasm'));
    await writeFile(
      join(app, 'specs/app.yaml'),
      `kind: ArchiveUploadSpec
name: code
include: [code.wasm]
---
apiVersion: fission.io/v1
kind: Package
metadata: { name: watched }
spec:
  environment: { name: wasm }
  deployment: { url: archive://code }
---
apiVersion: fission.io/v1
kind: Function
metadata: { name: watched }
spec:
  environment: { name: wasm }
  package: { functionref: { name: watched, resource: code } }
  route: { url: /watched }
`,
    );
    const child = spawn(FISSIUM, ['spec', 'apply', '--watch'], {
      cwd: app,
      env: { ...process.env, KUBECONFIG: platform.kubeconfig },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      // Also what it says of a failure, which a change that follows may mend.
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
      await expect.poll(() => output, { timeout: 20_000 }).toContain('Watching files for changes...');
      await expect.poll(() => curl('/watched'), { timeout: 10_000 }).toMatch(/hello/i);
      await copyFile(guest('cgi'), join(app, 'code.wasm'));
      await expect.poll(() => output, { timeout: 20_000 }).toContain('1 package updated: watched');
      await expect.poll(() => curl('/watched'), { timeout: 10_000 }).not.toMatch(/^hello/i);
      child.kill('SIGINT');
      expect(await once(child, 'exit')).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

test('without a platform says how to start one', async () => {
  const { code, stderr } = await runFissium(['fn', 'list'], { cwd, env: { HOME: cwd } });
  expect(code).toBe(1);
  expect(stderr).toContain('fissium up');
});

test('a reader that goes away ends the command quietly', async () => {
  const child = spawn('sh', ['-c', `"${FISSIUM}" completion bash | head -c 10`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  await once(child, 'close');
  expect(stderr).toBe('');
});
