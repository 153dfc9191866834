/**
 * The load generator, in a process of its own: reads a {@link Job} as JSON from its argument, writes a
 * {@link LoadResult} as JSON to stdout.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, type Answer } from './connection.ts';
import type { Job, LoadResult, Target } from './job.ts';
import { Latencies } from './latencies.ts';

interface Prepared {
  readonly host: string;
  readonly port: number;
  readonly bytes: Buffer;
}

function prepare(target: Target): Prepared {
  const url = new URL(target.url);
  const length = target.method === 'POST' ? `content-length: ${target.bodyBytes}\r\n` : '';
  const head = `${target.method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n${length}\r\n`;
  return {
    host: url.hostname,
    port: Number(url.port),
    bytes: Buffer.concat([Buffer.from(head), Buffer.alloc(target.bodyBytes, 'x')]),
  };
}

/** A connection that opens again when it was lost, and tells what became of its request. */
class Client {
  readonly #target: Prepared;
  readonly #over: (client: Client, answer: Answer | string) => void;
  #connection: Connection | null = null;
  sentAtMs = 0;
  intendedAtMs = 0;

  constructor(target: Prepared, over: (client: Client, answer: Answer | string) => void) {
    this.#target = target;
    this.#over = over;
  }

  async connect(): Promise<void> {
    this.#connection = await Connection.open(this.#target.host, this.#target.port, {
      answered: (answer) => this.#over(this, answer),
      failed: (reason) => this.#over(this, reason),
    });
  }

  /** Sends; connects first where there is no connection (and that time counts). */
  send(request: Buffer): void {
    this.sentAtMs = performance.now();
    if (this.#connection?.open === true) {
      this.#connection.send(request);
      return;
    }
    this.connect().then(
      () => this.#connection?.send(request),
      (error: NodeJS.ErrnoException) => this.#over(this, error.code ?? error.message),
    );
  }

  close(): void {
    this.#connection?.close();
  }
}

class Run {
  readonly latency = new Latencies();
  readonly service = new Latencies();
  readonly lag = new Latencies();
  readonly errors: Record<string, number> = {};
  requests = 0;
  bytes = 0;
  /** What ends before is warm-up. */
  countFromMs = 0;

  count(client: Client, answer: Answer | string): void {
    if (client.intendedAtMs < this.countFromMs) return;
    const now = performance.now();
    if (typeof answer === 'string' || answer.status < 200 || answer.status > 299) {
      const kind = typeof answer === 'string' ? answer : String(answer.status);
      this.errors[kind] = (this.errors[kind] ?? 0) + 1;
      return;
    }
    this.requests++;
    this.bytes += answer.bytes;
    this.latency.record(now - client.intendedAtMs);
    this.service.record(now - client.sentAtMs);
    this.lag.record(client.sentAtMs - client.intendedAtMs);
  }
}

async function closed(
  job: Extract<Job, { mode: 'closed' }>,
  targets: readonly Prepared[],
  run: Run,
): Promise<number> {
  let going = true;
  let active = 0;
  const idle = Promise.withResolvers<void>();
  const next = (client: Client, target: Prepared): void => {
    client.intendedAtMs = performance.now();
    client.send(target.bytes);
  };
  const clients = Array.from({ length: job.connections }, (_, i) => {
    const target = targets[i % targets.length];
    if (!target) throw new TypeError('a job needs a target');
    const client: Client = new Client(target, (_client, answer) => {
      run.count(client, answer);
      if (!going) {
        if (--active === 0) idle.resolve();
      } else if (typeof answer === 'string') {
        // A server that refuses is not asked ten thousand times a second.
        setTimeout(() => next(client, target), 10);
      } else next(client, target);
    });
    return { client, target };
  });
  for (const { client } of clients) await client.connect();
  const startedAt = performance.now();
  run.countFromMs = startedAt + job.warmUpMs;
  active = clients.length;
  for (const { client, target } of clients) next(client, target);
  await sleep(job.warmUpMs + job.durationMs);
  const counted = performance.now() - run.countFromMs;
  const requests = run.requests;
  going = false;
  // What is in flight is part of the latencies, so that slow answers are not lost; not of the throughput.
  await Promise.race([idle.promise, sleep(5000)]);
  perSecond = (requests / counted) * 1000;
  for (const { client } of clients) client.close();
  return counted;
}

