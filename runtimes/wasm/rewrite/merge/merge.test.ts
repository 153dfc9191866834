import { print } from '@bytecodealliance/jco-transpile/wasm-tools';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RewriteDeclined } from '../declined.ts';
import { readLayout } from '../layout.ts';
import { wat } from '../testing/wat.ts';
import { MergeDeclined, mergeModules, START_EXPORT, type Merged, type MergeInput } from './index.ts';
import { HOST_FUNCTIONS, randomParts, Tape, type RandomParts } from './testing/random-parts.ts';

type Call = (...args: number[]) => number;

/** Host functions that write down who called them; the run ends by the last one. */
function host(log: string[]): Record<(typeof HOST_FUNCTIONS)[number], Call> {
  let ticks = 0;
  return {
    h0: (a) => log.push(`h0 ${a}`),
    h1: (a, b) => log.push(`h1 ${a} ${b}`),
    tick: () => {
      if (++ticks > 300) throw new Error('out of ticks');
      return 0;
    },
  };
}

/** Makes the instances one after the other; gives the wanted exports. */
function instantiateApart(modules: readonly Uint8Array[], parts: RandomParts, log: string[]): unknown[] {
  const functions = host(log);
  const instances: WebAssembly.Instance[] = [];
  for (const { module, sources } of parts.instantiations) {
    const compiled = new WebAssembly.Module(modules[module] as BufferSource);
    const given: Record<string, Record<string, unknown>> = {};
    WebAssembly.Module.imports(compiled).forEach((wanted, i) => {
      const source = sources[i];
      (given[wanted.module] ??= {})[wanted.name] =
        source?.from === 'host'
          ? functions[HOST_FUNCTIONS[source.index] ?? 'tick']
          : instances[source?.part ?? -1]?.exports[source?.name ?? ''];
    });
    instances.push(new WebAssembly.Instance(compiled, given as WebAssembly.Imports));
  }
  return parts.wanted.map(({ part, name }) => instances[part]?.exports[name]);
}

function instantiateMerged({ wasm, imports, names, starts }: Merged, log: string[]): unknown[] {
  const functions = host(log);
  const given: Record<string, Record<string, unknown>> = {};
  for (const { module, name, host: index } of imports)
    (given[module] ??= {})[name] = functions[HOST_FUNCTIONS[index] ?? 'tick'];
  const { exports } = new WebAssembly.Instance(
    new WebAssembly.Module(wasm as BufferSource),
    given as WebAssembly.Imports,
  );
  if (starts) (exports[START_EXPORT] as Call)();
  return names.map((name) => exports[name]);
}

/** What calls answer, and what they leave: in the memory, and in what later calls see of globals and tables. */
function run(
  make: (log: string[]) => unknown[],
  parts: RandomParts,
  calls: readonly (readonly [number, number, number])[],
): unknown {
  const log: string[] = [];
  const said = (error: unknown): string =>
    error instanceof Error
      ? `${error.name}: ${error.message}`
      : `thrown: ${Object.prototype.toString.call(error)}`;
  let exports: unknown[];
  try {
    exports = make(log);
  } catch (error) {
    // Which segment or start function failed is not told to anyone.
    return { failed: (error as Error).constructor.name };
  }
  const answers = calls.map(([which, a, b]) => {
    const call = parts.calls[which % Math.max(1, parts.calls.length)];
    try {
      return call ? (exports[call.wanted] as Call)(a, b) : null;
    } catch (error) {
      return said(error);
    }
  });
  const memories = exports.filter((item) => item instanceof WebAssembly.Memory);
  return { answers, log, memories: memories.map(({ buffer }) => Buffer.from(buffer).toString('latin1')) };
}

function tryMerge(input: MergeInput): Merged | string {
  try {
    return mergeModules(input);
  } catch (error) {
    if (error instanceof MergeDeclined || error instanceof RewriteDeclined) return error.message;
    throw error;
  }
}

describe('merged modules', () => {
  it('do what they did apart', async () => {
    const outcomes = new Map<string, number>();
    const count = (outcome: string): void => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(10_000), { minLength: 250, maxLength: 500, size: 'max' }),
        fc.array(fc.tuple(fc.nat(40), fc.nat(300), fc.nat(300)), { minLength: 3, maxLength: 10 }),
        async (numbers, calls) => {
          const parts = randomParts(new Tape(numbers));
          const modules = await Promise.all(parts.texts.map((text) => wat(text)));
          if (!modules.every((module) => WebAssembly.validate(module))) {
            count('not valid');
            return;
          }
          const merged = tryMerge({ modules, instantiations: parts.instantiations, wanted: parts.wanted });
          if (typeof merged === 'string') {
            count(merged.replace(/import .*? is/, 'import is'));
            return;
          }
          expect(WebAssembly.validate(merged.wasm as BufferSource)).toBe(true);
          const { imports, memories } = readLayout(merged.wasm);
          expect(imports.every(({ kind }) => kind === 0) && memories.length < 2).toBe(true);
          const apart = run((log) => instantiateApart(modules, parts, log), parts, calls);
          const together = run((log) => instantiateMerged(merged, log), parts, calls);
          expect(together).toEqual(apart);
          count('failed' in (apart as object) ? 'failed alike' : 'merged');
        },
      ),
      { numRuns: 400 },
    );
    expect(outcomes.get('merged')).toBeGreaterThan(100);
  }, 120_000);
});

