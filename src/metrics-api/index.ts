export {
  judgeMetricsApi,
  type ApiService,
  type MetricsApiState,
  type MetricsService,
} from './api-service.ts';
export { MetricsApi, type MetricsApiOptions } from './metrics-api.ts';
