import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ByteReader } from '../rewrite/bytes.ts';
import { damaged, sectionsOf } from '../testing/mutate.ts';
import { wat } from '../rewrite/testing/wat.ts';
import { ASYNC_IMPORTS } from '../wasi/index.ts';
import {
  checkHostImports,
  checkSignatures,
  compileTrampolines,
  DecodeError,
  linkComponent,
  LinkDeclined,
  LinkRefused,
  makeComponentResettable,
  mergeComponent,
} from './index.ts';
import { Reader } from './reader.ts';

const GUESTS = join(import.meta.dirname, '../../../test/guests/built');
const CORE_MODULE = 1;
const ASYNC = new Set(ASYNC_IMPORTS);
/** Reads for each byte: types are read for the plan and for the imports, core modules by several rewritings. */
const READS_PER_BYTE = 100;

const SMALL: readonly string[] = [
  `(component (import "wasi:io/poll@0.2.3" (instance $i (export "pollable" (type $p (sub resource)))
      (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))))
    (core func (canon lower (func $i "[method]pollable.ready"))))`,
  `(component (type $r (record (field "a" u8) (field "b" (list string))))
    (type $v (variant (case "x" $r) (case "y"))) (type $e (enum "p" "q")) (type $f (flags "s" "t"))
    (type $o (option $v)) (type $w (result $o (error $e))) (type $t (tuple $w $f u64 char f64)))`,
  `(component (core module $m (memory (export "memory") 1) (func (export "f") (result i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))`,
  `(component (component $c (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (func (export "f") (canon lift (core func $i "f"))))
    (instance $a (instantiate $c)) (export "f" (func $a "f")))`,
];

const byte = Object.getOwnPropertyDescriptor(ByteReader.prototype, 'byte')?.value as () => number;
const componentByte = Object.getOwnPropertyDescriptor(Reader.prototype, 'byte')?.value as () => number;
let left = 0;

function step(): void {
  if (--left < 0) throw new Error('reads without end');
}

beforeEach(() => {
  ByteReader.prototype.byte = function counted(this: ByteReader): number {
    step();
    return byte.call(this);
  };
  Reader.prototype.byte = function counted(this: Reader): number {
    step();
    return componentByte.call(this);
  };
});

afterEach(() => {
  ByteReader.prototype.byte = byte;
  Reader.prototype.byte = componentByte;
});

/** All that prepare does with a component of ours; whether it came to the end. */
function prepared(bytes: Uint8Array): boolean {
  left = bytes.length * READS_PER_BYTE + 1000;
  try {
    const linked = linkComponent(bytes);
    checkSignatures(linked);
    compileTrampolines(linked, ASYNC);
    const cores: Uint8Array[] = linked.modules.map(({ offset, length }) =>
      bytes.slice(offset, offset + length),
    );
    const whole = mergeComponent(linked, cores);
    const { plan, cores: written } = makeComponentResettable(whole.plan, whole.cores);
    if (cores.every(isValid) && !written.every(isValid)) throw new Error('valid modules became invalid');
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    return true;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return false;
  }
}

function isValid(core: Uint8Array): boolean {
  return WebAssembly.validate(core as BufferSource);
}

function isRefusal(error: unknown): boolean {
  return error instanceof DecodeError || error instanceof LinkDeclined || error instanceof LinkRefused;
}

/** The component without the code of its core modules' functions, which takes long to rewrite and says little here. */
function outline(name: string): Uint8Array {
  const bytes = new Uint8Array(readFileSync(join(GUESTS, name)));
  const largest = sectionsOf(bytes).reduce((a, b) => (b.payload.length > a.payload.length ? b : a));
  expect(largest.id).toBe(CORE_MODULE);
  const parts: Uint8Array[] = [bytes.subarray(0, 8)];
  for (const section of sectionsOf(bytes)) {
    if (section.id === 0) continue;
    if (section.payload !== largest.payload) parts.push(framed(section.id, section.payload));
    else parts.push(framed(CORE_MODULE, emptied(section.payload)));
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** The module with each function's body `unreachable`, and no data. */
function emptied(core: Uint8Array): Uint8Array {
  const parts = [core.subarray(0, 8)];
  for (const { id, payload } of sectionsOf(core)) {
    if (id === 10) {
      const [low = 0, high = 0] = payload;
      const count = low < 0x80 ? low : (low & 0x7f) + high * 128;
      const bodies = Array.from({ length: count }, () => [3, 0, 0x00, 0x0b]).flat();
      parts.push(framed(id, Uint8Array.from([...payload.subarray(0, low < 0x80 ? 1 : 2), ...bodies])));
    } else if (id !== 11 && id !== 0) parts.push(framed(id, payload));
  }
  return new Uint8Array(Buffer.concat(parts));
}

function framed(id: number, payload: Uint8Array): Uint8Array {
  const size = [0, 7, 14, 21, 28].map(
    (shift) => ((payload.length >>> shift) & 0x7f) | (shift < 28 ? 0x80 : 0),
  );
  return Uint8Array.from([id, ...size, ...payload]);
}

describe('damaged components', () => {
  it('are linked, declined or refused, in a bounded number of steps', async () => {
    const real = ['hello.wasm', 'startup.wasm', 'torture.wasm'].map(outline);
    for (const bytes of real) expect(prepared(bytes)).toBe(true);
    const seeds = [...real, ...(await Promise.all(SMALL.map(wat)))];
    let taken = 0;
    let refused = 0;
    fc.assert(
      fc.property(damaged(seeds), (bytes) => {
        if (prepared(bytes)) taken++;
        else refused++;
        left = bytes.length * READS_PER_BYTE + 1000;
        try {
          checkHostImports(bytes);
        } catch (error) {
          if (!isRefusal(error)) throw error;
        }
      }),
      // Of 2,000 there were once 49 taken: enough that the bounds below are never a matter of luck.
      { numRuns: 6000 },
    );
    expect(taken).toBeGreaterThan(50);
    expect(refused).toBeGreaterThan(200);
  }, 60_000);

  it('with damaged core modules are taken apart like any', async () => {
    const core = emptied(
      sectionsOf(new Uint8Array(readFileSync(join(GUESTS, 'hello.wasm')))).find(
        ({ id }) => id === CORE_MODULE,
      )?.payload ?? new Uint8Array(),
    );
    const hello = sectionsOf(outline('hello.wasm'));
    const first = hello.findIndex(({ id }) => id === CORE_MODULE);
    const others = [await wat('(module (memory 1) (global i32 (i32.const 1)) (func $f) (start $f))')];
    fc.assert(
      fc.property(damaged([core, core, ...others]), (module) => {
        const parts = hello.map(({ id, payload }, i) => framed(id, i === first ? module : payload));
        prepared(new Uint8Array(Buffer.concat([Uint8Array.of(0, 97, 115, 109, 13, 0, 1, 0), ...parts])));
      }),
      { numRuns: 1000 },
    );
    expect(prepared(outline('hello.wasm'))).toBe(true);
  }, 60_000);
});