/** Parts as texts; each imports from those before by their position, or from the host. */
async function parts(
  texts: readonly string[],
  instantiations: readonly (readonly [number, ...string[]])[],
  wanted: readonly string[],
): Promise<{ input: MergeInput; random: RandomParts; modules: Uint8Array[] }> {
  const at = (text: string): { part: number; name: string } => {
    const [part = '', name = ''] = text.split(' ');
    return { part: Number(part), name };
  };
  const random: RandomParts = {
    texts,
    instantiations: instantiations.map(([module, ...sources]) => ({
      module,
      sources: sources.map((source) =>
        source.startsWith('h')
          ? { from: 'host', index: Number(source.slice(1)) }
          : { from: 'export', ...at(source) },
      ),
    })),
    wanted: wanted.map(at),
    calls: wanted.flatMap((text, i) => (text.endsWith('memory') ? [] : [{ wanted: i, params: 1 }])),
  };
  const modules = await Promise.all(texts.map((text) => wat(text)));
  return {
    input: { modules, instantiations: random.instantiations, wanted: random.wanted },
    random,
    modules,
  };
}

const SHIM = `(module (type $a (func (param i32) (result i32)))
  (table (export "t") 2 2 funcref)
  (func (export "0") (type $a) (call_indirect (type $a) (local.get 0) (i32.const 0)))
  (func (export "1") (type $a) (call_indirect (type $a) (local.get 0) (i32.const 1))))`;
const FIX_UP = `(module (type $a (func (param i32) (result i32))) (import "" "0" (func (type $a)))
  (import "" "1" (func (type $a))) (import "" "t" (table 2 2 funcref)) (elem (i32.const 0) func 0 1))`;
const MAIN = `(module (import "m" "f" (func $f (param i32) (result i32))) (import "m" "g" (func $g (param i32) (result i32)))
  (memory (export "memory") 1) (func (export "run") (param i32) (result i32)
    (i32.store (i32.const 8) (local.get 0)) (i32.add (call $f (local.get 0)) (call $g (i32.const 1)))))`;
const WRITER = `(module (import "m" "memory" (memory 1)) (func (export "write") (param i32) (result i32)
  (i32.store (i32.const 16) (local.get 0)) (i32.load (i32.const 8))))`;

async function same(set: Awaited<ReturnType<typeof parts>>): Promise<Merged> {
  const calls = [3, 4].flatMap((value) => set.random.calls.map((_, i) => [i, value, value] as const));
  const merged = mergeModules(set.input);
  expect(WebAssembly.validate(merged.wasm as BufferSource)).toBe(true);
  const apart = run((log) => instantiateApart(set.modules, set.random, log), set.random, calls);
  expect(apart).not.toHaveProperty('failed');
  expect(run((log) => instantiateMerged(merged, log), set.random, calls)).toEqual(apart);
  return merged;
}

/** A component with an adapter: shim, main, adapter, fix-up. */
const ADAPTED: readonly (readonly [number, ...string[]])[] = [
  [0],
  [1, '0 0', '0 1'],
  [2, '1 memory'],
  [3, 'h0', '2 write', '0 t'],
];

