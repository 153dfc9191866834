import { describe, expect, it } from 'vitest';
import { keepsUp, type ScenarioResult } from './model.ts';
import { comparisonText, ratiosOf, ratioText } from './ratios.ts';
import { digits, median, quantile } from './stats.ts';

describe('statistics', () => {
  it('interpolates between neighbours, whatever the order', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(quantile([10, 20, 30, 40, 50], 0.99)).toBeCloseTo(49.6);
  });

  it('has no quantile of nothing', () => {
    expect(() => median([])).toThrow(RangeError);
  });

  it('prints three digits', () => {
    expect([12_345, 123.4, 12.34, 1.234, 0.1234, 0].map((value) => digits(value))).toEqual([
      '12,345',
      '123',
      '12.3',
      '1.23',
      '0.123',
      '0',
    ]);
  });
});

function scenario(series: ScenarioResult['series']): ScenarioResult {
  return {
    name: 'test',
    title: 'Test',
    what: '',
    method: { warmUp: '', rounds: 3, order: '', program: '' },
    series,
    notRun: [],
    notes: [],
    loadAverageBefore: 0,
    loadAverageAfter: 0,
    othersBusy: 0,
    durationS: 1,
  };
}

describe('ratios', () => {
  const time = { metric: 'answer', at: {}, unit: 'ms', better: 'less', each: 'one request' } as const;
  const rate = {
    metric: 'rate',
    at: { connections: 16 },
    unit: 'req/s',
    better: 'more',
    each: 'one run',
  } as const;

  it('say better only where the platform is better, for times and for rates', () => {
    const [slower, faster] = ratiosOf(
      scenario([
        { ...time, rival: 'fissium', raw: [10, 10, 10] },
        { ...time, rival: 'other', raw: [5, 5, 5] },
        { ...rate, rival: 'fissium', raw: [400, 400, 400] },
        { ...rate, rival: 'other', raw: [100, 100, 100] },
      ]),
    );
    expect(slower).toMatchObject({ advantage: 0.5, unsure: false });
    expect(faster).toMatchObject({ advantage: 4, at: '16 connections' });
  });

  it('are unsure where ranges overlap or values are few', () => {
    const pair = (ours: number[], theirs: number[]) =>
      ratiosOf(
        scenario([
          { ...time, rival: 'fissium', raw: ours },
          { ...time, rival: 'other', raw: theirs },
        ]),
      )[0]?.unsure;
    expect(pair([1, 2, 3], [4, 5, 6])).toBe(false);
    expect(pair([1, 2, 5], [4, 5, 6])).toBe(true);
    expect(pair([1, 2], [4, 5, 6])).toBe(true);
  });

  it('are none where one of the two did not keep up with the rate: its latency tells how long the run was', () => {
    const open = { ...time, metric: 'open loop: p99', at: { rate: 1000 } } as const;
    const rounds = (...perSecond: number[]) => ({
      detail: { rounds: perSecond.map((each) => ({ perSecond: each, durationMs: 3000 })) },
    });
    const of = (ours: readonly number[], theirs: readonly number[]) =>
      ratiosOf(
        scenario([
          { ...open, rival: 'fissium', raw: [3, 3, 3], ...rounds(...ours) },
          { ...open, rival: 'other', raw: [3000, 3000, 3000], ...rounds(...theirs) },
        ]),
      ).map((ratio) => [ratio.advantage, comparisonText(ratio)]);
    expect(of([1000, 999, 1000], [300, 300, 990])).toEqual([[null, 'does not keep up']]);
    expect(of([300, 300, 990], [1000, 999, 1000])).toEqual([[null, 'Fissium does not keep up']]);
    expect(of([1000, 999, 1000], [300, 990, 990])).toEqual([[1000, '1000 × better']]);
  });

  it('count a short run as kept up with whose last answers are a little late', () => {
    const round = (perSecond: number) =>
      keepsUp({ at: { rate: 300 }, detail: { rounds: [{ perSecond, durationMs: 1200 }] } });
    expect([round(300), round(290), round(200)]).toEqual([true, true, false]);
  });

  it('are none for parts of a receipt: what one does before the request another does in it', () => {
    const part = { ...time, metric: 'usual request, from the receipt: instantiate' } as const;
    expect(
      ratiosOf(
        scenario([
          { ...part, rival: 'fissium', raw: [0.01] },
          { ...part, rival: 'other', raw: [7] },
        ]),
      ),
    ).toEqual([]);
  });

  it('carry the doubts of both figures', () => {
    const [ratio] = ratiosOf(
      scenario([
        { ...time, rival: 'fissium', raw: [1], doubts: ['a'] },
        { ...time, rival: 'other', raw: [2], doubts: ['b'] },
      ]),
    );
    expect(ratio?.doubts).toEqual(['a', 'b']);
  });

  it('are cut, not rounded, and never flattering', () => {
    expect(ratioText(4.99)).toBe('4.9 × better');
    expect(ratioText(1 / 4.99)).toBe('4.9 × worse');
    expect(ratioText(12.9)).toBe('12 × better');
    expect(ratioText(1.06)).toBe('1.06 × better');
    expect(ratioText(0.97)).toBe('about the same');
  });
});
