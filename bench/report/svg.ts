/** The two kinds of chart that the page has, as SVG text. Colours are classes, so that the page's theme sets them. */
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
  }[];
}

const WIDTH = 900;
const LABELS = 210;
const RIGHT = 90;

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
  let y = 22;
  for (const group of groups) {
    parts.push(`<text class="group" x="0" y="${y}">${escape(group.label)}</text>`);
    y += 8;
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
    y += 26;
  }
  const bottom = y - 8;
  const grid = ticks.map((tick) => {
    const x = at(tick).toFixed(1);
    return `<line class="grid" x1="${x}" x2="${x}" y1="8" y2="${bottom}"/><text class="tick" x="${x}" y="${bottom + 16}" text-anchor="middle">${duration(tick)}</text>`;
  });
  return `<svg viewBox="0 0 ${WIDTH} ${bottom + 24}" role="img" aria-label="${escape(label)}">${grid.join('')}${parts.join('')}</svg>`;
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
        `<circle class="${line.colour} dot" cx="${cx}" cy="${y.at(point.y).toFixed(1)}" r="3.5"><title>${escape(line.label)}, ${point.x}: ${axes.yText(point.y)}</title></circle>`,
      );
    }
  }
  // Names at the lines' ends, pushed apart where they would overlap.
  let lowest = -Infinity;
  const ends = drawn
    .map((line) => ({ line, end: line.points.at(-1) }))
    .toSorted((a, b) => y.at(a.end?.y ?? 1) - y.at(b.end?.y ?? 1));
  for (const { line, end } of ends) {
    lowest = Math.max(y.at(end?.y ?? 1), lowest + 15);
    parts.push(
      `<text class="${line.colour} name" x="${right + 12}" y="${(lowest + 4).toFixed(1)}">${escape(line.label)}</text>`,
    );
  }
  return `<svg viewBox="0 0 ${WIDTH} ${bottom + 44}" role="img" aria-label="${escape(axes.label)}">${parts.join('')}</svg>`;
}