describe('what wit-component makes', () => {
  it('becomes one module without a table that calls its host directly', async () => {
    const merged = await same(await parts([SHIM, MAIN, WRITER, FIX_UP], ADAPTED, ['1 run', '1 memory']));
    expect(merged).toMatchObject({ names: ['run', 'memory'], starts: false });
    expect(merged.imports).toEqual([{ module: 'host', name: '0', host: 0 }]);
    const module = new WebAssembly.Module(merged.wasm as BufferSource);
    expect(WebAssembly.Module.exports(module).map(({ name }) => name)).toEqual(['run', 'memory']);
    expect(await print(merged.wasm)).not.toMatch(/table|elem|call_indirect/);
  });

  it('keeps the table where code changes it', async () => {
    const shim = SHIM.replace(
      '(func (export "0")',
      '(func (export "c") (param i32) (result i32) (table.set (i32.const 0) (ref.null func)) (i32.const 1)) (func (export "0")',
    );
    const merged = await same(await parts([shim, MAIN, WRITER, FIX_UP], ADAPTED, ['1 run', '0 c']));
    expect(await print(merged.wasm)).toMatch(/table\.set/);
  });

  it('keeps the table where other code calls through it', async () => {
    const shim = SHIM.replace(
      '(func (export "0")',
      '(func (export "c") (param i32) (result i32) (call_indirect (type $a) (local.get 0) (i32.and (local.get 0) (i32.const 1)))) (func (export "0")',
    );
    const merged = await same(await parts([shim, MAIN, WRITER, FIX_UP], ADAPTED, ['0 c', '1 run']));
    expect(await print(merged.wasm)).toMatch(/elem/);
  });

  it('takes the last segment that fills an element', async () => {
    const fixUp = FIX_UP.replace('func 0 1)', 'func 0 1) (elem (i32.const 0) func 1)');
    const merged = await same(await parts([SHIM, MAIN, WRITER, fixUp], ADAPTED, ['1 run']));
    expect(merged.names).toEqual(['run']);
  });

  it('calls through the table where an element stays empty', async () => {
    const fixUp = FIX_UP.replace('func 0 1)', 'func 0)');
    const merged = await same(await parts([SHIM, MAIN, WRITER, fixUp], ADAPTED, ['1 run']));
    expect(merged.names).toEqual(['run']);
  });

  it('keeps names of functions, those behind shims as well', async () => {
    const named = `(module $m (import "m" "f" (func $first (param i32) (result i32))) (func $second (export "run") (param i32) (result i32) (call $first (local.get 0))))`;
    const merged = await same(
      await parts([SHIM, named, FIX_UP], [[0], [1, '0 0'], [2, 'h0', 'h1', '0 t']], ['1 run']),
    );
    expect(await print(merged.wasm)).toMatch(/\$first[^]*\$second/);
  });
});

