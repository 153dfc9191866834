/** What `npm pack` publishes, and what it needs at run time, as two layers: the second changes with every edit, the first with package-lock.json. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { keyOf, type Layer, layer } from './layers.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../../..');

async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'fissium-image-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The production dependencies, as package-lock.json has them. The Node among them lies in another layer. */
export async function dependenciesLayer(): Promise<Layer> {
  const lock = await readFile(join(ROOT, 'package-lock.json'));
  return layer('dependencies', keyOf(lock), (tar) =>
    inTemporaryFolder(async (folder) => {
      for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
        await cp(join(ROOT, name), join(folder, name));
      }
      await run('npm', ['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline'], {
        cwd: folder,
        maxBuffer: 1 << 26,
      });
      const isOurNode =
        /node_modules\/(node-(bin-)?(linux|darwin|win)-[a-z0-9]+|\.bin\/node|\.package-lock\.json)$/;
      await tar.tree(join(folder, 'node_modules'), '/app/node_modules', (source) => !isOurNode.test(source));
    }),
  );
}

/** The packed tarball, unpacked at /app, and `fissium` in PATH. Builds `dist/`. */
export async function packageLayer(): Promise<Layer> {
  return inTemporaryFolder(async (folder) => {
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: ROOT,
      maxBuffer: 1 << 26,
    });
    const [{ filename = '' } = {}] = JSON.parse(stdout.slice(stdout.indexOf('['))) as { filename?: string }[];
    const tarball = join(folder, filename);
    return layer('package', keyOf(await readFile(tarball)), async (tar) => {
      await run('tar', ['-xzf', tarball, '-C', folder]);
      await tar.tree(join(folder, 'package'), '/app');
      await tar.link('/usr/bin/fissium', '/app/bin/fissium');
    });
  });
}
