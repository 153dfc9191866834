/** Runs a component through jco's transpiler and this folder's host, in memory and without an engine. */
import { readFile } from 'node:fs/promises';
import { ASYNC_IMPORTS, type WasiImports } from '../imports.ts';
import { repairGeneratedCode } from '../jco-repair.ts';
import type { MemoryInvocation } from './memory-invocation.ts';

const ENTRY = /^wasi:http\/incoming-handler@/;

interface IncomingHandler {
  handle(request: object, outparam: object): Promise<void>;
}

type Instantiate = (
  getCoreModule: (name: string) => WebAssembly.Module,
  imports: WasiImports,
  instantiateCore: (module: WebAssembly.Module, imports: WebAssembly.Imports) => WebAssembly.Instance,
) => Promise<Record<string, IncomingHandler>>;

export interface RunningComponent {
  /** One request to its end, as an engine does it; rejects with what went wrong. */
  handle(invocation: MemoryInvocation): Promise<void>;
}

export async function loadComponent(file: string): Promise<RunningComponent> {
  const { transpileBytes } = await import('@bytecodealliance/jco-transpile');
  const { files } = await transpileBytes(await readFile(file), {
    name: 'component',
    instantiation: 'async',
    asyncMode: 'jspi',
    asyncImports: [...ASYNC_IMPORTS],
    asyncExports: ['wasi:http/incoming-handler#handle'],
    emitTypescriptDeclarations: false,
    nodejsCompat: false,
    base64Cutoff: 0,
  });
  const fileNamed = (name: string): Uint8Array<ArrayBuffer> => {
    const bytes = (files as Record<string, Uint8Array>)[name];
    if (!bytes) throw new Error(`the transpiler wrote no ${name}`);
    return new Uint8Array(bytes);
  };
  const script = Buffer.from(repairGeneratedCode(Buffer.from(fileNamed('component.js')).toString())).toString(
    'base64',
  );
  const { instantiate } = (await import(`data:text/javascript;base64,${script}`)) as {
    instantiate: Instantiate;
  };
  const modules = new Map<string, WebAssembly.Module>();
  const moduleNamed = (name: string): WebAssembly.Module => {
    const module = modules.get(name) ?? new WebAssembly.Module(fileNamed(name));
    modules.set(name, module);
    return module;
  };
  return {
    handle: async (invocation) => {
      const host = invocation.host();
      try {
        const exports = await instantiate(
          moduleNamed,
          host.imports,
          (module, imports) => new WebAssembly.Instance(module, imports),
        );
        const handler = Object.entries(exports).find(([name]) => ENTRY.test(name))?.[1];
        if (!handler) throw new Error('the component exports no incoming handler');
        await handler.handle(host.incomingRequest(), host.responseOutparam());
        await host.finish();
      } catch (error) {
        throw host.failure() ?? error;
      } finally {
        host.close();
      }
    },
  };
}