async function open(
  job: Extract<Job, { mode: 'open' }>,
  targets: readonly Prepared[],
  run: Run,
): Promise<number> {
  const [target] = targets;
  if (!target) throw new TypeError('a job needs a target');
  const total = Math.round(((job.warmUpMs + job.durationMs) / 1000) * job.ratePerS);
  const gapMs = 1000 / job.ratePerS;
  const free: Client[] = [];
  const waiting: number[] = [];
  let made = 0;
  let answered = 0;
  const finished = Promise.withResolvers<void>();
  const send = (client: Client, intendedAtMs: number): void => {
    client.intendedAtMs = intendedAtMs;
    client.send(target.bytes);
  };
  const over = (client: Client, answer: Answer | string): void => {
    run.count(client, answer);
    if (++answered === total) finished.resolve();
    const next = waiting.shift();
    if (next === undefined) free.push(client);
    else send(client, next);
  };
  // Some connections are there before; more are opened as they are needed.
  for (; made < Math.min(16, job.connections); made++) {
    const client = new Client(target, over);
    await client.connect();
    free.push(client);
  }
  const startedAt = performance.now();
  run.countFromMs = startedAt + job.warmUpMs;
  for (let i = 0; i < total;) {
    const now = performance.now();
    for (; i < total && startedAt + i * gapMs <= now; i++) {
      const intendedAtMs = startedAt + i * gapMs;
      const client = free.pop() ?? (made < job.connections ? (made++, new Client(target, over)) : undefined);
      if (client) send(client, intendedAtMs);
      else waiting.push(intendedAtMs);
    }
    const untilNextMs = startedAt + i * gapMs - performance.now();
    // A timer is late by up to a millisecond, which `lag` shows; turning in circles would take a core from the server.
    if (i < total) await sleep(Math.max(0, Math.floor(untilNextMs)));
  }
  const counted = performance.now() - run.countFromMs;
  await Promise.race([finished.promise, sleep(10_000)]);
  if (answered < total) run.errors['no answer within 10 s of the end'] = total - answered;
  for (const client of free) client.close();
  perSecond = (run.requests / Math.max(counted, job.durationMs)) * 1000;
  return counted;
}

async function burst(
  job: Extract<Job, { mode: 'burst' }>,
  targets: readonly Prepared[],
  run: Run,
): Promise<number> {
  let left = job.connections;
  const all = Promise.withResolvers<void>();
  const clients = Array.from({ length: job.connections }, (_, i) => {
    const target = targets[i % targets.length];
    if (!target) throw new TypeError('a job needs a target');
    const client = new Client(target, (which, answer) => {
      run.count(which, answer);
      if (--left === 0) all.resolve();
    });
    return { client, target };
  });
  // In groups: a listener's backlog is not what is measured here.
  for (let at = 0; at < clients.length; at += 100) {
    await Promise.all(clients.slice(at, at + 100).map(({ client }) => client.connect()));
  }
  await sleep(50);
  const startedAt = performance.now();
  for (const { client, target } of clients) {
    client.intendedAtMs = startedAt;
    client.send(target.bytes);
  }
  await Promise.race([all.promise, sleep(job.limitMs)]);
  if (left > 0) run.errors[`no answer within ${job.limitMs / 1000} s`] = left;
  const took = performance.now() - startedAt;
  for (const { client } of clients) client.close();
  perSecond = (run.requests / took) * 1000;
  allDoneMs = took;
  return took;
}

let perSecond = 0;
let allDoneMs = 0;

const job = JSON.parse(process.argv[2] ?? '') as Job;
const targets = job.targets.map((target) => prepare(target));
const run = new Run();
const wallStart = performance.now();
const cpuStart = process.cpuUsage();
const durationMs =
  job.mode === 'closed'
    ? await closed(job, targets, run)
    : job.mode === 'open'
      ? await open(job, targets, run)
      : await burst(job, targets, run);
const cpu = process.cpuUsage(cpuStart);
const result: LoadResult = {
  requests: run.requests,
  durationMs,
  perSecond,
  latency: run.latency.summary(),
  service: run.service.summary(),
  lag: run.lag.summary(),
  bytes: run.bytes,
  errors: run.errors,
  generatorCpu: (cpu.user + cpu.system) / 1000 / (performance.now() - wallStart),
  allDoneMs,
};
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
