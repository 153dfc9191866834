/**
 * Builds `dist/`: the sources, and the libraries that they load when they start, as few files as the processes and
 * threads can share. A thread that starts from hundreds of files spends most of its start on finding and parsing
 * them. With `--if-stale` only where an input has changed since.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { rolldown, type OutputChunk, type Plugin } from 'rolldown';
import { INPUTS, isFresh } from './fresh.mjs';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** Programs and threads: each lies below `dist/` where its source lies, since they are started by their path. */
const PROGRAMS = ['src/cli/main.ts', 'src/bench/load/generator.ts', 'runtimes/node/server.ts'];
const WORKERS = [
  'src/apiserver/api-server.worker.ts',
  'runtimes/wasm/listener.worker.ts',
  'runtimes/wasm/executor.worker.ts',
  'runtimes/wasm/prepare/prepare.worker.ts',
  'runtimes/wasm/rewrite/snapshot/run.worker.ts',
];

/** Libraries that look for files beside themselves, or that no usual start loads. */
const EXTERNAL = /^(piscina|@bytecodealliance\/|@wasmer\/|@peculiar\/|reflect-metadata|@kubernetes\/)/;

/** Stands for a module's own address until it is known which file its code went to. */
const ADDRESS = '__FISSIUM_MODULE_ADDRESS__';

/** Where the compiled file of a module would lie, if each had its own. */
function compiledName(id: string): string {
  return relative(root, id).replace(/\.ts$/, '.js');
}

/** Code moves to other files; what it finds beside itself stays where it was. */
const ownAddresses: Plugin = {
  name: 'own-addresses',
  transform(code, id) {
    if (!id.startsWith(root) || id.includes('/node_modules/') || !code.includes('import.meta.')) return null;
    const address = `new URL(${ADDRESS}(${JSON.stringify(compiledName(id))}), import.meta.url)`;
    const path = `globalThis.process.getBuiltinModule('node:url').fileURLToPath`;
    return code
      .replaceAll(/\bimport\.meta\.url\b/g, `${address}.href`)
      .replaceAll(/\bimport\.meta\.filename\b/g, `${path}(${address})`)
      .replaceAll(/\bimport\.meta\.dirname\b/g, `${path}(new URL('.', ${address})).slice(0, -1)`);
  },
  renderChunk(code, chunk) {
    const place = new RegExp(`${ADDRESS}\\("([^"]*)"\\)`, 'g');
    return code.replaceAll(place, (_, name: string) => {
      const path = relative(dirname(chunk.fileName), name);
      return JSON.stringify(path.startsWith('.') ? path : `./${path}`);
    });
  },
};

/**
 * Takes Node's modules as they are. To import one evaluates every getter of it, and those of `node:http` alone load
 * undici into each thread, which costs more than all of our own code.
 */
const plainBuiltins: Plugin = {
  name: 'plain-builtins',
  renderChunk(code) {
    return code.replaceAll(
      /^import (?:\* as )?(?:(\w+))?(?:, )?(?:\{([^}]*)\})? from "(node:[\w/]+)";$/gm,
      (line, whole: string | undefined, names: string | undefined, module: string) => {
        if (!isBuiltin(module)) return line;
        const got = `globalThis.process.getBuiltinModule("${module}")`;
        const parts = [
          ...(whole === undefined ? [] : [`const ${whole} = ${got};`]),
          ...(names === undefined ? [] : [`const {${names.replaceAll(' as ', ': ')}} = ${got};`]),
        ];
        return parts.join(' ');
      },
    );
  },
};

/**
 * A thread starts with the compile cache of its process; a module's imports are loaded before its own first line, so
 * that this has to be a file of its own.
 */
function workerStart(main: string): string {
  return `import { enableCompileCache } from 'node:module';
import { getEnvironmentData } from 'node:worker_threads';
const folder = getEnvironmentData('fissium:compile-cache');
if (typeof folder === 'string') enableCompileCache(folder);
export const { default: task } = await import('./${main}');
export default task;
`;
}

async function build(): Promise<void> {
  const bundle = await rolldown({
    cwd: root,
    platform: 'node',
    input: Object.fromEntries(
      [...PROGRAMS, ...WORKERS].map((file) => [
        file.replace(/\.ts$/, WORKERS.includes(file) ? '.main' : ''),
        join(root, file),
      ]),
    ),
    external: EXTERNAL,
    plugins: [ownAddresses, plainBuiltins],
    onLog: (level, log, handler) => {
      // The compiler that typebox has for validators is eval; it is what it is.
      if (log.code !== 'EVAL') handler(log.code === 'UNRESOLVED_IMPORT' ? 'error' : level, log);
    },
  });
  rmSync(dist, { recursive: true, force: true });
  const { output } = await bundle.write({
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    comments: { legal: true },
  });
  await bundle.close();
  for (const file of WORKERS) {
    const name = file.replace(/\.ts$/, '');
    const main = `${name.slice(name.lastIndexOf('/') + 1)}.main.js`;
    writeFileSync(join(dist, `${name}.js`), workerStart(main));
  }
  // What Python runs is no output of a compiler.
  cpSync(join(root, 'runtimes/python'), join(dist, 'runtimes/python'), {
    recursive: true,
    filter: (path) => !/(__pycache__|\.test\.ts)$/.test(path),
  });
  const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk');
  const inputs = [...new Set(chunks.flatMap(({ moduleIds }) => moduleIds))].filter((id) => existsSync(id));
  writeNotices(inputs);
  writeInputs(inputs);
}

/** The licences of the libraries that are part of the output. */
function writeNotices(inputs: readonly string[]): void {
  const folders = new Set(
    inputs.flatMap((id) => /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1] ?? []),
  );
  const notices = [...folders].toSorted().map((folder) => {
    const { name, version, license } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    ) as Record<string, string>;
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? '' : `\n\n${readFileSync(join(folder, file), 'utf8').trim()}`;
    return `${name} ${version} (${license})${text}\n`;
  });
  writeFileSync(join(dist, 'THIRD-PARTY-NOTICES.txt'), notices.join(`\n${'-'.repeat(72)}\n\n`));
}

function writeInputs(inputs: readonly string[]): void {
  const paths = [
    'package.json',
    'package-lock.json',
    'scripts/build.ts',
    ...inputs.map((id) => relative(root, id)).filter((path) => !path.startsWith('node_modules/')),
    ...readdirSync(join(root, 'runtimes/python'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.py'))
      .map((path) => join('runtimes/python', path)),
  ];
  const stats = paths.map((path) => {
    const { size, mtimeMs } = statSync(join(root, path));
    return [path, size, mtimeMs];
  });
  mkdirSync(dist, { recursive: true });
  writeFileSync(join(dist, INPUTS), JSON.stringify(stats));
}

if (!process.argv.includes('--if-stale') || !isFresh(root)) await build();
