/** Assembles `wat/*.wat` into `built/*.wasm`; called by build.sh. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from '@bytecodealliance/jco-transpile/wasm-tools';

const folder = import.meta.dirname;
for (const file of readdirSync(join(folder, 'wat'))) {
  const bytes = await parse(readFileSync(join(folder, 'wat', file), 'utf8'));
  writeFileSync(join(folder, 'built', file.replace(/\.wat$/, '.wasm')), bytes);
}
