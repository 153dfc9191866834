/** The conformance cases on `wasmtime serve`, where it is installed: what another host of the same interfaces answers. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBinary } from '../../bench/binaries.ts';
import { startProcess, type StartedProcess } from '../../src/bench/processes.ts';
import { type Case, CASES, FILE_CASES } from '../conformance/cases.ts';
import { foreignAnswerOf } from './support/conformance.ts';
import { guest } from './support/guests.ts';

const wasmtime = findBinary('wasmtime');
if (wasmtime === null) {
  process.stderr.write('skipped: the conformance cases on wasmtime: none in PATH or bench/.tools\n');
}

const shared = (cases: readonly Case[]): Case[] => cases.filter(({ ours }) => ours === undefined);

describe.skipIf(wasmtime === null)('wasmtime serve', () => {
  let folder: string;
  const servers: StartedProcess[] = [];
  const urls = new Map<string, string>();

  async function serve(name: string, args: readonly string[]): Promise<void> {
    const address = ['--addr', '127.0.0.1:0'];
    const started = startProcess(wasmtime ?? '', ['serve', '-Scli', ...args, ...address, guest(name)]);
    servers.push(started);
    const [, url = ''] = await started.matched(/Serving HTTP on (http:\/\/[\d.]+:\d+)/, 60_000);
    urls.set(name, url);
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-wasmtime-'));
    const files: [string, string | Uint8Array][] = [
      ['templates/page.html', '<h1>page</h1>'],
      ['data.bin', Buffer.alloc(300_000, 7)],
      ['configs/default/app/color', 'blue'],
      ['configs/default/app/size', '3'],
      ['configs/default/app/raw', Buffer.from([255])],
      ['secrets/default/db/user', 'me'],
      ['secrets/default/db/password', 'secret'],
    ];
    for (const [path, content] of files) {
      await mkdir(join(folder, path, '..'), { recursive: true });
      await writeFile(join(folder, path), content);
    }
    await mkdir(join(folder, 'tmp'));
    await serve('torture', ['-Wmax-memory-size=67108864']);
    const config = ['-Sconfig', '-Sconfig-var=color=red', '-Sconfig-var=size=3', '-Skeyvalue'];
    try {
      await serve('files', [...config, '--dir', `${folder}::/`]);
    } catch (error) {
      // Whoever builds it may leave it out; the guest imports it.
      if (!String(error).includes('support for wasi-keyvalue was disabled')) throw error;
      process.stderr.write('skipped: the file cases on wasmtime: it was built without wasi-keyvalue\n');
    }
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  test.each(shared(CASES))('torture: $name', async (item) => {
    expect(await foreignAnswerOf(urls.get('torture') ?? '', item)).toEqual(item.expect);
  });

  test.for(shared(FILE_CASES))('files: $name', async (item, { skip }) => {
    skip(!urls.has('files'), 'wasmtime was built without wasi-keyvalue');
    expect(await foreignAnswerOf(urls.get('files') ?? '', item)).toEqual(item.expect);
  });
});
