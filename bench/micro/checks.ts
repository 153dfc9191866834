/**
 * What the inserted checks cost guests that compute: each program as it is, with the interruption check alone, with
 * the virtual memory size of a reset, with that and its write check, and with all of them. Short runs that take turns, in
 * several processes since the compiler places code by chance; the lower quartile of each, which a busy machine moves
 * least, and the median over the processes. The program as it is runs twice: that difference is the measure's own.
 * And what it costs to give way once.
 *
 *   node bench/micro/checks.ts [rounds] [processes]      prints a table to stderr and JSON to stdout
 */
import { execFileSync } from 'node:child_process';
import { addInterruptionCheck, importMemory, makeResettable } from '../../runtimes/wasm/rewrite/index.ts';
import { ControlBlock } from '../../runtimes/wasm/control.ts';
import { yieldFunction } from '../../runtimes/wasm/yield.worker.ts';
import { wat } from '../../runtimes/wasm/rewrite/testing/wat.ts';
import { mean, median, quantile } from '../../src/bench/stats.ts';

const MEASURE = '--measure';
const [first, second] = process.argv.slice(2);
const rounds = Number((first === MEASURE ? second : first) ?? 300);
const processes = Number(second ?? 5);
const WARM_UP_MS = 500;
const MEMORY = '(memory 128)';

const PROGRAMS: Readonly<Record<string, readonly [argument: number, text: string]>> = {
  fib: [
    20,
    `(func $fib (export "run") (param i32) (result i32)
      (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
        (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))`,
  ],
  sieve: [
    100_000,
    `${MEMORY} (func (export "run") (param $n i32) (result i32) (local $i i32) (local $j i32) (local $count i32)
      (memory.fill (i32.const 0) (i32.const 0) (local.get $n)) (local.set $i (i32.const 2))
      (loop $outer
        (if (i32.eqz (i32.load8_u (local.get $i))) (then
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (local.set $j (i32.add (local.get $i) (local.get $i)))
          (block $done (loop $inner (br_if $done (i32.ge_u (local.get $j) (local.get $n)))
            (i32.store8 (local.get $j) (i32.const 1)) (local.set $j (i32.add (local.get $j) (local.get $i))) (br $inner)))))
        (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))) (local.get $count))`,
  ],
  matmul: [
    60,
    `${MEMORY} (func (export "run") (param $n i32) (result i32) (local $i i32) (local $j i32) (local $k i32) (local $s f64)
      (loop $li (local.set $j (i32.const 0)) (loop $lj (local.set $s (f64.const 0)) (local.set $k (i32.const 0))
        (loop $lk (local.set $s (f64.add (local.get $s) (f64.mul
            (f64.load (i32.shl (i32.add (i32.mul (local.get $i) (local.get $n)) (local.get $k)) (i32.const 3)))
            (f64.load offset=2000000 (i32.shl (i32.add (i32.mul (local.get $k) (local.get $n)) (local.get $j)) (i32.const 3))))))
          (br_if $lk (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n))))
        (f64.store offset=4000000 (i32.shl (i32.add (i32.mul (local.get $i) (local.get $n)) (local.get $j)) (i32.const 3)) (local.get $s))
        (br_if $lj (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))
      (br_if $li (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))) (i32.const 0))`,
  ],
  hash: [
    200_000,
    `${MEMORY} (func (export "run") (param $n i32) (result i32) (local $i i32) (local $h i32) (local.set $h (i32.const -2128831035))
      (loop $l (local.set $h (i32.mul (i32.xor (local.get $h) (i32.load8_u (i32.and (local.get $i) (i32.const 0xffff)))) (i32.const 16777619)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))) (local.get $h))`,
  ],
  'sort by an indirect comparison': [
    8000,
    `${MEMORY} (type $less (func (param i32 i32) (result i32))) (table 2 funcref) (elem (i32.const 1) $by_value)
      (func $by_value (type $less) (i32.lt_u (local.get 0) (local.get 1)))
      (func $sort (param $low i32) (param $high i32) (local $i i32) (local $j i32) (local $pivot i32) (local $swap i32)
        (if (i32.ge_s (local.get $low) (local.get $high)) (then (return)))
        (local.set $pivot (i32.load (i32.and (i32.shr_u (i32.add (local.get $low) (local.get $high)) (i32.const 1)) (i32.const -4))))
        (local.set $i (local.get $low)) (local.set $j (local.get $high))
        (loop $part
          (block $a (loop $up (br_if $a (i32.eqz (call_indirect (type $less) (i32.load (local.get $i)) (local.get $pivot) (i32.const 1))))
            (local.set $i (i32.add (local.get $i) (i32.const 4))) (br $up)))
          (block $b (loop $down (br_if $b (i32.eqz (call_indirect (type $less) (local.get $pivot) (i32.load (local.get $j)) (i32.const 1))))
            (local.set $j (i32.sub (local.get $j) (i32.const 4))) (br $down)))
          (if (i32.le_s (local.get $i) (local.get $j)) (then
            (local.set $swap (i32.load (local.get $i))) (i32.store (local.get $i) (i32.load (local.get $j)))
            (i32.store (local.get $j) (local.get $swap))
            (local.set $i (i32.add (local.get $i) (i32.const 4))) (local.set $j (i32.sub (local.get $j) (i32.const 4)))))
          (br_if $part (i32.le_s (local.get $i) (local.get $j))))
        (call $sort (local.get $low) (local.get $j)) (call $sort (local.get $i) (local.get $high)))
      (func (export "run") (param $n i32) (result i32) (local $i i32) (local $x i32) (local.set $x (i32.const 12345))
        (loop $fill (i32.store (i32.shl (local.get $i) (i32.const 2))
            (local.tee $x (i32.add (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345))))
          (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (call $sort (i32.const 0) (i32.shl (i32.sub (local.get $n) (i32.const 1)) (i32.const 2))) (i32.const 0))`,
  ],
  'a tree of allocations': [
    12,
    `${MEMORY} (global $top (mut i32) (i32.const 64))
      (func $allocate (param $bytes i32) (result i32) (local $at i32)
        (local.set $at (global.get $top)) (global.set $top (i32.add (local.get $at) (local.get $bytes))) (local.get $at))
      (func $build (param $depth i32) (result i32) (local $node i32)
        (local.set $node (call $allocate (i32.const 8)))
        (if (local.get $depth) (then
          (i32.store (local.get $node) (call $build (i32.sub (local.get $depth) (i32.const 1))))
          (i32.store offset=4 (local.get $node) (call $build (i32.sub (local.get $depth) (i32.const 1))))))
        (local.get $node))
      (func $count (param $node i32) (param $depth i32) (result i32)
        (if (result i32) (i32.eqz (local.get $depth)) (then (i32.const 1)) (else (i32.add (i32.const 1) (i32.add
          (call $count (i32.load (local.get $node)) (i32.sub (local.get $depth) (i32.const 1)))
          (call $count (i32.load offset=4 (local.get $node)) (i32.sub (local.get $depth) (i32.const 1))))))))
      (func (export "run") (param $depth i32) (result i32) (global.set $top (i32.const 64))
        (call $count (call $build (local.get $depth)) (local.get $depth)))`,
  ],
};

