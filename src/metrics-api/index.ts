export {
  judgeMetricsApi,
  type ApiService,
  type MetricsApiState,
  type MetricsService,
} from './api-service.ts';
export type { MetricsApi } from './metrics-api.ts';
export { startMetricsApi, type StartedMetricsApi, type StartMetricsApiOptions } from './start.ts';
