/**
 * The documents of `custom.metrics.k8s.io` (k8s.io/metrics, pkg/apis/custom_metrics), in both of its versions. Pure.
 */
import { METRICS } from './metrics.ts';

export const GROUP = 'custom.metrics.k8s.io';
export const VERSIONS = ['v1beta2', 'v1beta1'] as const;
export type MetricsVersion = (typeof VERSIONS)[number];
/** As metrics' paths name the functions: plural and group. */
export const FUNCTIONS = 'functions.fission.io';

export interface MeasuredFunction {
  readonly namespace: string;
  readonly name: string;
  readonly value: number;
}

export function isVersion(text: string): text is MetricsVersion {
  return VERSIONS.some((version) => version === text);
}

/** `/apis/custom.metrics.k8s.io` */
export function groupDocument(): object {
  const versions = VERSIONS.map((version) => ({ groupVersion: `${GROUP}/${version}`, version }));
  return { kind: 'APIGroup', apiVersion: 'v1', name: GROUP, versions, preferredVersion: versions[0] };
}

/** `/apis/custom.metrics.k8s.io/VERSION` */
export function resourcesDocument(version: MetricsVersion): object {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${GROUP}/${version}`,
    resources: Object.keys(METRICS).map((metric) => ({
      name: `${FUNCTIONS}/${metric}`,
      singularName: '',
      namespaced: true,
      kind: 'MetricValueList',
      verbs: ['get'],
    })),
  };
}

export function metricValueList(
  version: MetricsVersion,
  metric: string,
  measured: readonly MeasuredFunction[],
  now: Date,
): object {
  const timestamp = now.toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    kind: 'MetricValueList',
    apiVersion: `${GROUP}/${version}`,
    metadata: {},
    items: measured.map(({ namespace, name, value }) => ({
      describedObject: { kind: 'Function', namespace, name, apiVersion: 'fission.io/v1' },
      ...(version === 'v1beta2'
        ? { metric: { name: metric, selector: null } }
        : { metricName: metric, selector: null }),
      timestamp,
      value: String(value),
    })),
  };
}

/** A refusal, as Kubernetes' clients read it. */
export function statusDocument(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}
