/** Packages from source: real builds as local processes, over a small API server. */
import { readFileSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';

import type { Environment, Package } from '../../api/index.ts';
import { LocalBuilder } from '../../builders/index.ts';
import { RESOURCES } from '../../kube/index.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { environment, fn, pkg, TestPlatform, wasm } from '../testing/platform.ts';
import { BUILT_FROM } from './build-state.ts';

const { packages, functions, events } = RESOURCES;
let platform: TestPlatform;

function newBuilder(timeoutMs = 60_000): LocalBuilder {
  return new LocalBuilder({
    folder: join(platform.folder, 'builds'),
    cacheFolder: join(platform.folder, 'cache'),
    archives: platform.archives,
    logger: pino({ level: 'silent' }),
    timeoutMs,
  });
}

beforeEach(async () => {
  platform = await TestPlatform.make();
  platform.builder = newBuilder();
});
afterEach(() => platform.close());

async function zipOf(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(files)) {
    zip.addBuffer(Buffer.from(content), name, { mode: 0o100755, mtime: new Date(2020, 0, 1) });
  }
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('base64');
}

/** A package whose source brings its own build script. */
async function sourcePkg(name: string, script: string, buildcmd = './build.sh'): Promise<Package> {
  const literal = await zipOf({ 'build.sh': `#!/bin/sh\nset -eu\n${script}\n`, 'code.wasm': wasm(name) });
  const object = pkg(name);
  object.spec = { ...object.spec, source: { type: 'literal', literal }, buildcmd };
  delete object.spec.deployment;
  return object;
}

