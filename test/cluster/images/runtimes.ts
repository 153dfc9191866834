/** The layers of the container runtimes: what their Dockerfiles do, without docker. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { part } from '../parts/part.ts';
import { keyOf, type Layer, layer } from './layers.ts';

const run = promisify(execFile);
const RUNTIMES = join(import.meta.dirname, '../../../runtimes');

/** Debian's Python. */
export function pythonLayer(): Promise<Layer> {
  const root = join(part('python'), 'root');
  return layer('python', keyOf(root), (tar) => tar.tree(root, '/'));
}

/** What requirements.txt names, for Debian's Python 3.11. */
export async function requirementsLayer(): Promise<Layer> {
  const requirements = join(RUNTIMES, 'python/requirements.txt');
  const key = keyOf(await readFile(requirements), part('python'));
  return layer('python-requirements', key, async (tar) => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-pip-'));
    try {
      const wheels = ['--only-binary=:all:', '--python-version', '3.11', '--no-compile', '--quiet'];
      await run('python3', ['-m', 'pip', 'install', '--target', folder, ...wheels, '-r', requirements]);
      await compilePython(folder, '/usr/local/lib/python3.11/dist-packages');
      // The temporary folder itself is for this user only.
      await tar.directory('/usr/local/lib/python3.11/dist-packages');
      await tar.tree(folder, '/usr/local/lib/python3.11/dist-packages');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** Our server for Python functions. */
export async function pythonServerLayer(): Promise<Layer> {
  const root = join(RUNTIMES, 'python');
  const files = ['server.py', ...(await filesOf(join(root, 'fissium_runtime'), '.py', 'fissium_runtime/'))];
  const contents = await Promise.all(files.map((file) => readFile(join(root, file))));
  return layer('python-server', keyOf(...files, ...contents, part('python')), async (tar) => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-server-'));
    try {
      for (const file of files) await cp(join(root, file), join(folder, file), { recursive: true });
      await compilePython(folder, '/app');
      await tar.directory('/app');
      await tar.tree(folder, '/app');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/**
 * Compiles a folder's sources with the image's Python, as pip and the Dockerfile do: the root file system is read-only
 * later, and a start that compiles takes most of a second of CPU time. By their hashes, since layers have no times.
 */
async function compilePython(folder: string, at: string): Promise<void> {
  const root = join(part('python'), 'root');
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  const python = [join(root, 'lib64/ld-linux-x86-64.so.2'), '--library-path', libraries];
  const compile = ['-m', 'compileall', '-q', '--invalidation-mode', 'unchecked-hash', '-s', folder, '-p', at];
  const [command, ...args] = [...python, join(root, 'usr/bin/python3.11'), '-s', ...compile, folder];
  await run(command, args, { env: { ...process.env, PYTHONHOME: join(root, 'usr') } });
}

/** Our server for Node functions, with its dependencies. */
export async function nodeServerLayers(): Promise<Layer[]> {
  const root = join(RUNTIMES, 'node');
  const manifest = await readFile(join(root, 'package.json'));
  const dependencies = await layer('node-server-dependencies', keyOf(manifest), async (tar) => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-npm-'));
    try {
      await cp(join(root, 'package.json'), join(folder, 'package.json'));
      await run('npm', ['install', '--omit=dev', '--no-audit', '--no-fund', '--ignore-scripts'], {
        cwd: folder,
      });
      await tar.tree(join(folder, 'node_modules'), '/app/node_modules');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
  const files = (await filesOf(root, '.ts', '')).filter((name) => !name.endsWith('.test.ts'));
  return [dependencies, await filesLayer('node-server', root, ['package.json', ...files])];
}

/** What makes a builder of the platform's image: `/builder`, which Fission's builder pods run, with a toolchain of ours. */
export function builderLayer(toolchain: string): Promise<Layer> {
  const script = `#!/bin/sh\nexec /usr/bin/node /app/bin/fissium builder --toolchain ${toolchain} "$@"\n`;
  return layer(`${toolchain}-builder`, keyOf(script), (tar) =>
    tar.file('/builder', Buffer.from(script), 0o755),
  );
}

async function filesOf(folder: string, suffix: string, prefix: string): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => name.endsWith(suffix))
    .toSorted()
    .map((name) => prefix + name);
}

async function filesLayer(name: string, root: string, files: readonly string[]): Promise<Layer> {
  const contents = await Promise.all(files.map((file) => readFile(join(root, file))));
  return layer(name, keyOf(...files, ...contents), async (tar) => {
    for (const file of files) await tar.tree(join(root, file), `/app/${file}`);
  });
}
