import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { benchFunction, SUBJECT, type FunctionBench } from '../src/bench/function-bench.ts';
import type { ScenarioResult } from '../src/bench/model.ts';
import { stacksOf } from '../src/bench/report/charts.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A platform as it is seen from outside: it gives a receipt where one is asked for. */
async function platform(status = 200): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const first = !asked.includes(request.url ?? '');
    asked.push(request.url ?? '');
    response.statusCode = status;
    if (request.headers['x-fissium-receipt'] === '1') {
      const parts = first
        ? 'specialise=2.5; instance=new; cold=first-request'
        : 'specialise=0; instance=reset';
      const receipt = `queue=0.5; guest=1; memory=1048576; ${parts}`;
      // As the platform does: in the head where the answer is whole, else behind the body.
      if (first) response.setHeader('x-fissium-receipt', receipt);
      else {
        response.setHeader('trailer', 'x-fissium-receipt');
        response.write('Hello');
        response.addTrailers({ 'x-fissium-receipt': receipt });
      }
    }
    response.end('Hello');
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const bench = (url: string, more: Partial<FunctionBench> = {}): FunctionBench => ({
  target: { url: `${url}/fn`, method: 'GET', bodyBytes: 0 },
  body: null,
  program: 'a function',
  copy: (i) => Promise.resolve(`${url}/copy-${i}`),
  copies: 3,
  connections: [2],
  rates: [100],
  warmUpMs: 50,
  durationMs: 200,
  say: () => {},
  ...more,
});

const valuesOf = (scenario: ScenarioResult | undefined, metric: string): readonly number[] =>
  scenario?.series.find((series) => series.metric === metric)?.raw ?? [];

describe('the benchmark of a function', () => {
  it('times first requests to copies, splits them by the receipt, and loads the function', async () => {
    const { url, asked } = await platform();
    const [cold, load] = await benchFunction(bench(url));
    expect(asked.slice(0, 6)).toEqual(['/copy-0', '/copy-0', '/copy-1', '/copy-1', '/copy-2', '/copy-2']);
    expect(valuesOf(cold, 'first request')).toHaveLength(3);
    expect(valuesOf(cold, 'first request, from the receipt: specialise')).toEqual([2.5, 2.5, 2.5]);
    expect(valuesOf(cold, 'second request, from the receipt: specialise')).toEqual([0, 0, 0]);
    expect(valuesOf(cold, 'usual request: memory of the guest, by the receipt')[0]).toBe(1);
    expect(cold?.notRun).toEqual([]);
    const stacks = stacksOf(cold as ScenarioResult, { colour: () => 'r0', title: (name) => name }, false);
    expect(stacks[0]).toEqual({
      label: 'first request',
      parts: [
        { name: 'queue', value: 0.5 },
        { name: 'specialise', value: 2.5 },
        { name: 'guest', value: 1 },
      ],
    });
    expect(stacks.map(({ label }) => label)).toEqual(['first request', 'second request', 'usual request']);
    expect(valuesOf(load, 'closed loop: answers')[0]).toBeGreaterThan(0);
    expect(load?.series.find(({ metric }) => metric === 'open loop: p99')?.at).toEqual({ rate: 100 });
    expect(load?.series.every(({ rival }) => rival === SUBJECT)).toBe(true);
  });

  it('takes half of the most for the open loop where no rate is given', async () => {
    const { url } = await platform();
    const [, load] = await benchFunction(bench(url, { copies: 0, rates: [] }));
    const most = valuesOf(load, 'closed loop: answers')[0] ?? 0;
    expect(load?.series.find(({ metric }) => metric === 'open loop: p50')?.at).toEqual({
      rate: Math.floor(most / 2),
    });
  });

  it('measures the function also where no copy can be made, and says so', async () => {
    const { url } = await platform();
    const copy = () => Promise.reject(new Error('functions is forbidden'));
    const [cold] = await benchFunction(bench(url, { copy }));
    expect(cold?.notRun).toContainEqual(expect.objectContaining({ why: 'functions is forbidden' }));
    expect(valuesOf(cold, 'usual request').length).toBeGreaterThan(0);
  });

  it('measures nothing of a function that fails', async () => {
    const { url } = await platform(500);
    await expect(benchFunction(bench(url, { copies: 0 }))).rejects.toThrow('answered 500: Hello');
  });
});
