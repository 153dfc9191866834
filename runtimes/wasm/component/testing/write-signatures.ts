/**
 * Writes `wasi-signatures.gen.ts` from WASI's own WIT: give it a folder of the packages' files, as the crate
 * `wasip2` has them in `wit/deps`, and format what it wrote (`npx oxfmt`).
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { componentEmbed, componentNew } from '@bytecodealliance/jco-transpile/wasm-tools';
import { unversioned } from '../abi/names.ts';
import { linkComponent } from '../linker.ts';
import { fingerprint } from '../signatures.ts';

/** Drafts have no release, and differ: their functions are known by name, and give and take nothing of ours. */
const DRAFTS: Readonly<Record<string, readonly string[]>> = {
  'wasi:config/store': ['get', 'get-all'],
  'wasi:config/runtime': ['get', 'get-all'],
  'wasi:keyvalue/store': [
    'open',
    ...['get', 'set', 'delete', 'exists', 'list-keys'].map((method) => `[method]bucket.${method}`),
  ],
  'wasi:keyvalue/atomics': ['increment', 'swap', '[static]cas.new', '[method]cas.current'],
  'wasi:keyvalue/batch': ['get-many', 'set-many', 'delete-many'],
};

const folder = process.argv[2];
if (folder === undefined) throw new TypeError('usage: write-signatures.ts FOLDER-OF-WIT-FILES');
const files = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
const version = /^package wasi:cli@([\d.]+);/m.exec(files.join('\n'))?.[1] ?? '';
const packages = files.map((text) => {
  const plain = text.replaceAll(/@(unstable|since|deprecated)\([^)]*\)/g, '');
  return `${plain.replace(/^package ([^;]+);/m, 'package $1 {')}\n}\n`;
});
const world = `package fissium:all;
world all { include wasi:cli/imports@${version}; include wasi:http/imports@${version}; }
`;
const core = await componentEmbed({ dummy: true, witSource: world + packages.join('\n'), world: 'all' });
const plan = linkComponent(await componentNew(core, []));
const lines = plan.trampolines
  .filter((item) => item.kind === 'lower')
  .map(
    (item) =>
      `  ['${unversioned(item.interface)}#${item.name}', '${fingerprint(item.type, plan.resources)}'],`,
  );
const drafts = Object.entries(DRAFTS).flatMap(([name, functions]) =>
  functions.map((item) => `  '${name}#${item}',`),
);
writeFileSync(
  join(import.meta.dirname, '../wasi-signatures.gen.ts'),
  `/** The functions of WASI ${version} and their types. Written by \`testing/write-signatures.ts\`; do not edit. */

export const WASI_SIGNATURES: ReadonlyMap<string, string> = new Map([
${[...new Set(lines)].toSorted().join('\n')}
]);

/** Functions of interfaces that are still drafts, by name only. */
export const DRAFT_FUNCTIONS: ReadonlySet<string> = new Set([
${drafts.join('\n')}
]);
`,
);
