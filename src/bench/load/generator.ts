/**
 * The load generator, in a process of its own: reads a {@link Job} as JSON from its argument, writes a
 * {@link LoadResult} as JSON to stdout.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, prepare, type Prepared } from './client.ts';
import type { Job, LoadResult } from './job.ts';
import { Latencies } from './latencies.ts';

type JobOf<M extends Job['mode']> = Extract<Job, { mode: M }>;

/** What a loop found besides the latencies. */
interface Outcome {
  readonly durationMs: number;
  readonly perSecond: number;
  readonly allDoneMs: number;
}

/** What is answered late is waited for, so that slow answers are not lost. */
const CLOSED_LAST_MS = 5000;
const OPEN_LAST_MS = 10_000;
/** A server that refuses is not asked ten thousand times a second. */
const AFTER_FAILURE_MS = 10;

class Run {
  readonly latency = new Latencies();
  readonly service = new Latencies();
  readonly lag = new Latencies();
  readonly errors: Record<string, number> = {};
  requests = 0;
  bytes = 0;
  /** What begins before is warm-up. */
  countFromMs = 0;
  #cpuBefore = process.cpuUsage();
  #cpuFromMs = performance.now();
  #cpu: { share: number; us: number } | null = null;

  count(client: Client, status: number | string, bytes: number, nowMs: number): void {
    if (client.intendedAtMs < this.countFromMs) return;
    if (typeof status === 'string' || status < 200 || status > 299) {
      this.errors[status] = (this.errors[status] ?? 0) + 1;
      return;
    }
    this.requests++;
    this.bytes += bytes;
    this.latency.record(nowMs - client.intendedAtMs);
    this.service.record(nowMs - client.sentAtMs);
    this.lag.record(client.sentAtMs - client.intendedAtMs);
  }

  /** The generator's own cost counts from here, */
  costFrom(): void {
    this.#cpuBefore = process.cpuUsage();
    this.#cpuFromMs = performance.now();
  }

