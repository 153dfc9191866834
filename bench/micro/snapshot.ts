/**
 * What a start-up snapshot spares: a component whose initialiser fills a table of 1 MiB, answering with and without
 * the snapshot, in turns. `first`: a new function's first request, its instance included; `next`: those behind it.
 * Everything is the product's code, prepare included; only the thread is missing.
 *
 *   node bench/micro/snapshot.ts [component.wasm] [path]
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PreparedGuest } from '../../runtimes/wasm/prepare/testing/prepared-guest.ts';
import { quantile } from '../../src/bench/stats.ts';
import { describeMachine, machineWarnings, ROOT } from '../machine.ts';

const ROUNDS = 40;
const NEXT_CALLS = 20;
const VARIANTS = ['with', 'without'] as const;

const source = process.argv[2] ?? join(ROOT, 'test/guests/built/startup.wasm');
const path = process.argv[3] ?? '/';
const bytes = readFileSync(source);

const prepareMs = { with: 0, without: 0 };
const guests = {} as Record<(typeof VARIANTS)[number], PreparedGuest>;
for (const variant of VARIANTS) {
  const began = performance.now();
  guests[variant] = await PreparedGuest.of(bytes, { snapshot: variant === 'with' });
  prepareMs[variant] = performance.now() - began;
}
const times = { with: { first: [], next: [] }, without: { first: [], next: [] } } as Record<
  (typeof VARIANTS)[number],
  { first: number[]; next: number[] }
>;
for (let round = 0; round < ROUNDS; round++) {
  for (const variant of VARIANTS) {
    const guest = guests[variant];
    let began = performance.now();
    await guest.restart();
    await guest.call(path);
    times[variant].first.push((performance.now() - began) * 1000);
    for (let call = 0; call < NEXT_CALLS; call++) {
      await new Promise(setImmediate);
      began = performance.now();
      await guest.call(path);
      times[variant].next.push((performance.now() - began) * 1000);
    }
  }
}

const machine = await describeMachine();
const rows = VARIANTS.map((variant) => ({
  variant,
  prepareMs: prepareMs[variant],
  reason: guests[variant].manifest.reason,
  first: { p50: quantile(times[variant].first, 0.5), p99: quantile(times[variant].first, 0.99) },
  next: { p50: quantile(times[variant].next, 0.5), p99: quantile(times[variant].next, 0.99) },
}));
process.stdout.write(`${JSON.stringify({ machine, source, path, unit: 'us', rows }, null, 2)}\n\n`);
for (const { variant, first, next, prepareMs: took } of rows) {
  process.stdout.write(
    `${`${variant} a snapshot`.padEnd(22)} first ${first.p50.toFixed(0)} us, next ${next.p50.toFixed(0)} us (p99 ${next.p99.toFixed(0)}), prepared in ${took.toFixed(0)} ms\n`,
  );
}
for (const warning of machineWarnings(machine)) process.stdout.write(`${warning}\n`);
await Promise.all(VARIANTS.map((variant) => guests[variant].close()));
