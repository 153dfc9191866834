/** Collects what a scenario finds, value by value. */
import { loadAverage, OthersWatch } from './machine.ts';
import type { Method, NotRun, Point, Published, ScenarioResult, Series, Unit } from './model.ts';

/** What is measured, for somebody who has never seen the project. */
export interface Subject {
  readonly name: string;
  readonly title: string;
  readonly what: string;
}

export interface Figure {
  readonly rival: string;
  readonly metric: string;
  readonly at?: Point;
  readonly unit: Unit;
  readonly better: 'less' | 'more';
  readonly each: string;
  readonly doubts?: readonly string[];
  readonly detail?: Readonly<Record<string, unknown>>;
}

export class Collector {
  readonly #scenario: Subject;
  readonly #startedAt = performance.now();
  readonly #others = new OthersWatch();
  readonly #loadBefore = loadAverage();
  readonly #series = new Map<string, Figure & { raw: number[]; doubts: string[]; details: unknown[] }>();
  readonly #notRun: NotRun[] = [];
  readonly notes: string[] = [];
  /** How often each rival failed in this scenario. */
  readonly failures = new Map<string, number>();

  constructor(scenario: Subject) {
    this.#scenario = scenario;
  }

  /** Adds values to the series of this rival, metric and point. */
  add(figure: Figure, ...values: number[]): void {
    const key = JSON.stringify([figure.rival, figure.metric, figure.at ?? {}]);
    let series = this.#series.get(key);
    if (!series) {
      series = { ...figure, raw: [], doubts: [], details: [] };
      this.#series.set(key, series);
    }
    series.raw.push(...values);
    // The same doubt in each round is said once, with the first round's numbers.
    const same = (a: string, b: string): boolean =>
      a.replaceAll(/[\d.]+/g, '') === b.replaceAll(/[\d.]+/g, '');
    for (const doubt of figure.doubts ?? []) {
      if (!series.doubts.some((known) => same(known, doubt))) series.doubts.push(doubt);
    }
    if (figure.detail) series.details.push(figure.detail);
  }

  /** Says once that something was not measured. */
  skip(rival: string, what: string, why: string): void {
    if (this.#notRun.some((one) => one.rival === rival && one.what === what)) return;
    this.#notRun.push({ rival, what, why });
  }

  finish(method: Method, published?: readonly Published[]): ScenarioResult {
    const { name, title, what } = this.#scenario;
    const series: Series[] = [...this.#series.values()].map(({ details, at = {}, ...rest }) => ({
      ...rest,
      at,
      ...(details.length === 0 ? {} : { detail: { rounds: details } }),
    }));
    return {
      name,
      title,
      what,
      method,
      series,
      notRun: this.#notRun,
      notes: this.notes,
      ...(published ? { published } : {}),
      loadAverageBefore: this.#loadBefore,
      othersBusy: this.#others.share(),
      loadAverageAfter: loadAverage(),
      durationS: (performance.now() - this.#startedAt) / 1000,
    };
  }
}
