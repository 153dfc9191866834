/** The HorizontalPodAutoscaler of one function; pure. */
import type { ResolvedScale } from '../../api/index.ts';
import type { HorizontalPodAutoscalerSpec, KubeObject, MetricSpec } from '../../kube/index.ts';
import { metadataOf, type Workload, workloadName } from './objects.ts';

export type Autoscaler = KubeObject & {
  readonly spec: HorizontalPodAutoscalerSpec;
};

/** Of `custom.metrics.k8s.io`, about a Function: calls that run, and calls that wait for a pod; over all routers. */
export const IN_FLIGHT_METRIC = 'fissium_requests_in_flight';
export const QUEUED_METRIC = 'fissium_requests_queued';

/** Kubernetes' own default. */
const DEFAULT_CPU_PERCENT = 80;
/** Calls that wait, for each pod, from which on there should be more. */
const QUEUED_PER_POD = 10;
const NATIVE = new Set(['Resource', 'ContainerResource']);

export interface AutoscalerPlan {
  /** null where there is nothing to scale between or by. */
  readonly autoscaler: Autoscaler | null;
  /** What of the function's wishes could not be followed, for a person. */
  readonly leftOut: readonly string[];
}

/**
 * @param customMetrics whether Kubernetes asks the platform for its metrics; where another adapter answers, a metric of
 *   ours would never have a value, and an HPA that misses one never scales down
 */
export function planAutoscaler(
  workload: Workload,
  scale: ResolvedScale,
  { customMetrics }: { readonly customMetrics: boolean },
): AutoscalerPlan {
  const min = Math.max(scale.min, 1);
  const { metrics, leftOut } = metricsOf(workload, scale, customMetrics);
  if (scale.max <= min || metrics.length === 0) return { autoscaler: null, leftOut };
  return {
    leftOut,
    autoscaler: {
      metadata: metadataOf(workload),
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: workloadName(workload) },
        minReplicas: min,
        maxReplicas: scale.max,
        metrics,
        ...(scale.behavior === null ? {} : { behavior: scale.behavior }),
      },
    },
  };
}

function metricsOf(
  workload: Workload,
  scale: ResolvedScale,
  customMetrics: boolean,
): { metrics: MetricSpec[]; leftOut: string[] } {
  const leftOut: string[] = [];
  const { limits, requests: asked } = mainContainer(workload)?.resources ?? {};
  // Kubernetes takes a limit for a request where there is none.
  const requests: Readonly<Record<string, string>> = { ...limits, ...asked };
  const native: MetricSpec[] = [];
  const written = scale.metrics as unknown as readonly MetricSpec[];
  const wanted: MetricSpec[] = [
    ...(scale.cpuPercent === null ? [] : [cpu(workload, scale.cpuPercent)]),
    ...written.map((metric) => ofMainContainer(metric, workload)),
  ];
  if (wanted.length === 0 && requests['cpu'] !== undefined) wanted.push(cpu(workload, DEFAULT_CPU_PERCENT));
  for (const metric of wanted) {
    const { name, target } = metric.containerResource ?? {};
    const needs = target?.type === 'Utilization' ? name : undefined;
    if (needs === undefined || requests[needs] !== undefined) native.push(metric);
    else {
      leftOut.push(
        `The autoscaler cannot follow a share of ${needs}, because the function requests none: set spec.resources.requests.${needs}.`,
      );
    }
  }
  // Who names metrics beyond pods' resources knows what to scale by.
  const hasOwn = written.some(({ type }) => !NATIVE.has(type));
  const ours = hasOwn || !customMetrics ? [] : concurrency(workload, scale);
  return { metrics: [...native, ...ours], leftOut };
}

function concurrency({ fn }: Workload, { callsPerPod }: ResolvedScale): MetricSpec[] {
  const about = (metric: string, perPod: number): MetricSpec => ({
    type: 'Object',
    object: {
      describedObject: { apiVersion: 'fission.io/v1', kind: 'Function', name: fn.metadata.name },
      metric: { name: metric },
      target: { type: 'AverageValue', averageValue: String(perPod) },
    },
  });
  return [about(IN_FLIGHT_METRIC, callsPerPod), about(QUEUED_METRIC, QUEUED_PER_POD)];
}

function cpu({ mainContainer: container }: Workload, percent: number): MetricSpec {
  const target = { type: 'Utilization', averageUtilization: percent };
  return { type: 'ContainerResource', containerResource: { name: 'cpu', container, target } };
}

/** Of the pod as a whole, every container would have to request it, the fetcher too (Fission rewrites these alike). */
function ofMainContainer(metric: MetricSpec, { mainContainer: container }: Workload): MetricSpec {
  const { type, resource } = metric;
  if (type !== 'Resource' || resource === undefined) return metric;
  const { name, target } = resource;
  return { type: 'ContainerResource', containerResource: { name, container, target } };
}

function mainContainer({
  pod,
  mainContainer: name,
}: Workload): Workload['pod']['containers'][number] | undefined {
  return pod.containers.find((container) => container.name === name);
}
