/** What `fissium bench` measures of one function on a platform that runs already. */
import { ask, warmClient, type AskInit } from './ask.ts';
import { Collector } from './collector.ts';
import { doubtsOf, load, type LoadResult, type Target } from './load/index.ts';
import { behindRate, type ScenarioResult } from './model.ts';
import { RECEIPT_REQUEST } from './receipt.ts';
import { addSplit } from './split.ts';

/** The name of everything measured here: there is one function and no rival. */
export const SUBJECT = 'function';

export interface FunctionBench {
  /** Where it is asked, and with what. */
  readonly target: Target;
  /** The request's body, for requests that are sent one by one. */
  readonly body: Uint8Array | null;
  readonly program: string;
  /** Makes a copy of the function that nobody has called yet, and resolves with its address; null: none is made. */
  readonly copy: ((i: number) => Promise<string>) | null;
  readonly copies: number;
  readonly connections: readonly number[];
  /** Requests per second of the open loop; empty: half of what the closed loop reached. */
  readonly rates: readonly number[];
  readonly warmUpMs: number;
  readonly durationMs: number;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal;
}

const USUAL = 50;

const COLD = {
  name: 'coldstart',
  title: 'Cold starts',
  what: 'Copies of the function (same code, another name) that nobody has called: the first request to each, the second, and then requests to the function itself, each over a new connection and timed outside the platform. Where the answers carry a receipt, the time is split by it.',
};

const LOAD = {
  name: 'throughput',
  title: 'Throughput, and latency under load',
  what: 'Closed loop: each connection asks again when it has its answer. Open loop: requests come at a fixed rate whatever the function does, and latency counts from the instant at which a request should have been sent, so that a stall is seen by all that wait behind it.',
};

/** @throws Error where the function does not answer with success: then there is nothing to measure; AbortError */
export async function benchFunction(bench: FunctionBench): Promise<ScenarioResult[]> {
  return [await coldStarts(bench), await underLoad(bench)];
}

function initOf({ target, body }: FunctionBench): AskInit {
  return {
    method: target.method,
    headers: { ...target.headers, ...RECEIPT_REQUEST },
    ...(body === null ? {} : { body }),
  };
}

async function coldStarts(bench: FunctionBench): Promise<ScenarioResult> {
  const { say, signal, copy, copies } = bench;
  const collector = new Collector(COLD);
  const init = initOf(bench);
  let receipts = false;
  const once = async (request: string, url: string): Promise<void> => {
    signal?.throwIfAborted();
    const asked = await ask(url, init);
    if (asked.status < 200 || asked.status > 299)
      throw new Error(`${init.method} ${url} answered ${asked.status}: ${asked.text.slice(0, 200)}`);
    const common = { rival: SUBJECT, unit: 'ms', better: 'less', each: 'one request' } as const;
    collector.add({ ...common, metric: request }, asked.ms);
    receipts = addSplit(collector, SUBJECT, request, asked) || receipts;
  };
  await warmClient();
  if (copy === null || copies === 0)
    collector.skip(SUBJECT, 'first requests', 'no copies of it were asked for');
  else {
    for (let i = 0; i < copies; i++) {
      say(`cold start ${i + 1} of ${copies}`);
      try {
        const url = await copy(i);
        await once('first request', url);
        await once('second request', url);
      } catch (error) {
        signal?.throwIfAborted();
        // The function itself may still be measured: making copies needs more rights than asking it.
        collector.skip(SUBJECT, 'first requests', error instanceof Error ? error.message : String(error));
        break;
      }
    }
  }
  say(`${USUAL} requests, one by one`);
  for (let i = 0; i < 5; i++) await ask(bench.target.url, init);
  for (let i = 0; i < USUAL; i++) await once('usual request', bench.target.url);
  if (!receipts)
    collector.skip(SUBJECT, 'where the time goes', 'the answers carry no receipt: the platform gives none');
  return collector.finish({
    program: bench.program,
    rounds: Math.max(1, copies),
    order: 'one copy after the other',
    warmUp: `of the client, with 200 requests to a server of its own; none for first requests; five before the usual ones`,
  });
}

async function underLoad(bench: FunctionBench): Promise<ScenarioResult> {
  const { target, connections, warmUpMs, durationMs, say, signal } = bench;
  const collector = new Collector(LOAD);
  const loop = { targets: [target], warmUpMs, durationMs };
  let most = 0;
  for (const count of connections) {
    say(`closed loop, ${count} connections`);
    const result = await load({ ...loop, mode: 'closed', connections: count }, signal);
    const at = { connections: count };
    if (addLoop(collector, 'closed loop', at, result)) {
      const common = { rival: SUBJECT, at, doubts: doubtsOf(result), detail: { ...result } };
      collector.add(
        { ...common, metric: 'closed loop: answers', unit: 'req/s', better: 'more', each: 'one run' },
        result.perSecond,
      );
      most = Math.max(most, result.perSecond);
    }
  }
  const rates = bench.rates.length > 0 ? bench.rates : most >= 2 ? [Math.floor(most / 2)] : [];
  for (const ratePerS of rates) {
    say(`open loop, ${ratePerS} requests per second`);
    const result = await load({ ...loop, mode: 'open', ratePerS, connections: 1000 }, signal);
    const behind = behindRate(result.perSecond, ratePerS, durationMs);
    addLoop(collector, 'open loop', { rate: ratePerS }, result, behind === null ? [] : [behind]);
  }
  if (bench.rates.length === 0 && rates.length > 0)
    collector.notes.push('The rate of the open loop is half of the most that the closed loop reached.');
  return collector.finish({
    program: bench.program,
    rounds: 1,
    order: 'one loop after the other',
    warmUp: `${warmUpMs / 1000} s before each loop of ${durationMs / 1000} s`,
  });
}

/** Latencies of a loop. @returns false where nothing was answered with success, which is noted */
function addLoop(
  collector: Collector,
  loop: string,
  at: Readonly<Record<string, number>>,
  result: LoadResult,
  more: readonly string[] = [],
): boolean {
  const doubts = [...doubtsOf(result), ...more];
  if (result.requests === 0) {
    collector.skip(
      SUBJECT,
      `${loop}, ${JSON.stringify(at)}`,
      doubts.join('; ') || 'no answer within the time',
    );
    return false;
  }
  const common = { rival: SUBJECT, at, unit: 'ms', better: 'less', doubts, detail: { ...result } } as const;
  for (const which of ['p50', 'p99', 'p999'] as const)
    collector.add(
      { ...common, metric: `${loop}: ${which}`, each: `${which} of one run` },
      result.latency[which],
    );
  return true;
}
