/** Runs one initialiser where it finds nothing of the host's but functions that give it away. */
import { globalExport, MEMORY_EXPORT, tableExport } from './capture.ts';
import { findRuns } from './runs.ts';
import type { CaptureTask, CaptureAnswer, GlobalValue } from './thread.ts';

/** Runs it, and tells what it left, or why nobody may know. It may never return. */
export function runCapture({ capture, harmless, maxBytes }: CaptureTask): CaptureAnswer {
  const module = new WebAssembly.Module(capture.wasm as BufferSource);
  let called: CaptureAnswer | null = null;
  const imports: Record<string, Record<string, () => number>> = Object.create(null) as typeof imports;
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    const items = (imports[from] ??= Object.create(null) as Record<string, () => number>);
    const answer = harmless.get(`${from} ${name}`);
    items[name] = () => {
      if (answer !== undefined) return answer;
      // Noted as well: the guest may catch what is thrown.
      called ??= { kind: 'called', module: from, name };
      throw new Error('the host is not there yet');
    };
  }
  let failure: CaptureAnswer | null = null;
  try {
    const { exports } = new WebAssembly.Instance(module, imports);
    const references = readReferences(exports, capture);
    const tables = readTables(exports, capture);
    for (const name of capture.calls) (exports[name] as () => void)();
    if (called) return called;
    if (!same(references, readReferences(exports, capture))) {
      return { kind: 'declined', reason: 'it makes references to functions or objects before it starts' };
    }
    if (!same(tables, readTables(exports, capture))) {
      return { kind: 'declined', reason: 'it changes tables before it starts' };
    }
    const memory = capture.hasMemory ? (exports[MEMORY_EXPORT] as WebAssembly.Memory) : null;
    const runs = findRuns(new Uint8Array(memory?.buffer ?? new ArrayBuffer(0)), maxBytes);
    if (!runs) {
      return { kind: 'declined', reason: `it leaves more than ${maxBytes / 1024 / 1024} MiB in memory` };
    }
    return {
      kind: 'captured',
      pages: memory ? memory.buffer.byteLength / 65536 : 0,
      globals: readGlobals(exports, capture),
      ...runs,
    };
  } catch (error) {
    failure = {
      kind: 'declined',
      reason: `it fails: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
  return called ?? failure;
}

type Exports = WebAssembly.Exports;

function readReferences(exports: Exports, { globals }: CaptureTask['capture']): unknown[] {
  return globals.filter(({ numeric }) => !numeric).map(({ index }) => globalValue(exports, index));
}

function readGlobals(exports: Exports, { globals }: CaptureTask['capture']): GlobalValue[] {
  return globals
    .filter(({ numeric }) => numeric)
    .map(({ index }) => ({ index, value: globalValue(exports, index) as number | bigint }));
}

function globalValue(exports: Exports, index: number): unknown {
  return (exports[globalExport(index)] as WebAssembly.Global).value as unknown;
}

/** A function is the same object each time that it is read. */
function readTables(exports: Exports, { tables }: CaptureTask['capture']): unknown[] {
  const all: unknown[] = [];
  for (let i = 0; i < tables; i++) {
    const table = exports[tableExport(i)] as WebAssembly.Table;
    all.push(table.length);
    for (let at = 0; at < table.length; at++) all.push(table.get(at));
  }
  return all;
}

function same(before: readonly unknown[], after: readonly unknown[]): boolean {
  return before.length === after.length && before.every((item, i) => Object.is(item, after[i]));
}
