/** Which figures stand on top: few, the same in each run, chosen before anything was measured. */
import type { RunResult } from '../model.ts';
import { ratiosOf, type Ratio } from '../ratios.ts';

const HEADLINES: readonly { readonly scenario: string; readonly metric: string }[] = [
  { scenario: 'coldstart', metric: 'first request of a running server' },
  { scenario: 'coldstart', metric: 'first request of a function just deployed' },
  { scenario: 'coldstart', metric: 'restart to first answer' },
  { scenario: 'coldstart', metric: 'engine: mean of instantiate and answer' },
  { scenario: 'burst', metric: 'one function: until the last answer' },
  { scenario: 'throughput', metric: 'closed loop: answers' },
  { scenario: 'throughput', metric: 'open loop: p99' },
  { scenario: 'bodies', metric: 'both ways: answers' },
  { scenario: 'waiting', metric: 'until the last answer' },
  { scenario: 'density', metric: 'memory' },
  { scenario: 'neighbour', metric: 'p99' },
  { scenario: 'deploy', metric: 'edit to answer' },
];

export interface Headline {
  readonly title: string;
  readonly at: string;
  readonly ratios: readonly Ratio[];
}

/** For each metric the points at which it was measured, each with its ratios; what was not measured is left out. */
export function headlines(result: RunResult): Headline[] {
  return HEADLINES.flatMap(({ scenario: name, metric }) => {
    const scenario = result.scenarios.find((one) => one.name === name);
    if (!scenario) return [];
    const ratios = ratiosOf(scenario).filter((ratio) => ratio.metric === metric);
    return [...new Set(ratios.map(({ at }) => at))].map((at) => ({
      title: `${scenario.title}: ${metric.replace(/^engine: /, 'the engine alone, ')}`,
      at,
      ratios: ratios.filter((ratio) => ratio.at === at),
    }));
  });
}
