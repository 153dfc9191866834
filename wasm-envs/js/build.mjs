// Makes <folder>/hello.wasm from <folder>/hello.js: node build.mjs folder...
import { readFile, stat, writeFile } from 'node:fs/promises';
import { registerHooks } from 'node:module';

const SHIM = '@bytecodealliance/preview2-shim';

// componentize-js 0.22 imports preview2-shim without depending on it, so npm may lay it where only jco finds it.
registerHooks({
  resolve(specifier, context, next) {
    try {
      return next(specifier, context);
    } catch (error) {
      if (!specifier.startsWith(SHIM)) throw error;
      return next(specifier, { ...context, parentURL: import.meta.resolve('@bytecodealliance/jco') });
    }
  },
});

const { componentize } = await import('@bytecodealliance/componentize-js');
const witWorld = await readFile(new URL('function.wit', import.meta.url), 'utf8');

for (const folder of process.argv.slice(2)) {
  const target = `${folder}/hello.wasm`;
  const source = await readFile(`${folder}/hello.js`, 'utf8');
  const { component } = await componentize(source, { witWorld, worldName: 'function' });
  await writeFile(target, component);
  console.log(`${target}: ${(await stat(target)).size} bytes`);
}
