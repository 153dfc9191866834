import { describe, expect, it } from 'vitest';

import { newdeployKind } from '../newdeploy/index.ts';
import { functionOnCluster, type FunctionParts } from '../testing/functions.ts';
import { type AutoscalerPlan, planAutoscaler } from './autoscaler.ts';

const kind = newdeployKind({ image: 'fissium:1', serviceAccount: 'fissium-host' });

function plan(parts: Partial<FunctionParts>, customMetrics = true): AutoscalerPlan {
  const fn = functionOnCluster({ strategy: 'newdeploy', ...parts });
  const { scale } = fn.resolved;
  if (scale === null) throw new Error('newdeploy has a scale');
  const { object, environment } = fn;
  const workload = {
    strategy: 'newdeploy' as const,
    fn: object,
    environment: environment?.object ?? null,
    ...kind.pods(fn),
    revision: [],
  };
  return planAutoscaler(workload, scale, { customMetrics });
}

const CPU = (averageUtilization: number) => ({
  type: 'ContainerResource',
  containerResource: {
    name: 'cpu',
    container: 'python',
    target: { type: 'Utilization', averageUtilization },
  },
});
const object = (name: string, averageValue: string) => ({
  type: 'Object',
  object: {
    describedObject: { apiVersion: 'fission.io/v1', kind: 'Function', name: 'hello' },
    metric: { name },
    target: { type: 'AverageValue', averageValue },
  },
});
const OURS = [object('fissium_requests_in_flight', '20'), object('fissium_requests_queued', '10')];
const asksCpu = { spec: { resources: { requests: { cpu: '100m' } } } };
const resourceCpu = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } },
};
const external = { type: 'External', external: { metric: { name: 'x' } } };

describe('the autoscaler', () => {
  it('follows concurrency by default, and CPU where it is requested', () => {
    expect(plan({}).autoscaler?.spec).toEqual({
      scaleTargetRef: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        name: 'newdeploy-hello-default-4444-555555555555',
      },
      // From none to one is the controller's.
      minReplicas: 1,
      maxReplicas: 3,
      metrics: OURS,
    });
    expect(plan(asksCpu).autoscaler?.spec.metrics).toEqual([CPU(80), ...OURS]);
  });

  it.each<[string, Partial<FunctionParts>, unknown[]]>([
    ['a CPU target', { ...asksCpu, scale: { TargetCPUPercent: 50 } }, [CPU(50), ...OURS]],
    [
      'metrics of the pods, of which only the runtime’s container counts',
      { ...asksCpu, scale: { hpaMetrics: [resourceCpu] } },
      [CPU(60), ...OURS],
    ],
    ['metrics of their own, and then no others', { scale: { hpaMetrics: [external] } }, [external]],
    [
      'calls in one pod',
      { spec: { requestsPerPod: 4 } },
      [object('fissium_requests_in_flight', '4'), OURS[1]],
    ],
  ])('follows what users ask for: %s', (_what, parts, metrics) => {
    expect(plan(parts).autoscaler?.spec.metrics).toEqual(metrics);
  });

  it('leaves out a share of what is not requested, which would keep it from scaling down, and says so', () => {
    const made = plan({ scale: { TargetCPUPercent: 50 } });
    expect(made.autoscaler?.spec.metrics).toEqual(OURS);
    expect(made.leftOut).toEqual([expect.stringContaining('set spec.resources.requests.cpu') as unknown]);
  });

  it('takes a limit for a request, as Kubernetes does', () => {
    expect(plan({ spec: { resources: { limits: { cpu: '1' } } } }).autoscaler?.spec.metrics).toEqual([
      CPU(80),
      ...OURS,
    ]);
  });

  it('asks for no metrics of ours where another adapter answers', () => {
    expect(plan(asksCpu, false).autoscaler?.spec.metrics).toEqual([CPU(80)]);
    expect(plan({}, false).autoscaler).toBeNull();
  });

  it('is not there where there is nothing to scale between', () => {
    expect(plan({ scale: { MinScale: 2, MaxScale: 2 } }).autoscaler).toBeNull();
    expect(plan({ scale: { MaxScale: 1 } }).autoscaler).toBeNull();
  });

  it('moves as users say', () => {
    const hpaBehavior = { scaleDown: { stabilizationWindowSeconds: 0 } };
    expect(plan({ scale: { hpaBehavior } }).autoscaler?.spec.behavior).toEqual(hpaBehavior);
  });
});
