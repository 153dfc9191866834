/** Which charts a scenario has, and what they are made of. */
import { pointText, type RunResult, type ScenarioResult, type Series } from '../model.ts';
import { PART_TEXT, RECEIPT_PARTS } from '../receipt.ts';
import { OUTSIDE, splitMetric } from '../split.ts';
import { digits, median } from '../stats.ts';
import {
  distributions,
  duration,
  escape,
  lines,
  stacks,
  strips,
  type Distribution,
  type Line,
  type Stack,
  type StripGroup,
} from './svg.ts';

/** How the page shows a rival. */
export interface RivalLook {
  colour(rival: string): string;
  title(rival: string): string;
}

/** More dots than that are a smear. */
const MOST_DOTS = 300;

/** The scenario's figures as HTML; empty where there is nothing to draw. */
export function chartsOf(result: RunResult, scenario: ScenarioResult, look: RivalLook): string {
  const charts: string[] = [];
  const figure = (svg: string, caption: string): void => {
    if (svg !== '') charts.push(`<figure>${svg}<figcaption>${escape(caption)}</figcaption></figure>`);
  };
  const series = scenario.series.filter(({ metric }) => splitMetric(metric) === null);
  const axes = (x: string, metric: string, y: string, yText: (value: number) => string): string =>
    lines(linesOf(result, series, metric, x, look), { x, y, yText, label: `${metric} against ${x}` });
  switch (scenario.name) {
    case 'coldstart': {
      const ms = series.filter(({ unit }) => unit === 'ms');
      figure(
        strips(
          groupsOf(
            ms.filter(({ metric }) => !metric.startsWith('engine: ')),
            look,
          ),
          'distribution of cold starts',
        ),
        'Each dot is one measured start; the bar is the median. The axis is logarithmic: each line to the right is ten times longer.',
      );
      figure(
        stacks(stacksOf(scenario, look, true), 'where the time of a request goes'),
        `Where the time goes, as a caller feels it: the parts that the receipt tells (medians, each of its own), and what is outside of it (connecting, HTTP on both sides, the caller's own work).`,
      );
      figure(
        stacks(stacksOf(scenario, look, false), 'where the time of a request goes inside the platform'),
        `The same without what is outside: ${RECEIPT_PARTS.map((part) => `${part}: ${PART_TEXT[part]}`).join('; ')}.`,
      );
      figure(
        strips(
          groupsOf(
            ms.filter(({ metric }) => metric.startsWith('engine: ')),
            look,
          ),
          'what an engine does, and how often',
        ),
        'The two engines alone, without HTTP and threads: what is done once for a package, once for a process and once for a thread, and what each request pays.',
      );
      break;
    }
    case 'throughput':
      figure(
        axes('connections', 'closed loop: answers', 'answers per second', digits),
        'Answers per second against open connections. More is better; both axes are logarithmic.',
      );
      figure(
        axes('rate', 'open loop: p99', 'p99 latency', duration),
        'Latency against rate, requests per second: the slowest hundredth of the answers, counted from when each request should have been sent. Less is better.',
      );
      if (result.subject !== undefined) {
        figure(
          distributions(distributionsOf(series, 'closed loop: p50'), 'latencies in the closed loop'),
          'How long answers took in the closed loop: share of the requests against latency, on a logarithmic axis.',
        );
        figure(
          distributions(distributionsOf(series, 'open loop: p50'), 'latencies in the open loop'),
          'The same at a fixed rate, from the instant at which each request should have been sent.',
        );
      }
      break;
    case 'density':
      for (const code of new Set(series.map(({ at }) => at['code']))) {
        const of = series.filter(({ at }) => at['code'] === code);
        figure(
          lines(linesOf(result, of, 'memory', 'functions', look), {
            x: 'functions',
            y: 'memory',
            yText: (mib) => (mib < 1024 ? `${digits(mib)} MiB` : `${digits(mib / 1024)} GiB`),
            label: 'memory against functions',
          }),
          `Memory against functions${code === undefined ? '' : `, code: ${code}`}: proportional set size of all processes.`,
        );
      }
      break;
    case 'burst':
      figure(
        strips(
          groupsOf(
            series.filter(({ metric }) => metric.includes('last answer')),
            look,
          ),
          'bursts',
        ),
        'Until the last of the answers was there, each dot a burst.',
      );
      break;
    default:
      figure(
        strips(
          groupsOf(
            series.filter(({ unit }) => unit === 'ms'),
            look,
          ),
          scenario.title,
        ),
        'Each dot is one measurement, the bar their median; the axis is logarithmic.',
      );
  }
  return charts.join('');
}

