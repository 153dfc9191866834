/** Which charts a scenario has, and what they are made of. */
import { keepsUp, pointText, type RunResult, type ScenarioResult, type Series } from '../model.ts';
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
  const figure = (title: string, svg: string, caption: string): void => {
    if (svg === '') return;
    charts.push(
      `<figure><h3>${escape(title)}</h3><div class="scroll">${svg}</div><figcaption>${escape(caption)}</figcaption></figure>`,
    );
  };
  const series = scenario.series.filter(({ metric }) => splitMetric(metric) === null);
  const axes = (
    at: string,
    metric: string,
    y: string,
    yText: (value: number) => string,
    x: string = at,
  ): string =>
    lines(linesOf(result, series, metric, at, look), { x, y, yText, label: `${metric} against ${x}` });
  const times = (some: readonly Series[], title = scenario.title): void => {
    const ms = some.filter(({ unit }) => unit === 'ms');
    figure(
      title,
      strips(groupsOf(ms, look), title),
      'Each dot is one measurement, the bar their median; the axis is logarithmic.',
    );
  };
  switch (scenario.name) {
    case 'coldstart': {
      const ms = series.filter(({ unit }) => unit === 'ms');
      figure(
        'How long an answer takes, cold and warm',
        strips(
          groupsOf(
            ms.filter(({ metric }) => !metric.startsWith('engine: ')),
            look,
          ),
          'distribution of cold starts',
        ),
        'Each dot is one measured answer; the bar is the median. The axis is logarithmic: each line to the right is ten times longer.',
      );
      figure(
        'Where the time of a request goes, as a caller feels it',
        stacks(stacksOf(scenario, look, true), 'where the time of a request goes'),
        `The parts that the platform tells of in an answer's receipt (medians, each of its own), and what is outside of it (connecting, HTTP on both sides, the caller's own work). What a platform does before the request comes, such as keeping an instance ready, is in none of them.`,
      );
      figure(
        'The same, inside the platform alone',
        stacks(stacksOf(scenario, look, false), 'where the time of a request goes inside the platform'),
        `${RECEIPT_PARTS.map((part) => `${part}: ${PART_TEXT[part]}`).join('; ')}. A part that took no time has no colour in the bars.`,
      );
      figure(
        'The two engines alone, without HTTP and threads',
        strips(
          groupsOf(
            ms.filter(({ metric }) => metric.startsWith('engine: ')),
            look,
          ),
          'what an engine does, and how often',
        ),
        'What is done once for a package, once for a process and once for a thread, and what each request pays. Each dot is one process.',
      );
      break;
    }
    case 'throughput':
      figure(
        'Answers per second, each connection asking again when it has its answer',
        axes('connections', 'closed loop: answers', 'answers per second', digits),
        'More is better; both axes are logarithmic. A bar is the range of the runs.',
      );
      figure(
        'Latency at fixed rates: what the slowest hundredth of the callers wait (p99)',
        axes('rate', 'open loop: p99', 'p99 latency', duration, 'requests per second'),
        'Counted from when each request should have been sent. Less is better; both axes are logarithmic, a bar is the range of the runs. Hollow: the server did not keep up with the rate, so that the latency tells how long the run was; where it fell far behind, no higher rate was tried.',
      );
      if (result.subject !== undefined) {
        figure(
          'How long answers took in the closed loop',
          distributions(distributionsOf(series, 'closed loop: p50'), 'latencies in the closed loop'),
          'Share of the requests against latency, a line for each number of connections.',
        );
        figure(
          'How long answers took at a fixed rate',
          distributions(distributionsOf(series, 'open loop: p50'), 'latencies in the open loop'),
          'Counted from the instant at which each request should have been sent.',
        );
      }
      break;
    case 'density':
      for (const code of new Set(series.map(({ at }) => at['code']))) {
        const of = series.filter(({ at }) => at['code'] === code);
        figure(
          `Memory of all processes${code === undefined ? '' : `, ${code === 'one for all' ? 'the same code for all functions' : 'each function with code of its own'}`}`,
          lines(linesOf(result, of, 'memory', 'functions', look), {
            x: 'functions',
            y: 'memory',
            yText: (mib) => `${digits(mib)} MiB`,
            label: 'memory against functions',
          }),
          'Proportional set size, which counts what processes share once. Less is better; both axes are logarithmic. A rival that serves one program has a process for each function.',
        );
      }
      break;
    case 'waiting':
      figure(
        'Until the last of the sleepers has its answer',
        axes(
          'guests',
          'until the last answer',
          'time',
          duration,
          'requests at once, each asleep for one second',
        ),
        'One second is the least. Less is better; both axes are logarithmic, a bar is the range of the runs.',
      );
      figure(
        'Memory while they sleep',
        axes(
          'guests',
          'memory at most, all processes',
          'memory',
          (mib) => `${digits(mib)} MiB`,
          'requests at once, each asleep for one second',
        ),
        'The most that all processes of a server had. Less is better; both axes are logarithmic.',
      );
      if (charts.length === 0) times(series);
      break;
    case 'neighbour':
      for (const [metric, title] of [
        ['p99', 'What the slowest hundredth of its callers wait (p99)'],
        ['p50', 'What half of its callers wait at most (p50)'],
        ['slowest', 'What its slowest caller waits'],
      ] as const)
        times(
          series.filter((one) => one.metric === metric),
          title,
        );
      break;
    case 'bodies':
      for (const [way, title] of [
        ['to the guest', 'Sending a body to the guest'],
        ['from the guest', 'Getting a body from the guest'],
        ['both ways', 'A body both ways (echo)'],
        ['events', 'Server-sent events'],
      ] as const)
        times(
          series.filter(({ metric }) => metric.startsWith(`${way}:`)),
          title,
        );
      break;
    case 'burst':
      figure(
        'Until the last of the answers is there',
        strips(
          groupsOf(
            series.filter(({ metric }) => metric.includes('last answer')),
            look,
          ),
          'bursts',
        ),
        'Each dot is one burst, in a process that had never been asked; the bar is the median.',
      );
      break;
    default:
      times(series);
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
      .map(({ at, raw, detail }) => ({
        x: Number(at[x]),
        hollow: !keepsUp({ at, detail }),
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
  // Those of a rival together, whenever they were measured.
  const bars = [...rivals].flatMap((rival) => [
    ...new Set(
      found.filter((one) => one.rival === rival).map(({ request }) => JSON.stringify([rival, request])),
    ),
  ]);
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
