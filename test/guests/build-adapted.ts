/** Makes a component of a WASI preview 1 core module and the adapter: `build-adapted.ts <module> <component>`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { componentNew } from '@bytecodealliance/jco-transpile/wasm-tools';

const ADAPTER = join(
  import.meta.dirname,
  '../../node_modules/@bytecodealliance/jco/lib/wasi_snapshot_preview1.reactor.wasm',
);
const [module = '', component = ''] = process.argv.slice(2);
const adapter = new Uint8Array(readFileSync(ADAPTER));
writeFileSync(
  component,
  await componentNew(new Uint8Array(readFileSync(module)), [['wasi_snapshot_preview1', adapter]]),
);
