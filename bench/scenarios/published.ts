/** Figures that others published, with their source. They were measured on other machines: beside ours, never in a ratio. */
import type { Published } from '../../src/bench/model.ts';

const LATENCY =
  'fission/fission, branch gh-pages, dev/bench/latency/v1.27.0/data.js (2026-08-03, GitHub ubuntu-24.04 runner, kind)';
const THROUGHPUT = 'fission/fission, branch gh-pages, dev/bench/throughput/v1.27.0/data.js';
const WHO = 'Fission 1.27.0, its own CI';

const FIGURES = {
  coldstart: [
    {
      who: WHO,
      what: 'poolmgr, python, pool of 3, cold',
      value: 'p50 58 ms, p95 138 ms, max 149 ms (n = 20)',
      where: LATENCY,
    },
    { who: WHO, what: 'newdeploy, cold', value: 'p50 2,839 ms', where: LATENCY },
  ],
  burst: [
    {
      who: WHO,
      what: '10 first requests at once, same function',
      value: 'p50 2,448 ms, max 5,487 ms',
      where: LATENCY,
    },
    {
      who: WHO,
      what: '10 first requests at once, ten functions',
      value: 'p50 2,968 ms, max 6,008 ms',
      where: LATENCY,
    },
  ],
  throughput: [
    {
      who: WHO,
      what: '50 connections, warm',
      value: '3,074 req/s; p50 15.0 ms, p99 38.4 ms',
      where: THROUGHPUT,
    },
    { who: WHO, what: 'fixed rate of 1,000/s', value: 'p50 1.68 ms, p99 7.1 ms', where: THROUGHPUT },
    { who: WHO, what: '500 connections', value: '427 req/s, 3 % errors, max 57 s', where: THROUGHPUT },
  ],
  bodies: [{ who: WHO, what: '1 MiB bodies', value: '82 req/s, p50 303 ms', where: THROUGHPUT }],
} as const satisfies Readonly<Record<string, readonly Published[]>>;

/** By scenario; `pools` has the shape of Fission's own, so that all of them stand there. */
export const PUBLISHED: Readonly<Record<string, readonly Published[]>> = {
  ...FIGURES,
  pools: Object.values(FIGURES).flat(),
};