  /** to here. */
  costTo(): { share: number; us: number } {
    if (this.#cpu === null) {
      const { user, system } = process.cpuUsage(this.#cpuBefore);
      const tookMs = performance.now() - this.#cpuFromMs;
      this.#cpu = { share: tookMs > 0 ? (user + system) / 1000 / tookMs : 0, us: user + system };
    }
    return this.#cpu;
  }
}

/** The clients in the order of the targets, which are taken in turn. */
function clientsOf(
  count: number,
  targets: readonly Prepared[],
  over: (client: Client, status: number | string, bytes: number) => void,
): Client[] {
  return Array.from({ length: count }, (_, i) => {
    const target = targets[i % targets.length];
    if (!target) throw new TypeError('a job needs a target');
    return new Client(target, over);
  });
}

async function closed(job: JobOf<'closed'>, targets: readonly Prepared[], run: Run): Promise<Outcome> {
  let going = true;
  let active = 0;
  const idle = Promise.withResolvers<void>();
  const clients = clientsOf(job.connections, targets, (client, status, bytes) => {
    const nowMs = performance.now();
    run.count(client, status, bytes, nowMs);
    if (!going) {
      if (--active === 0) idle.resolve();
    } else if (typeof status === 'string' || status > 399) {
      setTimeout(() => {
        const laterMs = performance.now();
        client.send(laterMs, laterMs);
      }, AFTER_FAILURE_MS);
    } else client.send(nowMs, nowMs);
  });
  for (const client of clients) await client.connect();
  const startedAt = performance.now();
  run.countFromMs = startedAt + job.warmUpMs;
  active = clients.length;
  for (const client of clients) client.send(startedAt, startedAt);
  await sleep(job.warmUpMs);
  run.costFrom();
  await sleep(job.durationMs);
  const durationMs = performance.now() - run.countFromMs;
  const { requests } = run;
  run.costTo();
  going = false;
  // Part of the latencies; not of the throughput.
  await Promise.race([idle.promise, sleep(CLOSED_LAST_MS)]);
  for (const client of clients) client.close();
  return { durationMs, perSecond: (requests / durationMs) * 1000, allDoneMs: 0 };
}

async function open(job: JobOf<'open'>, targets: readonly Prepared[], run: Run): Promise<Outcome> {
  const total = Math.round(((job.warmUpMs + job.durationMs) / 1000) * job.ratePerS);
  const gapMs = 1000 / job.ratePerS;
  const waiting: number[] = [];
  let answered = 0;
  const finished = Promise.withResolvers<void>();
  const over = (client: Client, status: number | string, bytes: number): void => {
    const nowMs = performance.now();
    run.count(client, status, bytes, nowMs);
    if (++answered === total) finished.resolve();
    const next = waiting.shift();
    if (next === undefined) free.push(client);
    else client.send(next, nowMs);
  };
  // Some connections are there before; more are opened as they are needed.
  const all = clientsOf(job.connections, targets, over);
  let made = Math.min(16, job.connections);
  const free = all.slice(0, made);
  for (const client of free) await client.connect();
  const startedAt = performance.now();
  run.countFromMs = startedAt + job.warmUpMs;
  let costing = false;
  for (let i = 0; i < total;) {
    const nowMs = performance.now();
    if (!costing && nowMs >= run.countFromMs) {
      costing = true;
      run.costFrom();
    }
    for (; i < total && startedAt + i * gapMs <= nowMs; i++) {
      const intendedAtMs = startedAt + i * gapMs;
      const client = free.pop() ?? all[made];
      if (client === all[made]) made++;
      if (client) client.send(intendedAtMs, performance.now());
      else waiting.push(intendedAtMs);
    }
    const untilNextMs = startedAt + i * gapMs - performance.now();
    // A timer is late by up to a millisecond, which `lag` shows; turning in circles would take a core from the server.
    if (i < total) await sleep(Math.max(0, Math.floor(untilNextMs)));
  }
  const durationMs = performance.now() - run.countFromMs;
  run.costTo();
  await Promise.race([finished.promise, sleep(OPEN_LAST_MS)]);
  if (answered < total) run.errors[`no answer within ${OPEN_LAST_MS / 1000} s of the end`] = total - answered;
  for (const client of all) client.close();
  // By the time that the answers took: one that does not keep up has no more than its own rate.
  const tookMs = performance.now() - run.countFromMs;
  return { durationMs, perSecond: (run.requests / Math.max(tookMs, job.durationMs)) * 1000, allDoneMs: 0 };
}

async function burst(job: JobOf<'burst'>, targets: readonly Prepared[], run: Run): Promise<Outcome> {
  let left = job.connections;
  const all = Promise.withResolvers<void>();
  const clients = clientsOf(job.connections, targets, (client, status, bytes) => {
    run.count(client, status, bytes, performance.now());
    if (--left === 0) all.resolve();
  });
  // In groups: a listener's backlog is not what is measured here.
  for (let at = 0; at < clients.length; at += 100) {
    await Promise.all(clients.slice(at, at + 100).map((client) => client.connect()));
  }
  await sleep(50);
  run.costFrom();
  const startedAt = performance.now();
  for (const client of clients) client.send(startedAt, performance.now());
  await Promise.race([all.promise, sleep(job.limitMs)]);
  if (left > 0) run.errors[`no answer within ${job.limitMs / 1000} s`] = left;
  const allDoneMs = performance.now() - startedAt;
  run.costTo();
  for (const client of clients) client.close();
  return { durationMs: allDoneMs, perSecond: (run.requests / allDoneMs) * 1000, allDoneMs };
}

const job = JSON.parse(process.argv[2] ?? '') as Job;
const targets = job.targets.map((target) => prepare(target));
const run = new Run();
const outcome =
  job.mode === 'closed'
    ? await closed(job, targets, run)
    : job.mode === 'open'
      ? await open(job, targets, run)
      : await burst(job, targets, run);
const cost = run.costTo();
const result: LoadResult = {
  requests: run.requests,
  ...outcome,
  latency: run.latency.summary(),
  buckets: run.latency.buckets(),
  service: run.service.summary(),
  lag: run.lag.summary(),
  bytes: run.bytes,
  errors: run.errors,
  generatorCpu: cost.share,
  generatorUsPerRequest: run.requests === 0 ? 0 : cost.us / run.requests,
};
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
