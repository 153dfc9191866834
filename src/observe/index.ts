export { createMetrics } from './metrics.ts';
export type {
  CallMeasurement,
  FunctionName,
  GaugeSource,
  MetricsOptions,
  PlatformMetrics,
} from './measurements.ts';
export { checkName as checkLogName, type LogLine } from './log-line.ts';
export type { LogQuery } from './log-query.ts';
export { LogStore, type LogStoreOptions } from './log-store.ts';
