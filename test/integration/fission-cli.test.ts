/**
 * Fission's own CLI against a running platform: every command that concerns what is here, compared with golden
 * transcripts, once finding the platform's services by itself (port forwarding) and once by the FISSION_* variables.
 * The program is built by test/fission-cli/build.sh; .ci/run does so first.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ZipFile } from 'yazl';
import { SCENARIOS, type Step } from '../fission-cli/scenarios.ts';
import { ApiClient } from './support/api-client.ts';
import { startPlatform, type Platform } from './support/platform.ts';

const HERE = join(import.meta.dirname, '../fission-cli');
const GUESTS = join(import.meta.dirname, '../guests/built');

async function findProgram(): Promise<string> {
  const built =
    process.env['FISSION_CLI'] ?? (await output(join(HERE, 'build.sh'), ['--if-built'])).stdout.trim();
  if (built === '') {
    process.stdout.write(
      'SKIPPED: the tests of Fission’s CLI; test/fission-cli/build.sh builds it (with Go)\n',
    );
  }
  return built;
}

interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function output(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Output> {
  return new Promise((resolve) => {
    execFile(program, args, { ...options, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

const fissionCli = await findProgram();

/** What the CLI says of itself behind each failure. */
const HELP = /\n(?:Aliases|Options|Global Options|Usage):\n(?:[^\n]*\n)*?(?=\nError:|Error:|\n*$)/g;

/** Without what differs from run to run: ids, times, addresses, and how wide a table's columns are for them. */
function steady({ code, stdout, stderr }: Output): string {
  const errors = stripVTControlCharacters(stderr)
    .split('\n')
    .filter((line) => /^(?:Error|Warning|✗|  detail)/.test(line))
    .join('\n');
  const text = stripVTControlCharacters(`\n${stdout}\n${errors}\n`)
    .replaceAll(HELP, '\n')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
    .replaceAll(/\b(hello|big|wrong|viapkg|hello-python)-[0-9a-f]{8}\b/g, '$1-POD')
    .replaceAll(/-(\w{4})' to 'specs/g, "-XXXX' to 'specs")
    .replaceAll(/(archive:\/\/[\w-]+)-\w{4}\b/g, '$1-XXXX')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replaceAll(/\d\d \w{3} \d\d \d\d:\d\d \w+/g, 'TIME')
    .replaceAll(/\b\d+(?:\.\d+)?m?s\b(?=\s|$)/gm, 'AGE')
    .replaceAll(/sha256 [0-9a-f]{64}/g, 'sha256 DIGEST')
    .replaceAll(/\b(?!0{64})[0-9a-f]{64}\b/g, 'DIGEST')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
    .replaceAll(/Node[=:] ?\S+/g, 'Node=NODE')
    .replaceAll(/\(\w+ function \d+, offset 0x\w+\)/g, '(PLACE)')
    .replaceAll(/ {2,}|\t/g, ' ')
    .replaceAll(/ +$/gm, '')
    .replaceAll(/\n{2,}/g, '\n')
    // The CLI walks over maps.
    .replaceAll(/(?:^\d+ \w+ (?:created|updated|deleted): .*\n)+/gm, sortedLines)
    .replaceAll(/(?:^------\n[^]*?------\n)+/gm, sortedReports)
    .trim();
  return `${text}${text === '' ? '' : '\n'}${code === 0 ? '' : `[${code}]\n`}`;
}

/** What is read once it is as it should be; the last, as it is, after half a minute: the transcript then differs. */
async function eventually<T>(read: () => Promise<T>, isIt: (value: T) => boolean): Promise<T> {
  for (const end = Date.now() + 30_000; ;) {
    const value = await read();
    if (isIt(value) || Date.now() > end) return value;
    await setTimeout(100);
  }
}

function sortedLines(lines: string): string {
  return `${lines.trimEnd().split('\n').toSorted().join('\n')}\n`;
}

/** What `--wait` prints of each package, in the order of their names. */
function sortedReports(reports: string): string {
  return [...reports.matchAll(/------\n[^]*?------\n/g)]
    .map(([report]) => report)
    .toSorted()
    .join('');
}