describe('index spaces', () => {
  it('data and element segments, tags and globals are each module’s own', async () => {
    const module = (text: string, base: number): string => `(module (import "m" "memory" (memory 1))
      (tag $unused) (tag $t (param i32)) (global $g (mut i32) (i32.const ${base})) (table $x 1 funcref) (table $y 2 funcref)
      (type $a (func (param i32) (result i32)))
      (data $d "${text}") (data (i32.const ${base}) "at ${text}") (elem $e func $other $other)
      (func $other (type $a) (i32.const ${base}))
      (func $throws (throw $t (global.get $g)))
      (func (export "run") (param i32) (result i32)
        (memory.init $d (i32.const ${base + 64}) (i32.const 0) (i32.const 3))
        (table.init $y $e (i32.const 0) (i32.const 0) (i32.const 2))
        (global.set $g (i32.add (global.get $g) (local.get 0)))
        (block $c (result i32) (try_table (catch $t $c) (call $throws)) (i32.const 0))
        (i32.add (call_indirect $y (type $a) (i32.const 0) (i32.const 1)))))`;
    const libc = '(module (memory (export "memory") 1))';
    const merged = await same(
      await parts(
        [libc, module('one', 100), module('two', 300)],
        [[0], [1, '0 memory'], [2, '0 memory'], [1, '0 memory']],
        ['1 run', '2 run', '3 run', '0 memory'],
      ),
    );
    expect(merged.names).toEqual(['run', 'run 1', 'run 2', 'memory']);
  });

  it('a mutable global is one for all, a constant one stands where it is used', async () => {
    const first = `(module (global (export "v") (mut i32) (i32.const 5)) (global (export "c") i32 (i32.const 40)) (memory (export "memory") 1)
      (func (export "get") (param i32) (result i32) (global.get 0)))`;
    const second = `(module (import "m" "v" (global $v (mut i32))) (import "m" "c" (global $c i32)) (import "m" "memory" (memory 1))
      (data (global.get $c) "moved") (global $d i32 (i32.add (global.get $c) (i32.const 1)))
      (func (export "set") (param i32) (result i32) (global.set $v (local.get 0)) (global.get $d)))`;
    const merged = await same(
      await parts([first, second], [[0], [1, '0 v', '0 c', '0 memory']], ['1 set', '0 get', '0 memory']),
    );
    expect(await print(merged.wasm)).toMatch(/\(data \(;0;\) \(i32\.const 40\)/);
  });

  it('a reference to a function that only its export declared stays valid', async () => {
    const first = `(module (type $a (func (param i32) (result i32))) (table 1 funcref) (func $f (export "f") (type $a) (i32.const 7))
      (func (export "run") (type $a) (table.set (i32.const 0) (ref.func $f)) (call_indirect (type $a) (i32.const 0) (i32.const 0))))`;
    const merged = await same(
      await parts([first, '(module (memory (export "memory") 1))'], [[0], [1]], ['0 run', '1 memory']),
    );
    expect(await print(merged.wasm)).toMatch(/\(elem \(;0;\) declare func \$f\)/);
  });
});

describe('start functions', () => {
  const starts = (
    data: string,
  ): string => `(module (import "m" "memory" (memory 1)) (import "m" "h" (func $h (param i32) (result i32)))
    ${data} (func $s (drop (call $h (i32.load8_u (i32.const 4))))) (start $s))`;
  const libc = '(module (memory (export "memory") 1) (data (i32.const 4) "\\01"))';

  it('run in their order behind the instantiation', async () => {
    const set = await parts(
      [libc, starts('')],
      [[0], [1, '0 memory', 'h0'], [1, '0 memory', 'h0']],
      ['0 memory'],
    );
    expect((await same(set)).starts).toBe(true);
  });

  it('that run before data of others is in place are declined', async () => {
    const late = '(module (import "m" "memory" (memory 1)) (data (i32.const 4) "\\02"))';
    const set = await parts(
      [libc, starts(''), late],
      [[0], [1, '0 memory', 'h0'], [2, '0 memory']],
      ['0 memory'],
    );
    expect(() => mergeModules(set.input)).toThrow(/before all data/);
  });
});

describe('what is declined', () => {
  const type = '(func (param i32) (result i32))';
  it.each([
    [
      'two memories',
      ['(module (memory (export "memory") 1))', '(module (memory 1))'],
      [[0], [1]],
      /more than one memory/,
    ],
    [
      'an import of another type',
      ['(module (func (export "f")))', `(module (import "m" "f" ${type}))`],
      [[0], [1, '0 f']],
      /given something else/,
    ],
    [
      'an import of what nobody exports',
      ['(module)', `(module (import "m" "f" ${type}))`],
      [[0], [1, '0 f']],
      /given something else/,
    ],
    [
      'a memory smaller than the import asks for',
      ['(module (memory (export "memory") 1))', '(module (import "m" "memory" (memory 2)))'],
      [[0], [1, '0 memory']],
      /given something else/,
    ],
    [
      'a function of the host’s for something that is no function',
      ['(module)', '(module (import "m" "g" (global i32)))'],
      [[0], [1, 'h0']],
      /given something else/,
    ],
    ['garbage-collected types', ['(module (type (struct)))', '(module)'], [[0], [1]], /not a plain function/],
    [
      'references to types',
      ['(module (type $t (func)) (func (param (ref null $t))))', '(module)'],
      [[0], [1]],
      /reference to a type/,
    ],
    ['an export that is not there', ['(module)', '(module)'], [[0], [1]], /exports memory/],
    [
      'copies that take too much',
      [`(module (memory (export "memory") 1) (data "${'x'.repeat(70_000)}"))`],
      Array.from({ length: 20 }, () => [0] as const),
      /copies/,
    ],
  ] as const)('%s', async (_, texts, instantiations, message) => {
    const set = await parts(texts, instantiations, ['0 memory']);
    expect(() => mergeModules(set.input)).toThrow(message);
  });

  it('more instances than anyone has', async () => {
    const set = await parts(
      ['(module)'],
      Array.from({ length: 1001 }, () => [0] as const),
      [],
    );
    expect(() => mergeModules(set.input)).toThrow(/1001; at most 1000/);
  });
});

describe('many shims', () => {
  it('that lead to each other in a long chain, or round in a circle, are followed once', async () => {
    const count = 20_000;
    const shim = (i: number): string =>
      `(func (export "${i}") (type $a) (call_indirect (type $a) (local.get 0) (i32.const ${i})))`;
    const functions = Array.from({ length: count }, (_, i) => shim(i)).join(' ');
    // Element i is shim i + 1; the last one is the host's, the one before begins the circle again.
    const chain = `(module (type $a (func (param i32) (result i32))) (import "" "h" (func (type $a)))
      (table ${count} funcref) ${functions}
      (elem (i32.const 0) func ${Array.from({ length: count - 1 }, (_, i) => i + 2).join(' ')} 0))`;
    const started = performance.now();
    const open = await parts([chain, '(module)'], [[0, 'h0'], [1]], ['0 0', '0 9999']);
    const merged = mergeModules(open.input);
    expect(merged.wasm.length).toBeLessThan(200);
    // Apart, the stack is too small for so many calls.
    expect(run((log) => instantiateMerged(merged, log), open.random, [[1, 7, 0]])).toMatchObject({
      answers: [1],
      log: ['h0 7'],
    });
    const circle = chain.replace(/ 0\)\)$/, ' 1))');
    const closed = await parts([circle, '(module)'], [[0, 'h0'], [1]], ['0 0']);
    expect(WebAssembly.validate(mergeModules(closed.input).wasm as BufferSource)).toBe(true);
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});
