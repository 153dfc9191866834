/** The kinds of chart that the page has, as SVG text. Colours are classes, so that the page's theme sets them. */
import { digits } from '../stats.ts';

export interface StripRow {
  readonly label: string;
  /** Class of the rival: `r0`, `r1`, … */
  readonly colour: string;
  readonly values: readonly number[];
  readonly median: number;
}

export interface StripGroup {
  readonly label: string;
  readonly rows: readonly StripRow[];
}

export interface Line {
  readonly label: string;
  readonly colour: string;
  readonly points: readonly {
    readonly x: number;
    readonly y: number;
    readonly low: number;
    readonly high: number;
    /** Drawn hollow: what the figure says there is not what the others say. */
    readonly hollow?: boolean;
  }[];
}

const WIDTH = 900;
const LABELS = 210;
const RIGHT = 90;
/** Colours for the parts of a bar, which are nobody's: those of the rivals would say that a part is one. */
const PARTS = 7;

export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** Milliseconds in the unit that reads best. */
export function duration(ms: number): string {
  if (ms < 1) return `${digits(ms * 1000)} µs`;
  if (ms < 1000) return `${digits(ms)} ms`;
  return `${digits(ms / 1000)} s`;
}

interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

function logScale(values: readonly number[], from: number, to: number): Scale {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive)) - 1e-9));
  const at = (value: number): number =>
    from + ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * (to - from);
  return { at, ticks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)) };
}

/** Every value as a dot on a logarithmic axis of time, the median as a bar with its figure. */
export function strips(groups: readonly StripGroup[], label: string): string {
  const values = groups.flatMap(({ rows }) => rows.flatMap((row) => row.values));
  if (values.length === 0) return '';
  const { at, ticks } = logScale(values, LABELS, WIDTH - RIGHT);
  const parts: string[] = [];
  let y = 18;
  for (const group of groups) {
    parts.push(`<text class="group" x="0" y="${y}">${escape(group.label)}</text>`);
    y += 4;
    for (const row of group.rows) {
      y += 16;
      parts.push(
        `<text class="label" x="${LABELS - 12}" y="${y + 4}" text-anchor="end">${escape(row.label)}</text>`,
      );
      parts.push(`<line class="row" x1="${LABELS}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>`);
      row.values.forEach((value, i) => {
        // Spread up and down a little, always the same way, so that equal values are seen as several.
        const offset = ((i * 7) % 5) - 2;
        parts.push(
          `<circle class="${row.colour} dot" cx="${at(value).toFixed(1)}" cy="${y + offset}" r="2.6"><title>${escape(row.label)}: ${duration(value)}</title></circle>`,
        );
      });
      const x = at(row.median).toFixed(1);
      parts.push(`<line class="${row.colour} median" x1="${x}" x2="${x}" y1="${y - 7}" y2="${y + 7}"/>`);
      parts.push(`<text class="value" x="${WIDTH - RIGHT + 8}" y="${y + 4}">${duration(row.median)}</text>`);
    }
    y += 38;
  }
  const bottom = y - 20;
  const grid = ticks.map((tick) => {
    const x = at(tick).toFixed(1);
    return `<line class="grid" x1="${x}" x2="${x}" y1="8" y2="${bottom}"/><text class="tick" x="${x}" y="${bottom + 16}" text-anchor="middle">${duration(tick)}</text>`;
  });
  const axis = `<text class="tick" x="${(LABELS + WIDTH - RIGHT) / 2}" y="${bottom + 34}" text-anchor="middle">time, logarithmic; less is better</text><text class="tick" x="${WIDTH - RIGHT + 8}" y="${bottom + 34}">median</text>`;
  return `<svg viewBox="0 0 ${WIDTH} ${bottom + 42}" role="img" aria-label="${escape(label)}">${grid.join('')}${parts.join('')}${axis}</svg>`;
}

/** What fits without touching the one before: a figure is about seven wide for each of its letters. */
function apart(ticks: readonly number[], at: (tick: number) => number): number[] {
  const kept: number[] = [];
  let free = -Infinity;
  for (const tick of ticks) {
    const half = tick.toLocaleString('en-US').length * 3.5;
    if (at(tick) - half < free) continue;
    kept.push(tick);
    free = at(tick) + half + 8;
  }
  return kept;
}

export interface LineAxes {
  readonly x: string;
  readonly y: string;
  readonly yText: (value: number) => string;
  readonly label: string;
}

