import type { DeployedFunctionReport } from '../../control/host/deployed.ts';
import type { StrategyVerdict } from '../strategy.ts';

export interface HostsSituation {
  readonly generation: number;
  /** What each ready host says; null for one that does not answer or has not heard of the function. */
  readonly reports: readonly (DeployedFunctionReport | null)[];
  /** Hosts that are wanted; 0 where the pool is empty until somebody calls. */
  readonly wanted: number;
  /** Why hosts do not start, where something keeps them. */
  readonly trouble: { readonly reason: string; readonly message: string } | undefined;
}

/** A function's `Ready` condition, from what the hosts of its environment say. */
export function judgeHosts({ generation, reports, wanted, trouble }: HostsSituation): StrategyVerdict {
  if (reports.length === 0) {
    if (wanted === 0) {
      return { ready: true, reason: 'ScaledToZero', message: 'No host runs; the first call starts one.' };
    }
    if (trouble !== undefined) return { ready: false, ...trouble };
    return passing('HostsStarting', 'The hosts of its environment are starting.');
  }
  const current = reports.filter((report) => report !== null && report.generation === generation);
  const serving = current.filter((report) => report?.ready);
  const refused = current.find((report) => report !== null && !report.ready);
  if (refused) {
    const which =
      reports.length === 1 ? '' : `${reports.length - serving.length} of ${reports.length} hosts: `;
    return { ready: serving.length > 0, reason: refused.reason, message: which + refused.message };
  }
  if (serving.length < reports.length) {
    return passing('HostsBehind', `${serving.length} of ${reports.length} hosts serve it.`);
  }
  const hosts = reports.length === 1 ? '1 host serves' : `${reports.length} hosts serve`;
  return { ready: true, reason: 'Deployed', message: `${hosts} it.` };
}

function passing(reason: string, message: string): StrategyVerdict {
  return { ready: false, passing: true, reason, message };
}
