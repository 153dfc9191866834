/** Everything prepare asks of jco: the one place that knows its options and the shape of its output. */
import { ASYNC_IMPORTS } from '../wasi/index.ts';
import { refusal } from './refusal.ts';

export interface TranspiledComponent {
  readonly script: { readonly name: string; readonly bytes: Uint8Array };
  /** Core modules by the names under which the script asks for them. */
  readonly cores: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

const SCRIPT_FILE = 'component.mjs';

/**
 * @throws FissiumError PACKAGE_REFUSED where jco does not take the component
 */
export async function transpileComponent(wasm: Uint8Array, entry: string): Promise<TranspiledComponent> {
  // jco and its modules take 30 MB and 150 ms: only where a component is prepared.
  const { transpileBytes } = await import('@bytecodealliance/jco-transpile');
  let files: Record<string, Uint8Array>;
  try {
    ({ files } = await transpileBytes(wasm, {
      name: 'component',
      instantiation: 'async',
      asyncMode: 'jspi',
      asyncImports: [...ASYNC_IMPORTS],
      asyncExports: [`${entry.replace(/@.*/, '')}#handle`],
      emitTypescriptDeclarations: false,
      nodejsCompat: false,
      minify: false,
      optimize: false,
      tracing: false,
      base64Cutoff: 0,
    }));
  } catch (error) {
    throw refusal(`the component is not valid or uses what is not supported: ${describe(error)}`, error);
  }
  const script = Object.entries(files).find(([name]) => name.endsWith('.js'));
  if (!script) throw refusal('jco wrote no script for the component');
  return {
    script: { name: SCRIPT_FILE, bytes: script[1] },
    cores: Object.entries(files)
      .filter(([name]) => name.endsWith('.wasm'))
      .map(([name, bytes]) => ({ name, bytes })),
  };
}

/** jco throws errors, plain strings and component errors with a payload. */
function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll('\n', ' ').trim().slice(0, 500);
}
