/** What the API server's refusal of an object means for the function. */
import { isApiError } from '../../kube/index.ts';
import type { StrategyVerdict } from '../strategy.ts';

/** undefined where trying again may help by itself. */
export function verdictOf(thrown: unknown): StrategyVerdict | undefined {
  if (!isApiError(thrown)) return undefined;
  const { status, message } = thrown;
  if (status === 400 || status === 422) {
    return {
      ready: false,
      reason: 'PodSpecRefused',
      message: `The API server refuses what the function's pods would be; correct the function or its environment: ${message}`,
    };
  }
  if (status !== 403) return undefined;
  return message.includes('exceeded quota')
    ? {
        ready: false,
        reason: 'QuotaExceeded',
        message: `The namespace's quota leaves no room for the function: ${message}`,
      }
    : {
        ready: false,
        reason: 'Forbidden',
        message: `The platform may not make the function's objects here: ${message}`,
      };
}