describe.skipIf(fissionCli === '').each([
  ['finding the services by itself', false],
  ['with the services in FISSION_* variables, signing what goes to the storage service', true],
])('Fission’s CLI, %s', (_how, named) => {
  let platform: Platform;
  let folder: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-fission-cli-'));
    platform = await startPlatform({ workers: 1 });
    env = { ...process.env, HOME: folder, KUBECONFIG: platform.kubeconfig, NO_COLOR: '1' };
    if (named) {
      // Version 1.27.0 calls functions at the address at which it asks for the version; later ones at the second.
      env['FISSION_ROUTER_URL'] = platform.internal;
      env['FISSION_ROUTER_INTERNAL_URL'] = platform.internal;
      env['FISSION_STORAGESVC_URL'] = platform.internal;
    }
    const api = await ApiClient.from(platform.kubeconfig);
    await api.post('/api/v1/namespaces', { metadata: { name: 'team' } });
    if (named) {
      await api.post('/api/v1/namespaces/fission/secrets', {
        metadata: { name: 'fission-internal-auth' },
        stringData: { secret: 'of this installation' },
      });
    }
    api.close();
    await writeBigArchive(join(folder, 'big.zip'), 1);
    await writeBigArchive(join(folder, 'other.zip'), 2);
  }, 120_000);

  afterAll(async () => {
    await platform?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function take(step: Step, cwd: string): Promise<string> {
    if ('until' in step) {
      await eventually(
        async () => (await output(fissionCli, step.until, { cwd, env })).stdout,
        (stdout) => stdout.includes(step.prints),
      );
      return '';
    }
    if ('get' in step) {
      const answer = await eventually(
        () => fetch(`${platform.router}${step.get}`),
        ({ status }) => status === step.status,
      );
      const body = (await answer.text()).replaceAll(/"requestId":"[^"]*"/g, '"requestId":"UUID"');
      return `GET ${step.get}\n${answer.status} ${body.trim()}\n`;
    }
    if ('write' in step) {
      const fixture = step.from.endsWith('.zip')
        ? join(folder, step.from)
        : step.from.endsWith('.py')
          ? join(HERE, step.from)
          : join(GUESTS, step.from);
      await copyFile(fixture, join(cwd, step.write));
      return '';
    }
    return `$ fission ${step.join(' ')}\n${steady(await output(fissionCli, step, { cwd, env }))}`;
  }

  test.each(Object.keys(SCENARIOS))(
    '%s',
    async (name) => {
      const cwd = await mkdtemp(join(folder, `${name}-`));
      let transcript = '';
      for (const step of SCENARIOS[name] ?? []) transcript += await take(step, cwd);
      await expect(transcript).toMatchFileSnapshot(join(HERE, 'golden', `${name}.txt`));
    },
    180_000,
  );

  test('fn logs --follow shows new lines until it is ended, and the platform goes on', async () => {
    const cwd = await mkdtemp(join(folder, 'follow-'));
    await take({ write: 'torture.wasm', from: 'torture.wasm' }, cwd);
    await take(['fn', 'create', '--name', 'chatty', '--code', 'torture.wasm', '--env', 'wasm'], cwd);
    await take(['fn', 'wait', '--name', 'chatty', '--for', 'condition=Ready'], cwd);
    const child = execFile(fissionCli, ['fn', 'logs', '--name', 'chatty', '-f'], { cwd, env });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    let seen = '';
    const two = new Promise<void>((resolve) => {
      child.stdout?.on('data', (chunk: string) => {
        seen += chunk;
        if (seen.includes('line 1')) resolve();
      });
    });
    await fetch(`${platform.internal}/fission-function/chatty/log`);
    await two;
    child.kill('SIGINT');
    await ended;
    expect(seen).toContain('stdout line 0\n');
    expect(await take(['fn', 'test', '--name', 'chatty', '--subpath', '/hello'], cwd)).toContain('Hello');
    await take(['fn', 'delete', '--name', 'chatty'], cwd);
  });

  test('archives are uploaded, listed, fetched and deleted', async () => {
    const cwd = await mkdtemp(join(folder, 'archives-'));
    const run = (...args: string[]): Promise<Output> =>
      output(fissionCli, ['archive', ...args], { cwd, env });
    const { stdout } = await run('upload', '--name', join(folder, 'big.zip'));
    const id = /[0-9a-f]{64}/.exec(stdout)?.[0] ?? '';
    expect((await run('list')).stdout).toContain(id);
    expect((await run('get-url', '--id', id)).stdout).toContain(`/v1/archive?id=${id}`);
    expect((await run('download', '--id', id, '--output', 'back.zip')).code).toBe(0);
    expect(await readFile(join(cwd, 'back.zip'))).toEqual(await readFile(join(folder, 'big.zip')));
    expect((await run('delete', '--id', id)).code).toBe(0);
    expect((await run('list')).stdout).not.toContain(id);
  });

  test('support dump has the platform’s parts, the functions and their logs', async () => {
    const cwd = await mkdtemp(join(folder, 'dump-'));
    const { code, stdout } = await output(fissionCli, ['support', 'dump', '--nozip', '--output', 'dump'], {
      cwd,
      env,
    });
    expect(code).toBe(0);
    const where = /placed at (\S+)/.exec(stdout)?.[1] ?? '';
    const version = await readFile(join(where, 'fission-version/fission-version.txt'), 'utf8');
    expect(version).toContain('0.1.0');
    const log = await readFile(join(where, 'fission-components-pod-log/fission_router_1_router.txt'), 'utf8');
    expect(log).toContain('standard error');
  });
});

/** A component beside 400 KB that do not compress. */
async function writeBigArchive(path: string, seed: number): Promise<void> {
  const zip = new ZipFile();
  const mtime = new Date(Date.UTC(2026, 0, 1));
  zip.addBuffer(await readFile(join(GUESTS, 'hello.wasm')), 'hello.wasm', { mtime });
  const noise = new Uint8Array(400_000);
  for (let index = 0, state = seed; index < noise.length; index++) {
    // The same in every run: a linear congruence is enough against deflate.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    noise[index] = state >>> 24;
  }
  zip.addBuffer(Buffer.from(noise), 'noise.bin', { mtime });
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer);
  await writeFile(path, Buffer.concat(chunks));
}