/** Lines through medians on two logarithmic axes; the range of the rounds as a bar. */
export function lines(all: readonly Line[], axes: LineAxes): string {
  const drawn = all.filter(({ points }) => points.length > 0);
  const points = drawn.flatMap((line) => line.points);
  if (points.length === 0) return '';
  const [top, bottom, left, right] = [24, 300, 80, WIDTH - 190];
  const xs = [...new Set(points.map(({ x }) => x))].toSorted((a, b) => a - b);
  const xScale = logScale(xs, left, right);
  // From the first to the last measured point, not to whole powers of ten.
  const [first = 1, last = 1] = [xs[0], xs.at(-1)];
  const x = (value: number): number =>
    first === last
      ? (left + right) / 2
      : left +
        ((xScale.at(value) - xScale.at(first)) / (xScale.at(last) - xScale.at(first))) * (right - left);
  const y = logScale(
    points.flatMap(({ low, high }) => [low, high]),
    bottom,
    top,
  );
  const parts = [
    ...y.ticks.map(
      (tick) =>
        `<line class="grid" x1="${left}" x2="${right}" y1="${y.at(tick).toFixed(1)}" y2="${y.at(tick).toFixed(1)}"/><text class="tick" x="${left - 8}" y="${(y.at(tick) + 4).toFixed(1)}" text-anchor="end">${axes.yText(tick)}</text>`,
    ),
    ...xs.map(
      (tick) =>
        `<line class="grid" x1="${x(tick).toFixed(1)}" x2="${x(tick).toFixed(1)}" y1="${bottom}" y2="${bottom + 5}"/>`,
    ),
    ...apart(xs, x).map(
      (tick) =>
        `<text class="tick" x="${x(tick).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${tick.toLocaleString('en-US')}</text>`,
    ),
    `<text class="tick" x="${(left + right) / 2}" y="${bottom + 36}" text-anchor="middle">${escape(axes.x)}</text>`,
    `<text class="tick" x="0" y="12">${escape(axes.y)}</text>`,
  ];
  for (const line of drawn) {
    const path = line.points.map((point) => `${x(point.x).toFixed(1)},${y.at(point.y).toFixed(1)}`).join(' ');
    parts.push(`<polyline class="${line.colour} line" points="${path}"/>`);
    for (const point of line.points) {
      const cx = x(point.x).toFixed(1);
      if (point.high > point.low)
        parts.push(
          `<line class="${line.colour} range" x1="${cx}" x2="${cx}" y1="${y.at(point.low).toFixed(1)}" y2="${y.at(point.high).toFixed(1)}"/>`,
        );
      parts.push(
        `<circle class="${line.colour} ${point.hollow === true ? 'hollow' : 'dot'}" cx="${cx}" cy="${y.at(point.y).toFixed(1)}" r="3.5"><title>${escape(line.label)}, ${point.x.toLocaleString('en-US')} ${escape(axes.x)}: ${axes.yText(point.y)}</title></circle>`,
      );
    }
  }
  // Names at the lines' ends, pushed apart where they would overlap: beside the chart, or in it where a line ends early.
  const lowest = new Map<number, number>();
  const ends = drawn
    .flatMap((line) => {
      const end = line.points.at(-1);
      return end === undefined ? [] : [{ line, end, at: y.at(end.y) }];
    })
    .toSorted((a, b) => a.at - b.at);
  for (const { line, end, at } of ends) {
    const early = end.x < last;
    const nameAt = Math.max(early ? at - 8 : at, (lowest.get(end.x) ?? -Infinity) + 15);
    lowest.set(end.x, nameAt);
    parts.push(
      `<text class="${line.colour} name" x="${(x(end.x) + (early ? 8 : 12)).toFixed(1)}" y="${(nameAt + 4).toFixed(1)}">${escape(line.label)}</text>`,
    );
  }
  return `<svg viewBox="0 0 ${WIDTH} ${bottom + 44}" role="img" aria-label="${escape(axes.label)}">${parts.join('')}</svg>`;
}

export interface Stack {
  readonly label: string;
  /** In the order in which they happen; all stacks have the same names at the same places. */
  readonly parts: readonly { readonly name: string; readonly value: number }[];
}

