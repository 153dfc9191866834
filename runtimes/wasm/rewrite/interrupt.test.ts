import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { addInterruptionCheck, readLayout, RewriteDeclined } from './index.ts';
import { ControlBlock } from '../control.ts';
import { yieldFunction, type Decision } from '../yield.worker.ts';
import { ENDLESS } from './testing/endless.ts';
import { wat } from './testing/wat.ts';

const GUESTS = join(import.meta.dirname, '../../../test/guests/built');

function rewritten(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  return addInterruptionCheck(wasm) as Uint8Array<ArrayBuffer>;
}

function instantiate(
  wasm: Uint8Array<ArrayBuffer>,
  imports: WebAssembly.Imports = {},
  control = new ControlBlock(),
  decide: () => Decision = () => 'go',
): WebAssembly.Exports {
  const module = new WebAssembly.Module(wasm);
  const given = {
    control: control.memory,
    yield: yieldFunction({ decide, wait: async () => Promise.resolve('go') }),
  };
  return new WebAssembly.Instance(module, { ...imports, fissium: given }).exports;
}

describe('the interruption check', () => {
  it.each([
    ['the baseline compiler', ['--liftoff', '--no-wasm-tier-up']],
    ['the optimising compiler', ['--no-liftoff']],
    ['both, as they come', []],
  ])(
    'ends every endless guest from another thread under %s',
    async (_name, flags) => {
      const script = join(import.meta.dirname, 'testing/stop-loops.ts');
      const { stdout } = await promisify(execFile)(process.execPath, [...flags, script]);
      const results = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { name: string; how: unknown });
      expect(results.map(({ name, how }) => [name, how])).toEqual(
        Object.keys(ENDLESS).map((name) => [name, 'trapped']),
      );
    },
    60_000,
  );

  it('ends only the life that the word names', async () => {
    const wasm = rewritten(
      await wat(`(module (func (export "run") (param i32) (result i32)
        (loop $again (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 5)))`),
    );
    const control = new ControlBlock();
    const run = (life: number): number => {
      const exports = instantiate(wasm, {}, control, () => (control.asked(life) === 'end' ? 'end' : 'go'));
      control.enter(life, 0);
      control.kill(3);
      return (exports['run'] as (count: number) => number)(10);
    };
    expect(run(2)).toBe(5);
    expect(() => run(3)).toThrow(WebAssembly.RuntimeError);
  });

  it('leaves functions without loops and calls as they are', async () => {
    const source = await wat('(module (func (export "run") (result i32) (i32.const 1)))');
    const before = source.length;
    const imports = rewritten(source).length - before;
    const twice = await wat(
      '(module (func (export "run") (result i32) (i32.const 1)) (func (nop)) (func (nop)))',
    );
    expect(rewritten(twice).length - twice.length).toBe(imports);
  });

  it('keeps the names of functions', async () => {
    const wasm = rewritten(
      await wat('(module (func $inner unreachable) (func $outer (export "run") (call $inner)))'),
    );
    let stack = '';
    try {
      (instantiate(wasm)['run'] as () => void)();
    } catch (error) {
      stack = String((error as Error).stack);
    }
    expect(stack).toMatch(/inner[\s\S]*outer/);
  });
});

