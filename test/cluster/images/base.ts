/** The lowest layers: programs with the libraries that they are linked to, and what any container expects to find. */
import { execFile } from 'node:child_process';
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { part } from '../parts/part.ts';
import { keyOf, type Layer, layer } from './layers.ts';
import type { TarWriter } from './tar.ts';

const run = promisify(execFile);

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\nfissium:x:10001:10001::/tmp:/bin/sh\n';
const GROUP = 'root:x:0:\nfissium:x:10001:\n';

/** A program and the libraries that ldd names, each at its own path. */
async function program(tar: TarWriter, source: string, path: string): Promise<void> {
  await tar.file(path, await readFile(source), 0o755);
  // A static program has none, and ldd fails for it.
  const { stdout } = await run('ldd', [source]).catch(() => ({ stdout: '' }));
  for (const [, library = ''] of stdout.matchAll(/(?:=>\s+)?(\/\S+)\s+\(0x/g)) {
    await tar.file(library, await readFile(library), 0o755);
  }
}

async function skeleton(tar: TarWriter): Promise<void> {
  await tar.directory('/tmp', 0o1777);
  for (const path of ['/etc', '/proc', '/sys', '/dev', '/root']) await tar.directory(path);
  await tar.file('/etc/passwd', Buffer.from(PASSWD));
  await tar.file('/etc/group', Buffer.from(GROUP));
}

/** Busybox under all of its names: a shell, wget, nslookup. */
async function busybox(tar: TarWriter): Promise<void> {
  const source = join(part('node'), 'busybox');
  await program(tar, source, '/bin/busybox');
  const { stdout } = await run(source, ['--list']);
  for (const name of stdout.trim().split('\n')) await tar.link(`/bin/${name}`, '/bin/busybox');
}

/** What holds a pod's namespaces. */
export function pauseLayer(): Promise<Layer> {
  return layer('pause', keyOf(part('node')), async (tar) => {
    await skeleton(tar);
    await program(tar, join(part('node'), 'pause'), '/pause');
  });
}

/** A small system with a shell and no more. */
export function busyboxLayer(): Promise<Layer> {
  return layer('busybox', keyOf(part('node')), async (tar) => {
    await skeleton(tar);
    await busybox(tar);
  });
}

/** Libraries that prebuilt native addons of npm packages expect on a Debian. */
export function nativeAddonLayer(): Promise<Layer> {
  return layer('native-addons', keyOf(part('node'), process.arch), async (tar) => {
    const { stdout } = await run('ldconfig', ['-p']);
    for (const name of ['libgcc_s.so.1', 'librt.so.1', 'libstdc++.so.6']) {
      const line = stdout.split('\n').find((each) => each.includes(`${name} `) && each.includes('64'));
      const library = line?.split('=> ')[1];
      if (library === undefined) throw new Error(`there is no ${name} on this machine`);
      await tar.file(library, await readFile(library), 0o755);
    }
  });
}

/** The Node of this checkout, at /usr/bin/node, and a shell. */
export async function nodeLayer(): Promise<Layer> {
  const node = await realpath(join(import.meta.dirname, '../../../node_modules/.bin/node'));
  const { stdout: version } = await run(node, ['--version']);
  return layer('node', keyOf(part('node'), version), async (tar) => {
    await skeleton(tar);
    await program(tar, node, '/usr/bin/node');
    await busybox(tar);
    await tar.link('/usr/bin/env', '/bin/busybox');
  });
}
