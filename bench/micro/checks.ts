/**
 * What the inserted interruption check costs guests that compute: each program as it is and rewritten, in one
 * process, interleaved; medians. And what it costs to give way once.
 *
 *   node bench/micro/checks.ts [rounds]      prints a table to stderr and JSON to stdout
 */
import { addInterruptionCheck } from '../../runtimes/wasm/rewrite/index.ts';
import { ControlBlock } from '../../runtimes/wasm/control.ts';
import { yieldFunction } from '../../runtimes/wasm/yield.worker.ts';
import { wat } from '../../runtimes/wasm/rewrite/testing/wat.ts';
import { median } from '../stats.ts';

const rounds = Number(process.argv[2] ?? 41);
const MEMORY = '(memory 128)';

const PROGRAMS: Readonly<Record<string, readonly [argument: number, text: string]>> = {
  fib: [
    30,
    `(func $fib (export "run") (param i32) (result i32)
      (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
        (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))`,
  ],
  sieve: [
    2_000_000,
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
    200,
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
    4_000_000,
    `${MEMORY} (func (export "run") (param $n i32) (result i32) (local $i i32) (local $h i32) (local.set $h (i32.const -2128831035))
      (loop $l (local.set $h (i32.mul (i32.xor (local.get $h) (i32.load8_u (i32.and (local.get $i) (i32.const 0xffff)))) (i32.const 16777619)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))) (local.get $h))`,
  ],
  'sort by an indirect comparison': [
    200_000,
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
    18,
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
  return new WebAssembly.Instance(module, { fissium }).exports['run'] as Run;
}

function time(run: Run, argument: number): number {
  const before = performance.now();
  run(argument);
  return performance.now() - before;
}

const results: {
  program: string;
  plainMs: number;
  checkedMs: number;
  costPercent: number;
  bytes: number;
  bytesChecked: number;
}[] = [];
for (const [program, [argument, text]] of Object.entries(PROGRAMS)) {
  const source = await wat(`(module ${text})`);
  const rewritten = addInterruptionCheck(source);
  const [plain, checked] = [instantiate(source), instantiate(rewritten)];
  // Until both run in the better compiler's code.
  for (let i = 0; i < 5; i++)
    if (plain(argument) !== checked(argument)) throw new Error(`${program} changed its answer`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const plainMs: number[] = [];
  const checkedMs: number[] = [];
  const ratios: number[] = [];
  for (let i = 0; i < rounds; i++) {
    plainMs.push(time(plain, argument));
    checkedMs.push(time(checked, argument));
    ratios.push((checkedMs.at(-1) ?? NaN) / (plainMs.at(-1) ?? NaN));
  }
  results.push({
    program,
    plainMs: median(plainMs),
    checkedMs: median(checkedMs),
    costPercent: (median(ratios) - 1) * 100,
    bytes: source.length,
    bytesChecked: rewritten.length,
  });
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

const giveWayUs = await yieldCostUs();
const mean = results.reduce((sum, { costPercent }) => sum + costPercent, 0) / results.length;
for (const { program, plainMs, checkedMs, costPercent } of results) {
  process.stderr.write(
    `${program.padEnd(32)} ${plainMs.toFixed(2).padStart(8)} ms ${checkedMs.toFixed(2).padStart(8)} ms ${costPercent.toFixed(1).padStart(6)} %\n`,
  );
}
process.stderr.write(
  `mean ${mean.toFixed(1)} %; giving way once, with a turn of the event loop: ${giveWayUs.toFixed(1)} µs\n`,
);
process.stdout.write(
  `${JSON.stringify({ node: process.version, rounds, results, meanPercent: mean, giveWayUs }, null, 2)}\n`,
);
