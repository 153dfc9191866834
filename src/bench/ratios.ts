/** The headline of a run: how the platform compares with each rival in each figure, whichever way it falls. */
import { keepsUp, pointText, type ScenarioResult, type Series, type Unit } from './model.ts';
import { splitMetric } from './split.ts';
import { median } from './stats.ts';

export const OURS = 'fissium';

/** From fewer values no range can be told. */
const LEAST_VALUES = 3;

function overlap(a: readonly number[], b: readonly number[]): boolean {
  return Math.min(...a) <= Math.max(...b) && Math.min(...b) <= Math.max(...a);
}

export interface Ratio {
  readonly scenario: string;
  readonly metric: string;
  readonly at: string;
  readonly rival: string;
  readonly ours: number;
  readonly theirs: number;
  readonly unit: Unit;
  /**
   * Above 1: Fissium is better by this factor; below 1: the rival is. Null where there is none, because one of the two
   * did not keep up with the rate.
   */
  readonly advantage: number | null;
  /** Which of the two did not keep up with the rate. */
  readonly behind: 'nobody' | 'ours' | 'theirs' | 'both';
  /** The ranges of both overlap, or one has fewer than three values: the order of the two is not sure. */
  readonly unsure: boolean;
  readonly doubts: readonly string[];
}

/**
 * One ratio for each figure that both have, in the scenario's order. The parts of a receipt have none: what one platform
 * does before the request came another does in it, and a part alone would say that it is hundreds of times faster.
 */
export function ratiosOf(scenario: ScenarioResult): Ratio[] {
  const key = (series: Series): string => `${series.metric}|${pointText(series.at)}`;
  const ours = new Map(
    scenario.series.filter(({ rival }) => rival === OURS).map((s) => [key(s), s] as const),
  );
  return scenario.series.flatMap((theirs) => {
    const own = ours.get(key(theirs));
    if (!own || theirs.rival === OURS || splitMetric(theirs.metric) !== null) return [];
    if (own.raw.length === 0 || theirs.raw.length === 0) return [];
    const [a, b] = [median(own.raw), median(theirs.raw)];
    if (!(a > 0) || !(b > 0)) return [];
    const behind = whoIsBehind(keepsUp(own), keepsUp(theirs));
    return [
      {
        scenario: scenario.name,
        metric: theirs.metric,
        at: pointText(theirs.at),
        rival: theirs.rival,
        ours: a,
        theirs: b,
        unit: theirs.unit,
        advantage: behind !== 'nobody' ? null : theirs.better === 'less' ? b / a : a / b,
        behind,
        unsure: Math.min(own.raw.length, theirs.raw.length) < LEAST_VALUES || overlap(own.raw, theirs.raw),
        doubts: [...(own.doubts ?? []), ...(theirs.doubts ?? [])],
      },
    ];
  });
}

function whoIsBehind(ours: boolean, theirs: boolean): Ratio['behind'] {
  if (ours) return theirs ? 'nobody' : 'theirs';
  return theirs ? 'ours' : 'both';
}

const BEHIND = {
  nobody: '',
  ours: 'Fissium does not keep up',
  theirs: 'does not keep up',
  both: 'neither keeps up',
} as const;

/** The ratio in words, or who did not keep up. */
export function comparisonText({ advantage, behind }: Pick<Ratio, 'advantage' | 'behind'>): string {
  return advantage === null ? BEHIND[behind] : ratioText(advantage);
}

/** `4.2 × better`, `1.3 × worse`, `about the same`: from the platform's side, without rounding in its favour. */
export function ratioText(advantage: number): string {
  if (advantage > 0.95 && advantage < 1.05) return 'about the same';
  const factor = advantage >= 1 ? advantage : 1 / advantage;
  const digits = factor >= 10 ? 0 : factor >= 2 ? 1 : 2;
  // Cut, not rounded: 4.99 is not five times.
  const shown = (Math.floor(factor * 10 ** digits) / 10 ** digits).toFixed(digits);
  return `${shown} × ${advantage >= 1 ? 'better' : 'worse'}`;
}