type Run = (argument: number) => number;

const control = new ControlBlock();
const fissium = {
  control: control.memory,
  yield: yieldFunction({ decide: () => 'go', wait: () => Promise.resolve('go') }),
};

function instantiate(bytes: Uint8Array): Run {
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
  const memory = new WebAssembly.Memory({ initial: 128, maximum: 1024 });
  return new WebAssembly.Instance(module, { fissium: { ...fissium, memory } }).exports['run'] as Run;
}

const VARIANTS = ['again', 'interruption', 'virtual-memory', 'write-check', 'all'] as const;
type Variant = (typeof VARIANTS)[number];
type Costs = Readonly<Record<Variant, number>>;

/** The reset inserts nothing into code but these two, of which the second needs the first. */
function resettable(source: Uint8Array, writeCheck: boolean): Uint8Array {
  const reset = makeResettable(source, { writeCheck });
  if ('blocker' in reset) throw new Error(reset.blocker);
  return reset.wasm;
}

/** The module with each step, and as prepare leaves it. */
function rewritten(source: Uint8Array): Record<Variant, Uint8Array> {
  return {
    again: source,
    interruption: addInterruptionCheck(importMemory(source)?.wasm ?? source),
    'virtual-memory': resettable(source, false),
    'write-check': resettable(source, true),
    all: addInterruptionCheck(resettable(source, true)),
  };
}