describe('renumbering', () => {
  it('moves globals and memories wherever they stand', async () => {
    const source = await wat(`(module
      (import "host" "memory" (memory $imported 1))
      (import "host" "base" (global $base i32))
      (memory $own (export "own") 1)
      (memory $second 1)
      (global $one (export "one") (mut i32) (i32.const 41))
      (global $two i32 (i32.add (global.get $base) (i32.const 1)))
      (table $table 4 funcref)
      (elem (table $table) (offset (global.get $two)) func $f)
      (elem (table $table) (offset (i32.const 0)) funcref (ref.func $f) (ref.null func))
      (data (memory $imported) (offset (global.get $base)) "in")
      (data (memory $own) (i32.const 8) "own!")
      (data (memory $second) (i32.const 8) "2nd!")
      (data $passive "passive")
      (func $f (result i32) (i32.const 77))
      (func (export "run") (result i32)
        (global.set $one (i32.add (global.get $one) (i32.const 1)))
        (memory.init $second $passive (i32.const 100) (i32.const 0) (i32.const 7))
        (memory.copy $own $second (i32.const 200) (i32.const 100) (i32.const 7))
        (memory.fill $imported (i32.const 300) (i32.const 9) (i32.const 2))
        (i32.store8 $second offset=5 (i32.const 0) (i32.const 1))
        (v128.store $own offset=64 (i32.const 0) (v128.load8_lane $second 3 (i32.const 8) (v128.const i32x4 0 0 0 0)))
        (drop (memory.grow $second (i32.const 1)))
        (i32.add (i32.add (i32.load8_u $own (i32.const 8)) (global.get $one))
                 (i32.add (memory.size $second) (call_indirect $table (result i32) (global.get $two))))))`);
    const run = (wasm: Uint8Array<ArrayBuffer>): unknown => {
      const memory = new WebAssembly.Memory({ initial: 1 });
      const exports = instantiate(wasm, { host: { memory, base: 1 } });
      const result = (exports['run'] as () => number)();
      const own = exports['own'] as WebAssembly.Memory;
      return {
        result,
        one: (exports['one'] as WebAssembly.Global).value as number,
        imported: Buffer.from(memory.buffer).toString('hex'),
        own: Buffer.from(own.buffer).toString('hex'),
      };
    };
    const expected = run(source);
    expect(run(rewritten(source))).toEqual(expected);
    expect(expected).toMatchObject({ result: 111 + 42 + 2 + 77, one: 42 });
  });

  it('declines an index that would come to mean the control memory', async () => {
    const wasm = await wat('(module (memory 1) (func (drop (i32.load (i32.const 0)))))');
    // i32.load align=2 offset=0 → the same with memory index 1, which the module does not have.
    const at = Buffer.from(wasm).indexOf(Buffer.from([0x28, 0x02, 0x00]));
    const forged = Buffer.concat([
      wasm.subarray(0, at),
      Buffer.from([0x28, 0x42, 0x01, 0x00]),
      wasm.subarray(at + 3),
    ]);
    const bodySize = forged.indexOf(Buffer.from([0x00, 0x41, 0x00, 0x28])) - 1;
    forged[bodySize] = (forged[bodySize] ?? 0) + 1;
    forged[bodySize - 2] = (forged[bodySize - 2] ?? 0) + 1;
    expect(() => addInterruptionCheck(forged)).toThrow(/there is no memory 1/);
  });
});

describe('what is not known', () => {
  it('is declined with the reason and the place', async () => {
    const wasm = await wat('(module (func nop))');
    const at = wasm.lastIndexOf(0x01);
    wasm[at] = 0x16;
    const declined = (): unknown => addInterruptionCheck(wasm);
    expect(declined).toThrow(RewriteDeclined);
    expect(declined).toThrow(/instruction 0x16/);
  });

  it.each([[new Uint8Array()], [Uint8Array.of(0, 97, 115, 109, 13, 0, 1, 0)], [Uint8Array.of(1, 2, 3)]])(
    'no core module: %s',
    (bytes) => {
      expect(() => addInterruptionCheck(bytes)).toThrow(RewriteDeclined);
    },
  );
});

describe('real modules', () => {
  const vendored = join(import.meta.dirname, '../../../node_modules/@bytecodealliance/jco-transpile/vendor');
  const files = [GUESTS, vendored].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.wasm'))
      .map((name) => join(folder, name)),
  );
  const cores = files.filter((file) => readFileSync(file)[6] === 0);

  it.each(cores)('%s stays valid and keeps its exports', (file) => {
    const source = readFileSync(file);
    const wasm = rewritten(source);
    expect(WebAssembly.validate(wasm)).toBe(true);
    const names = (bytes: Uint8Array): string[] => readLayout(bytes).exports.map(({ name }) => name);
    expect(names(wasm)).toEqual(names(source));
    expect(
      readLayout(wasm)
        .imports.slice(-2)
        .map(({ module, name }) => [module, name]),
    ).toEqual([
      ['fissium', 'control'],
      ['fissium', 'yield'],
    ]);
  });
});