/** Steps of a linear axis: one, two or five times a power of ten, about five of them. */
function steps(most: number): number[] {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((times) => times * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
}

/** One bar for each stack, its parts beside each other on one linear axis of time; the names of the parts below. */
export function stacks(all: readonly Stack[], label: string): string {
  const totals = all.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0));
  const most = Math.max(...totals, 0);
  if (!(most > 0)) return '';
  const names = [...new Set(all.flatMap(({ parts }) => parts.map(({ name }) => name)))];
  const right = WIDTH - RIGHT;
  const x = (value: number): number => (value / most) * right;
  const parts: string[] = [];
  let y = 4;
  all.forEach((stack, i) => {
    parts.push(`<text class="label" x="0" y="${y + 12}">${escape(stack.label)}</text>`);
    y += 18;
    let from = 0;
    for (const { name, value } of stack.parts) {
      const width = x(from + value) - x(from);
      parts.push(
        `<rect class="p${names.indexOf(name) % PARTS} part" x="${x(from).toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="26"><title>${escape(`${stack.label}, ${name}: ${duration(value)}`)}</title></rect>`,
      );
      from += value;
    }
    parts.push(
      `<text class="value" x="${(x(from) + 8).toFixed(1)}" y="${y + 18}">${duration(totals[i] ?? 0)}</text>`,
    );
    y += 38;
  });
  const bottom = y - 4;
  const axis = steps(most).map((tick) => {
    const at = x(tick).toFixed(1);
    return `<line class="grid" x1="${at}" x2="${at}" y1="0" y2="${bottom}"/><text class="tick" x="${at}" y="${bottom + 16}" text-anchor="${tick === 0 ? 'start' : 'middle'}">${tick === 0 ? '0' : duration(tick)}</text>`;
  });
  const { svg, height } = legend(names, bottom + 32, 'p', PARTS);
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(label)}">${axis.join('')}${parts.join('')}${svg}</svg>`;
}

/** Names with their colours, in rows. */
function legend(
  names: readonly string[],
  top: number,
  colours = 'r',
  count = 8,
): { svg: string; height: number } {
  const parts: string[] = [];
  let [left, y] = [0, top];
  names.forEach((name, i) => {
    // A letter is about seven wide; it need only be enough.
    const width = 34 + name.length * 7;
    if (left + width > WIDTH && left > 0) [left, y] = [0, y + 22];
    parts.push(
      `<rect class="${colours}${i % count} part" x="${left}" y="${y}" width="12" height="12"/><text class="tick" x="${left + 18}" y="${y + 11}">${escape(name)}</text>`,
    );
    left += width;
  });
  return { svg: parts.join(''), height: y + 24 };
}

export interface Distribution {
  readonly label: string;
  /** `[from, to, count]`, ms, in rising order. */
  readonly buckets: readonly (readonly [fromMs: number, toMs: number, count: number])[];
}

/** Latency on a logarithmic axis against the share of the requests, a line for each distribution. */
export function distributions(all: readonly Distribution[], label: string): string {
  const drawn = all
    .map(({ label: name, buckets }) => {
      const total = buckets.reduce((sum, [, , count]) => sum + count, 0);
      // Only buckets that can be seen: one request in a million would stretch the axis.
      const shown = buckets.filter(([, , count]) => count / total >= 1e-4);
      return { name, bars: shown.map(([from, to, count]) => ({ from, to, share: count / total })) };
    })
    .filter(({ bars }) => bars.length > 0);
  if (drawn.length === 0) return '';
  const [top, bottom, left, right] = [28, 248, 60, WIDTH - 40];
  const edges = drawn.flatMap(({ bars }) => bars.flatMap(({ from, to }) => [from, to]));
  const scale = logScale(edges, left, right);
  const most = Math.max(...drawn.flatMap(({ bars }) => bars.map(({ share }) => share)));
  const y = (share: number): string => (bottom - (share / most) * (bottom - top)).toFixed(1);
  const parts = scale.ticks.map((tick) => {
    const at = scale.at(tick).toFixed(1);
    return `<line class="grid" x1="${at}" x2="${at}" y1="${top}" y2="${bottom}"/><text class="tick" x="${at}" y="${bottom + 18}" text-anchor="middle">${duration(tick)}</text>`;
  });
  parts.push(
    `<text class="tick" x="${left - 8}" y="${top + 4}" text-anchor="end">${digits(most * 100)} %</text>`,
    `<text class="tick" x="${left - 8}" y="${bottom + 4}" text-anchor="end">0 %</text>`,
    `<text class="tick" x="0" y="13">share of requests</text>`,
    `<text class="tick" x="${(left + right) / 2}" y="${bottom + 36}" text-anchor="middle">latency, logarithmic</text>`,
  );
  drawn.forEach(({ name, bars }, i) => {
    const points: string[] = [];
    let before = -1;
    for (const { from, to, share } of bars) {
      const [a, b] = [scale.at(from).toFixed(1), scale.at(to).toFixed(1)];
      // A gap is a part of the axis where nothing was answered: the line goes down to nothing there.
      if (from > before * 1.001) {
        if (before > 0) points.push(`${scale.at(before).toFixed(1)},${bottom}`);
        points.push(`${a},${bottom}`);
      }
      points.push(`${a},${y(share)}`, `${b},${y(share)}`);
      before = to;
    }
    points.push(`${scale.at(before).toFixed(1)},${bottom}`);
    parts.push(
      `<polyline class="r${i % 8} line" points="${points.join(' ')}"><title>${escape(name)}</title></polyline>`,
    );
  });
  const { svg, height } = legend(
    drawn.map(({ name }) => name),
    bottom + 48,
  );
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(label)}">${parts.join('')}${svg}</svg>`;
}
