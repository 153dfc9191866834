import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkBounds } from '../../runtimes/wasm/prepare/bounds.ts';
import { ByteReader } from '../../runtimes/wasm/rewrite/bytes.ts';
import { coalesceData } from '../../runtimes/wasm/rewrite/coalesce-data.ts';
import {
  addInterruptionCheck,
  importMemory,
  limitMemory,
  makeResettable,
  measuresForeignMemory,
  readLayout,
  RewriteDeclined,
} from '../../runtimes/wasm/rewrite/index.ts';
import { makeCapture } from '../../runtimes/wasm/rewrite/snapshot/capture.ts';
import { SnapshotDeclined } from '../../runtimes/wasm/rewrite/snapshot/declined.ts';
import { writeSnapshot } from '../../runtimes/wasm/rewrite/snapshot/write.ts';
import { limitTables } from '../../runtimes/wasm/rewrite/tables.ts';
import { damaged } from '../../runtimes/wasm/testing/mutate.ts';
import { FissiumError } from '../../src/errors.ts';
import { bytesOf, readSuite } from './suite.ts';

const suite = readSuite();
const modules = [
  ...new Set(
    suite.flatMap(({ commands }) => commands.flatMap((item) => (item[0] === 'module' ? [item[2]] : []))),
  ),
].map(bytesOf);
const invalid = suite.flatMap(({ commands }) =>
  commands.flatMap((item) => (item[0] === 'invalid' ? [bytesOf(item[1])] : [])),
);

interface Pass {
  readonly name: string;
  /** Null where the pass only reads. */
  readonly run: (wasm: Uint8Array) => Uint8Array | null;
}

const CAPTURED = { pages: 7, globals: [], runs: [{ offset: 9, length: 2 }], bytes: Uint8Array.of(1, 2) };

const PASSES: readonly Pass[] = [
  { name: 'layout', run: (wasm) => (readLayout(wasm), null) },
  { name: 'bounds', run: (wasm) => (checkBounds(wasm, 'it'), null) },
  { name: 'foreign memory', run: (wasm) => (measuresForeignMemory(wasm), null) },
  { name: 'interruption check', run: addInterruptionCheck },
  { name: 'reset', run: (wasm) => resetOf(wasm, {}) },
  { name: 'reset without write check', run: (wasm) => resetOf(wasm, { writeCheck: false }) },
  { name: 'memory import', run: (wasm) => importMemory(wasm)?.wasm ?? null },
  { name: 'memory limit', run: (wasm) => limitMemory(wasm, 100_000) },
  { name: 'table limit', run: limitTables },
  { name: 'joined data', run: coalesceData },
  { name: 'snapshot', run: (wasm) => makeCapture(wasm, ['_initialize', 'run', 'f'])?.wasm ?? null },
  // Valid only where there is a memory that may be this large.
  { name: 'snapshot written', run: (wasm) => (writeSnapshot(wasm, CAPTURED, ['run']), null) },
];

function resetOf(wasm: Uint8Array, steps: Parameters<typeof makeResettable>[1]): Uint8Array | null {
  const result = makeResettable(wasm, steps);
  return 'blocker' in result ? null : result.wasm;
}

/** Bytes read for each byte of a module: several passes, and for some sections several readings. */
const READS_PER_BYTE = 60;

const read = Object.getOwnPropertyDescriptor(ByteReader.prototype, 'byte')?.value as () => number;
let left = 0;

beforeEach(() => {
  ByteReader.prototype.byte = function byte(this: ByteReader): number {
    if (--left < 0) throw new Error('reads without end');
    return read.call(this);
  };
});

afterEach(() => {
  ByteReader.prototype.byte = read;
});

/** The pass's answer; null where it refuses. Anything else that it throws is a failure. */
function attempt({ run }: Pass, wasm: Uint8Array): Uint8Array | null {
  left = wasm.length * READS_PER_BYTE + 1000;
  try {
    return run(wasm);
  } catch (error) {
    const refusals = [RewriteDeclined, SnapshotDeclined, FissiumError, RangeError];
    if (!refusals.some((kind) => error instanceof kind)) throw error;
    // A RangeError is limitMemory's; the engine's own would say something of the decoder.
    if (error instanceof RangeError && !/over the limit/.test(error.message)) throw error;
    return null;
  }
}

const interfaceOf = (wasm: Uint8Array): string[] => {
  const module = new WebAssembly.Module(wasm as BufferSource);
  return WebAssembly.Module.exports(module).map(({ name, kind }) => `${kind} ${name}`);
};

describe('what the suite says is no module', () => {
  it('makes a pass refuse, or write something, and nothing else', () => {
    expect(invalid.length).toBeGreaterThan(4000);
    let refused = 0;
    for (const wasm of invalid) for (const pass of PASSES) if (attempt(pass, wasm) === null) refused++;
    expect(refused).toBeGreaterThan(10_000);
  }, 60_000);
});

describe('damaged modules', () => {
  it('are refused, or stay as valid as they were, with the exports that they had', () => {
    let valid = 0;
    let rewritten = 0;
    fc.assert(
      fc.property(damaged(modules), (wasm) => {
        const isValid = WebAssembly.validate(wasm);
        if (isValid) valid++;
        for (const pass of PASSES) {
          const after = attempt(pass, wasm);
          if (!isValid || after === null) continue;
          rewritten++;
          if (!WebAssembly.validate(after as BufferSource)) throw new Error(`${pass.name} made it invalid`);
          const names = interfaceOf(after);
          expect(names).toEqual(expect.arrayContaining(interfaceOf(wasm)));
        }
      }),
      { numRuns: 5000 },
    );
    expect(valid).toBeGreaterThan(100);
    expect(rewritten).toBeGreaterThan(400);
  }, 60_000);
});
