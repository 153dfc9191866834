/**
 * Loaded before the platform (`node --import`): prepare finds no component that the component engine takes, so that
 * every component goes to jco's engine. Nothing else differs.
 */
import { registerHooks } from 'node:module';

registerHooks({
  load: (url, context, next) =>
    /\/runtimes\/wasm\/prepare\/link\.(ts|js)$/.test(url)
      ? {
          format: 'module',
          shortCircuit: true,
          source: `export const tryLink = () => ({ declined: "the bench asked for jco's engine" });`,
        }
      : next(url, context),
});