function ofEach(cost: (variant: Variant) => number): Costs {
  return Object.fromEntries(VARIANTS.map((variant) => [variant, cost(variant)])) as Costs;
}

async function measure(text: string, argument: number): Promise<{ plainMs: number; costs: Costs }> {
  const source = await wat(`(module ${text})`);
  const variants = rewritten(source);
  const runs: readonly Run[] = [source, ...VARIANTS.map((variant) => variants[variant])].map(instantiate);
  const times: number[][] = runs.map(() => []);
  // Until all run in the better compiler's code.
  for (const until = performance.now() + WARM_UP_MS; performance.now() < until;) {
    const [plain, ...others] = runs.map((run) => run(argument));
    if (others.some((answer) => answer !== plain)) throw new Error('a program changed its answer');
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < runs.length; turn++) {
      const which = (round + turn) % runs.length;
      const before = performance.now();
      runs[which]?.(argument);
      times[which]?.push(performance.now() - before);
    }
  }
  const [plainMs = NaN, ...others] = times.map((list) => quantile(list, 0.25));
  const costs = ofEach((variant) => ((others[VARIANTS.indexOf(variant)] ?? NaN) / plainMs - 1) * 100);
  return { plainMs, costs };
}

interface Result {
  readonly program: string;
  readonly plainMs: number;
  readonly costPercent: Costs;
}

async function yieldCostUs(): Promise<number> {
  const LIFE = 7;
  let times = 0;
  const block = new ControlBlock();
  block.enter(LIFE, 0);
  block.askToYield(LIFE);
  const given = {
    control: block.memory,
    yield: yieldFunction({
      decide: () => 'wait',
      wait: async () => {
        times++;
        await new Promise((resolve) => setImmediate(resolve));
        return 'go';
      },
    }),
  };
  const loop = addInterruptionCheck(
    await wat(`(module (func (export "run") (local $i i32) (local.set $i (i32.const 20000))
      (loop $again (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))`),
  );
  // Word 0 is never cleared: each pass of the outer loop gives way, until the guest is let through by a timer.
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(loop as Uint8Array<ArrayBuffer>), {
    fissium: given,
  }).exports;
  const before = performance.now();
  const done = WebAssembly.promising(run as () => void)();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const elapsed = performance.now() - before;
  const counted = times;
  block.forget();
  await done;
  return (elapsed * 1000) / counted;
}

if (first === MEASURE) {
  const results: Result[] = [];
  for (const [program, [argument, text]] of Object.entries(PROGRAMS)) {
    const { plainMs, costs } = await measure(text, argument);
    results.push({ program, plainMs, costPercent: costs });
  }
  process.stdout.write(JSON.stringify(results));
} else {
  const parts = Array.from({ length: processes }, () => {
    const output = execFileSync(process.execPath, [import.meta.filename, MEASURE, String(rounds)]);
    return JSON.parse(output.toString()) as Result[];
  });
  const over = (program: string, of: (result: Result) => number): number =>
    median(parts.flatMap((part) => part.filter((result) => result.program === program).map(of)));
  const results = Object.keys(PROGRAMS).map((program): Result => {
    const costPercent = ofEach((variant) => over(program, (result) => result.costPercent[variant]));
    return { program, plainMs: over(program, ({ plainMs }) => plainMs), costPercent };
  });
  const meanPercent = ofEach((variant) => mean(results.map(({ costPercent }) => costPercent[variant])));
  const giveWayUs = await yieldCostUs();
  const line = (name: string, ms: string, costs: readonly string[]): string =>
    `${name.padEnd(32)}${ms.padStart(10)}${costs.map((cost) => cost.padStart(16)).join('')}\n`;
  const percent = (costs: Costs): string[] => VARIANTS.map((variant) => `${costs[variant].toFixed(1)} %`);
  process.stderr.write(line('', 'plain ms', VARIANTS));
  for (const { program, plainMs, costPercent } of results) {
    process.stderr.write(line(program, plainMs.toFixed(3), percent(costPercent)));
  }
  process.stderr.write(line('mean', '', percent(meanPercent)));
  process.stderr.write(`giving way once, with a turn of the event loop: ${giveWayUs.toFixed(1)} µs\n`);
  const report = { node: process.version, rounds, processes, results, meanPercent, giveWayUs };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}