function groupsOf(series: readonly Series[], look: RivalLook): StripGroup[] {
  const label = ({ metric, at }: Series): string =>
    `${metric.replace('engine: ', '')}${pointText(at) === '' ? '' : ` (${pointText(at)})`}`;
  const labels = [...new Set(series.map((one) => label(one)))];
  return labels.map((name) => ({
    label: name,
    rows: series
      .filter((one) => label(one) === name && one.raw.some((value) => value > 0))
      .map(({ rival, raw }) => ({
        label: short(look.title(rival)),
        colour: look.colour(rival),
        values: raw.length > MOST_DOTS ? thinned(raw) : raw,
        median: median(raw),
      })),
  }));
}

function linesOf(
  result: RunResult,
  series: readonly Series[],
  metric: string,
  x: string,
  look: RivalLook,
): Line[] {
  const all = result.rivals.map(({ name, title }) => ({
    label: short(title),
    colour: look.colour(name),
    points: series
      .filter((one) => one.rival === name && one.metric === metric && one.raw.length > 0)
      .map(({ at, raw }) => ({
        x: Number(at[x]),
        y: median(raw),
        low: Math.min(...raw),
        high: Math.max(...raw),
      }))
      .filter((point) => point.x > 0 && point.low > 0)
      .toSorted((a, b) => a.x - b.x),
  }));
  // One point is no line.
  return new Set(all.flatMap(({ points }) => points.map((point) => point.x))).size < 2 ? [] : all;
}

/** A bar for each kind of request of each rival that gave receipts; the parts are medians. */
export function stacksOf(scenario: ScenarioResult, look: RivalLook, outside: boolean): Stack[] {
  const found = scenario.series.flatMap((series) => {
    const split = splitMetric(series.metric);
    return split === null || series.raw.length === 0 ? [] : [{ ...split, rival: series.rival, series }];
  });
  const rivals = new Set(found.map(({ rival }) => rival));
  const bars = [...new Set(found.map(({ rival, request }) => JSON.stringify([rival, request])))];
  const names = [...RECEIPT_PARTS, ...(outside ? [OUTSIDE] : [])].filter((name) =>
    found.some(({ part, series }) => part === name && median(series.raw) > 0),
  );
  return bars.map((key) => {
    const [rival, request] = JSON.parse(key) as [string, string];
    return {
      label: rivals.size > 1 ? `${short(look.title(rival))}: ${request}` : request,
      parts: names.map((name) => {
        const one = found.find(
          (each) => each.rival === rival && each.request === request && each.part === name,
        );
        return { name, value: one === undefined ? 0 : median(one.series.raw) };
      }),
    };
  });
}

function distributionsOf(series: readonly Series[], metric: string): Distribution[] {
  return series
    .filter((one) => one.metric === metric)
    .flatMap(({ at, detail }) => {
      const rounds = (detail?.['rounds'] ?? []) as readonly { readonly buckets?: Distribution['buckets'] }[];
      const buckets = rounds.flatMap((round) => round.buckets ?? []);
      return buckets.length === 0 ? [] : [{ label: pointText(at), buckets }];
    });
}

/** What fits beside a chart. */
function short(title: string): string {
  return title.replace(/ \(.*\)$/, '').replace('--isolate-requests instance', '(instance each)');
}

/** An even choice of the sorted values, the ends among them. */
function thinned(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return Array.from(
    { length: MOST_DOTS },
    (_, i) => sorted[Math.round((i / (MOST_DOTS - 1)) * (sorted.length - 1))] ?? 0,
  );
}