/** A zombie is not running: nobody may be there to bury it. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const wasmEnvironment = (): Environment => {
  const object = environment('wasm', 'wasm');
  object.spec.builder = { image: 'wasm', command: 'build' };
  return object;
};

const get = (name: string): Promise<Package> => platform.get<Package>(packages, name);
const built = (status: Package['status']) =>
  status?.conditions?.find(({ type }) => type === 'BuildSucceeded');

describe('a package with a source', () => {
  it('is built, prepared and served, and its log stays', async () => {
    await platform.create(
      wasmEnvironment(),
      await sourcePkg('hello-pkg', 'echo "building in $PWD"; cp code.wasm "$DEPLOY_PKG"'),
      fn('hello'),
    );
    await platform.start();
    await platform.ready(packages, 'hello-pkg', 'Prepared');
    await platform.ready(functions, 'hello', 'Deployed');
    const { spec, status, metadata } = await get('hello-pkg');
    expect(status?.buildstatus).toBe('succeeded');
    expect(status?.buildlog).toMatch(/^building in .*\/source\n--- what was built ---\nEngine /);
    expect(built(status)).toMatchObject({ status: 'True', reason: 'BuildSucceeded' });
    expect(metadata.annotations?.[BUILT_FROM]).toMatch(/^[0-9a-f]{32}$/);
    expect(spec.deployment?.url).toBe(
      `http://storagesvc.fission/v1/archive?id=${spec.deployment?.checksum?.sum}`,
    );
    const reasons = await eventually('events', async () => {
      const { items } = await platform.client.list(events, 'default');
      const all = items.map((event) => (event as { reason?: string }).reason);
      return all.includes('Prepared') ? all : undefined;
    });
    expect(reasons).toEqual(expect.arrayContaining(['BuildRunning', 'BuildSucceeded', 'Prepared']));
    // Nothing of the build is left.
    expect(await readdir(join(platform.folder, 'builds'))).toEqual([]);

    // Looking at it again says the same once.
    await platform.stop();
    platform.builder = newBuilder();
    await platform.start();
    await platform.ready(functions, 'hello', 'Deployed');
    expect((await get('hello-pkg')).status?.buildlog).toBe(status?.buildlog);
  });

  it('is built again when its source or its command changes; what is deployed serves meanwhile', async () => {
    await platform.create(
      wasmEnvironment(),
      await sourcePkg('hello-pkg', 'cp code.wasm "$DEPLOY_PKG"'),
      fn('hello'),
    );
    await platform.start();
    await platform.ready(functions, 'hello', 'Deployed');
    const first = await get('hello-pkg');
    const next = await sourcePkg('hello-pkg', 'cp code.wasm "$DEPLOY_PKG"; printf more >> "$DEPLOY_PKG"');
    await platform.patch(packages, 'hello-pkg', { spec: { source: next.spec.source } });
    const second = await eventually('another deployment', async () => {
      const now = await get('hello-pkg');
      const isNew = now.spec.deployment?.url !== first.spec.deployment?.url;
      return isNew && now.status?.buildstatus === 'succeeded' ? now : undefined;
    });
    expect(second.metadata.annotations?.[BUILT_FROM]).not.toBe(first.metadata.annotations?.[BUILT_FROM]);
    await eventually('the new code', () => Promise.resolve(platform.host.deployed.length === 2 || undefined));

    await platform.patch(packages, 'hello-pkg', { spec: { buildcmd: './nothing.sh' } });
    await platform.ready(packages, 'hello-pkg', 'BuildFailed');
    expect(platform.phase('hello')).toBe('ready');
    // Also by a process that was not there for it.
    await platform.stop();
    platform.functions.delete('default', 'hello');
    platform.builder = newBuilder();
    await (await platform.start()).synced();
    expect(platform.phase('hello')).toBe('ready');
    const failed = await platform.ready(functions, 'hello', 'PackageFailed');
    expect([failed.status, failed.message]).toEqual(['False', expect.stringContaining('still serves.')]);
    await platform.patch(packages, 'hello-pkg', { spec: { buildcmd: './build.sh' } });
    await platform.ready(packages, 'hello-pkg', 'Prepared');
    await platform.ready(functions, 'hello', 'Deployed');
  });

  it('whose build fails says so with what it said, and is built again only when asked', async () => {
    const flag = join(platform.folder, 'fixed');
    await platform.create(
      wasmEnvironment(),
      await sourcePkg('a', `echo trying >&2; [ -e ${flag} ] || exit 3; cp code.wasm "$DEPLOY_PKG"`),
    );
    await platform.start();
    const condition = await platform.ready(packages, 'a', 'BuildFailed');
    expect(condition.message).toBe('The build failed: ./build.sh ended with exit code 3 (trying).');
    const { status } = await get('a');
    expect(status).toMatchObject({ buildstatus: 'failed', buildlog: `trying\n${condition.message}\n` });
    expect(built(status)).toMatchObject({ status: 'False', reason: 'BuildFailed' });

    // A restart does not build it again.
    await platform.stop();
    await writeFile(flag, '');
    platform.builder = newBuilder();
    await (await platform.start()).synced();
    expect((await get('a')).status).toEqual(status);

    await platform.client.patchStatus(packages, 'default', 'a', { status: { buildstatus: 'pending' } });
    await platform.ready(packages, 'a', 'Prepared');
    expect((await get('a')).status?.buildlog).toMatch(/^trying\n--- what was built ---/);
    // And to the same once more.
    await platform.client.patchStatus(packages, 'default', 'a', { status: { buildstatus: 'pending' } });
    await eventually(
      'built again',
      async () => (await get('a')).status?.buildstatus === 'succeeded' || undefined,
    );
  });

  it('is neither ready nor not while it is built', async () => {
    const flag = join(platform.folder, 'go');
    const script = `until [ -e ${flag} ]; do sleep 0.02; done; cp code.wasm "$DEPLOY_PKG"`;
    await platform.create(wasmEnvironment(), await sourcePkg('a', script));
    await platform.start();
    expect((await platform.ready(packages, 'a', 'BuildRunning')).status).toBe('Unknown');
    await writeFile(flag, '');
    expect((await platform.ready(packages, 'a', 'Prepared')).status).toBe('True');
    // Also where it was ready before.
    await rm(flag);
    const next = await sourcePkg('b', script);
    await platform.patch(packages, 'a', { spec: { source: next.spec.source } });
    expect((await platform.ready(packages, 'a', 'BuildRunning')).status).toBe('Unknown');
    await writeFile(flag, '');
    expect((await platform.ready(packages, 'a', 'Prepared')).status).toBe('True');
  });

  it('is ended when it takes too long, with everything that it started', async () => {
    platform.builder = newBuilder(300);
    const pidFile = join(platform.folder, 'pid');
    await platform.create(
      wasmEnvironment(),
      await sourcePkg('slow', `echo started; sleep 1000 & echo $! > ${pidFile}; wait`),
    );
    await platform.start();
    const { message } = await platform.ready(packages, 'slow', 'BuildFailed');
    expect(message).toBe('The build failed: it took longer than 0.3 s and was ended.');
    expect((await get('slow')).status?.buildlog).toContain('started');
    const pid = Number(await readFile(pidFile, 'utf8'));
    await eventually('the child is gone', () => Promise.resolve(!isRunning(pid) || undefined));
  });

  it('that makes nothing, or asks for a shell, is refused', async () => {
    await platform.create(
      wasmEnvironment(),
      await sourcePkg('nothing', 'true'),
      await sourcePkg('shell', 'true', 'make && make install'),
      await sourcePkg('outside', 'mkdir "$DEPLOY_PKG"; ln -s /etc/passwd "$DEPLOY_PKG/x"'),
    );
    await platform.start();
    const reason = async (name: string) => (await platform.ready(packages, name, 'BuildFailed')).message;
    expect(await reason('nothing')).toContain('the build made nothing');
    expect(await reason('shell')).toContain('which only a shell understands');
    expect(await reason('outside')).toContain('leads outside');
  });

  it('of an environment without a builder, or with an unknown one, says what to do', async () => {
    const other = environment('other', 'wasm');
    other.spec.builder = { image: 'example.com/ruby-builder' };
    const ruby = await sourcePkg('ruby', 'true');
    ruby.spec.environment.name = 'other';
    await platform.create(
      environment('wasm', 'wasm'),
      other,
      ruby,
      await sourcePkg('a', 'cp code.wasm "$DEPLOY_PKG"'),
    );
    await platform.start();
    expect((await platform.ready(packages, 'a', 'NoBuilder')).message).toContain('--builder wasm');
    expect((await platform.ready(packages, 'ruby', 'BuildFailed')).message).toContain('ruby-builder');
    await platform.patch(RESOURCES.environments, 'wasm', { spec: { builder: { image: 'wasm' } } });
    await platform.ready(packages, 'a', 'Prepared');
  });

  it('and a deployment beside it is not built: somebody built it elsewhere', async () => {
    const both = await sourcePkg('both', 'exit 1');
    both.spec.deployment = pkg('both').spec.deployment;
    await platform.create(wasmEnvironment(), both);
    await platform.start();
    await platform.ready(packages, 'both', 'Prepared');
    expect(built((await get('both')).status)).toBeUndefined();
    // Until its source changes.
    await platform.patch(packages, 'both', {
      spec: { source: (await sourcePkg('both', 'exit 7')).spec.source },
    });
    expect((await platform.ready(packages, 'both', 'BuildFailed')).message).toContain('exit code 7');
  });
});

describe('the local builder', () => {
  it('gives builds nothing of the platform’s environment, and the builder’s variables', async () => {
    process.env['FISSIUM_TEST_SECRET'] = 'x';
    const env = wasmEnvironment();
    env.spec.builder = {
      image: 'wasm',
      container: { name: 'builder', env: [{ name: 'MODE', value: 'fast' }] },
    };
    await platform.create(env, await sourcePkg('a', 'env; cp code.wasm "$DEPLOY_PKG"'));
    await platform.start();
    await platform.ready(packages, 'a', 'Prepared');
    delete process.env['FISSIUM_TEST_SECRET'];
    const log = (await get('a')).status?.buildlog ?? '';
    expect(log).toContain('MODE=fast');
    expect(log).toMatch(/^SRC_PKG=.*\/source$/m);
    expect(log).not.toContain('FISSIUM_TEST_SECRET');
  });

  it('says what a source must hold where no language is recognised', async () => {
    const object = pkg('c');
    const literal = await zipOf({ 'notes.txt': 'nothing to build' });
    object.spec = { ...object.spec, source: { type: 'literal', literal } };
    delete object.spec.deployment;
    await platform.create(wasmEnvironment(), object);
    await platform.start();
    await platform.ready(packages, 'c', 'BuildFailed');
    expect((await get('c')).status?.buildlog).toContain('No language was recognised');
  });
});
