import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CallMeasurement, PlatformMetrics } from './measurements.ts';
import { createMetrics } from './metrics.ts';

let metrics: PlatformMetrics;
beforeEach(() => {
  vi.useFakeTimers();
  metrics = createMetrics({ processMetrics: false, keepRemovedMs: 1000, seriesPerFunction: 3 });
});
afterEach(() => {
  metrics.close();
  vi.useRealTimers();
});

function call(parts: Partial<CallMeasurement> = {}): void {
  const made: CallMeasurement = {
    namespace: 'default',
    name: 'f',
    path: '/f',
    method: 'GET',
    status: 200,
    durationMs: 20,
    overheadMs: 1,
    coldStart: false,
    failure: null,
    ...parts,
  };
  metrics.callStarted(made);
  metrics.callFinished(made);
}

async function lines(start: string): Promise<string[]> {
  return (await metrics.page()).body.split('\n').filter((line) => line.startsWith(start));
}

describe('metrics', () => {
  it('have Fission’s names and labels', async () => {
    call();
    call({ status: 500 });
    const labels = 'function_namespace="default",function_name="f",path="/f",method="GET"';
    expect(await lines('fission_function_calls_total')).toEqual([
      `fission_function_calls_total{${labels},code="200"} 1`,
      `fission_function_calls_total{${labels},code="500"} 1`,
    ]);
    expect(await lines('fission_function_errors_total')).toEqual([
      `fission_function_errors_total{${labels},code="500"} 1`,
    ]);
    expect(await lines('fission_function_overhead_seconds_sum')).toHaveLength(2);
  });

  it('count a client that goes as a call, not as a failure of the function', async () => {
    call({ status: 499, failure: { code: 'CLIENT_GONE', fault: 'caller' } });
    expect(await lines('fission_invocation_failures_total{')).toEqual([]);
    expect(await lines('fission_function_calls_total')).toHaveLength(1);
  });

  it('never have more series for a function than allowed', async () => {
    for (let status = 200; status < 300; status += 1) call({ status, method: `M${status}` });
    const calls = await lines('fission_function_calls_total');
    expect(calls).toHaveLength(4);
    expect(calls.at(-1)).toMatch(/path="<other>",method="<other>",code="2xx"\} 97$/);
  });

  it('forget a removed function after a while, unless it comes back', async () => {
    call();
    call({ name: 'g', path: '/g' });
    metrics.functionRemoved({ namespace: 'default', name: 'f' });
    metrics.functionRemoved({ namespace: 'default', name: 'g' });
    expect(await lines('fission_function_calls_total')).toHaveLength(2);
    metrics.functionAdded({ namespace: 'default', name: 'g' });
    vi.advanceTimersByTime(1001);
    const { body } = await metrics.page();
    expect(body).not.toContain('function_name="f"');
    expect(body).toContain('function_name="g"');
  });

  it('ask their sources at each scrape', async () => {
    let queued = 3;
    const remove = metrics.addSource({
      queued: () => [{ namespace: 'default', name: 'f', queued }],
      instances: () => [{ namespace: 'default', name: 'f', instances: 2 }],
      routes: () => 7,
    });
    const labels = '{function_namespace="default",function_name="f"}';
    expect(await lines('fission_function_queue_depth')).toEqual([`fission_function_queue_depth${labels} 3`]);
    expect(await lines('fission_function_instances')).toEqual([`fission_function_instances${labels} 2`]);
    expect(await lines('fission_router_routes')).toEqual(['fission_router_routes 7']);
    queued = 0;
    remove();
    expect(await lines('fission_function_queue_depth')).toEqual([]);
  });

  it('measure the process unless told not to', async () => {
    const whole = createMetrics();
    expect((await whole.page()).body).toContain('process_resident_memory_bytes');
    whole.close();
  });
});
