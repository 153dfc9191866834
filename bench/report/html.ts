/** The report: one page that loads nothing, drawn from the JSON of a run and nothing else. */
import { pointText, type RunResult, type ScenarioResult, type Series } from '../model.ts';
import { ratiosOf, ratioText, type Ratio } from '../ratios.ts';
import { digits, median, summarise } from '../stats.ts';
import { headlines } from './headline.ts';
import { STYLE } from './style.ts';
import { duration, escape, lines, strips, type Line, type StripGroup } from './svg.ts';

export function htmlReport(result: RunResult): string {
  const colours = new Map(result.rivals.map(({ name }, i) => [name, `r${i % 8}`] as const));
  const titles = new Map(result.rivals.map(({ name, title }) => [name, title] as const));
  const page = new Page(
    result,
    (rival) => colours.get(rival) ?? 'r0',
    (rival) => titles.get(rival) ?? rival,
  );
  return page.html();
}

class Page {
  readonly #result: RunResult;
  readonly #colour: (rival: string) => string;
  readonly #title: (rival: string) => string;

  constructor(result: RunResult, colour: (rival: string) => string, title: (rival: string) => string) {
    this.#result = result;
    this.#colour = colour;
    this.#title = title;
  }

  html(): string {
    const { machine, startedAt, durationS, quick, command } = this.#result;
    return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><title>Fissium benchmarks</title><style>${STYLE}</style></head><body><main>
<h1>Fissium benchmarks</h1>
<p class="lead">Fissium is a function platform that runs WebAssembly components. This page compares it with other ways to run the same program, on one machine, in one run. <strong>Ratios are what to look at</strong>: absolute figures belong to this machine.</p>
${this.#result.warnings.map((warning) => `<p class="warning">${escape(warning)}</p>`).join('')}
${quick ? '<p class="note">A quick run with few rounds: good for a first look, not for publishing.</p>' : ''}
<p class="facts">${escape(`${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.os}; Node ${machine.node}; Fissium ${machine.fissium}, commit ${machine.commit}; load average ${machine.loadAverage.toFixed(2)} before; ${startedAt}, ${Math.round(durationS)} s; ${command}`)}</p>
${this.#rivals()}
${this.#headline()}
${this.#result.scenarios.map((scenario) => this.#scenario(scenario)).join('\n')}
${Object.entries(this.#result.notYet ?? {})
  .map(([name, why]) => `<p class="note">Not measured: <b>${escape(name)}</b>, ${escape(why)}.</p>`)
  .join('')}
</main></body></html>
`;
  }

  #rivals(): string {
    const rows = this.#result.rivals.map(
      ({ name, title, available, version, how, why, isolation }) =>
        `<tr><td><span class="swatch ${this.#colour(name)}"></span>${escape(title)}</td><td>${available ? escape(version ?? '') : '<em>not measured</em>'}</td><td>${escape(isolation)}</td><td class="small">${escape(available ? (how ?? '') : (why ?? ''))}</td></tr>`,
    );
    return `<h2>Who is compared</h2><div class="scroll"><table><thead><tr><th>name</th><th>version</th><th>what a request runs in</th><th>found at, or why not</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
  }

  #headline(): string {
    const shown = headlines(this.#result);
    if (shown.length === 0) return '';
    const rivals = [...new Set(shown.flatMap(({ ratios }) => ratios.map(({ rival }) => rival)))];
    const rows = shown.map(({ title, at, ratios }) => {
      const [first] = ratios;
      const cells = rivals.map((rival) => {
        const ratio = ratios.find((one) => one.rival === rival);
        return ratio ? `<td>${ratioCell(ratio)}</td>` : '<td class="none">–</td>';
      });
      return `<tr><th scope="row">${escape(title)}${at === '' ? '' : ` <small>${escape(at)}</small>`}</th><td>${first ? `${digits(first.ours)} ${first.unit}` : ''}</td>${cells.join('')}</tr>`;
    });
    return `<h2>In short</h2><p>Medians. <em>4 × better</em>: Fissium takes a quarter of the rival's time, or gives four times its answers; <em>worse</em> is the other way round. ~ marks a pair whose order is not sure: the measured ranges overlap, or there are fewer than three values; ? one with a doubtful figure (hover it).</p>
<div class="scroll"><table class="ratios"><thead><tr><th></th><th>Fissium</th>${rivals.map((rival) => `<th>${escape(this.#title(rival))}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
  }

  #scenario(scenario: ScenarioResult): string {
    const { method, notRun, notes, published } = scenario;
    return `<section id="${scenario.name}"><h2>${escape(scenario.title)}</h2><p>${escape(scenario.what)}</p>
${this.#charts(scenario)}
${this.#table(scenario)}
${notes.length > 0 ? `<ul class="notes">${notes.map((note) => `<li>${escape(note)}</li>`).join('')}</ul>` : ''}
${notRun.length > 0 ? `<details open><summary>Not measured</summary><ul class="notes">${notRun.map(({ rival, what, why }) => `<li><b>${escape(this.#title(rival))}</b>, ${escape(what)}: ${escape(why)}</li>`).join('')}</ul></details>` : ''}
${published && published.length > 0 ? `<h3>Published elsewhere</h3><p>Measured by others on other machines: to know the order of magnitude, not to compute with.</p><ul class="notes">${published.map(({ who, what, value, where }) => `<li>${escape(who)}, ${escape(what)}: <b>${escape(value)}</b> <span class="small">(${escape(where)})</span></li>`).join('')}</ul>` : ''}
<p class="facts">Program: ${escape(method.program)}. Rounds: ${method.rounds}. Order: ${escape(method.order)}. Warm-up: ${escape(method.warmUp)}. Load average ${scenario.loadAverageBefore.toFixed(2)} before, ${scenario.loadAverageAfter.toFixed(2)} after${scenario.othersBusy === null ? '' : `; other programs used ${Math.round(scenario.othersBusy * 100)} % of the machine`}; took ${Math.round(scenario.durationS)} s.</p></section>`;
  }

  #charts(scenario: ScenarioResult): string {
    const charts: string[] = [];
    const figure = (svg: string, caption: string): void => {
      if (svg !== '') charts.push(`<figure>${svg}<figcaption>${escape(caption)}</figcaption></figure>`);
    };
    switch (scenario.name) {
      case 'coldstart': {
        const outside = scenario.series.filter(({ metric }) => !metric.startsWith('engine: '));
        const inside = scenario.series.filter(({ metric }) => metric.startsWith('engine: '));
        figure(
          strips(this.#groups(outside), 'distribution of cold starts'),
          'Each dot is one measured start; the bar is the median. The axis is logarithmic: each line to the right is ten times longer.',
        );
        figure(
          strips(this.#groups(inside), 'where the time goes'),
          "Where a cold start's time goes, measured on the two engines alone: what is done once for a package, once for a process and once for a thread, and what each request pays.",
        );
        break;
      }
      case 'throughput':
        figure(
          this.#lines(scenario, 'closed loop: answers', 'connections', 'answers per second', digits),
          'Answers per second against open connections. More is better; both axes are logarithmic.',
        );
        figure(
          this.#lines(scenario, 'open loop: p99', 'rate', 'p99 latency', duration),
          'Latency against rate, requests per second: the slowest hundredth of the answers, counted from when each request should have been sent. Less is better.',
        );
        break;
      case 'density':
        figure(
          this.#lines(scenario, 'memory', 'functions', 'memory', (mib) =>
            mib < 1024 ? `${digits(mib)} MiB` : `${digits(mib / 1024)} GiB`,
          ),
          'Memory against functions: proportional set size of all processes.',
        );
        break;
      case 'burst':
        figure(
          strips(
            this.#groups(scenario.series.filter(({ metric }) => metric.includes('last answer'))),
            'bursts',
          ),
          'Until the last of the answers was there, each dot a burst.',
        );
        break;
      default:
        figure(
          strips(this.#groups(scenario.series.filter(({ unit }) => unit === 'ms')), scenario.title),
          'Each dot is one measurement, the bar their median; the axis is logarithmic.',
        );
    }
    return charts.join('');
  }

  #groups(series: readonly Series[]): StripGroup[] {
    const label = ({ metric, at }: Series): string =>
      `${metric.replace('engine: ', '')}${pointText(at) === '' ? '' : ` (${pointText(at)})`}`;
    const labels = [...new Set(series.map((one) => label(one)))];
    return labels.map((name) => ({
      label: name,
      rows: series
        .filter((one) => label(one) === name && one.raw.some((value) => value > 0))
        .map(({ rival, raw }) => ({
          label: short(this.#title(rival)),
          colour: this.#colour(rival),
          values: raw.length > 300 ? thinned(raw) : raw,
          median: median(raw),
        })),
    }));
  }

  #lines(
    scenario: ScenarioResult,
    metric: string,
    x: string,
    y: string,
    yText: (value: number) => string,
  ): string {
    const all: Line[] = this.#result.rivals.map(({ name, title }) => ({
      label: short(title),
      colour: this.#colour(name),
      points: scenario.series
        .filter((series) => series.rival === name && series.metric === metric && series.raw.length > 0)
        .map(({ at, raw }) => ({
          x: Number(at[x]),
          y: median(raw),
          low: Math.min(...raw),
          high: Math.max(...raw),
        }))
        .toSorted((a, b) => a.x - b.x),
    }));
    // One point is no line.
    if (new Set(all.flatMap(({ points }) => points.map((point) => point.x))).size < 2) return '';
    return lines(all, { x, y, yText, label: `${metric} against ${x}` });
  }

  #table(scenario: ScenarioResult): string {
    const rivals = this.#result.rivals
      .map(({ name }) => name)
      .filter((name) => scenario.series.some(({ rival }) => rival === name));
    const ratios = ratiosOf(scenario);
    const keys = [
      ...new Map(
        scenario.series.map(
          ({ metric, at, each }) =>
            [`${metric}|${pointText(at)}`, { metric, at: pointText(at), each }] as const,
        ),
      ).values(),
    ];
    const rows = keys.map(({ metric, at, each }) => {
      const cells = rivals.map((name) => {
        const series = scenario.series.find(
          (one) => one.rival === name && one.metric === metric && pointText(one.at) === at,
        );
        if (!series || series.raw.length === 0) return '<td class="none">–</td>';
        const { median: middle, min, max, count, quartiles } = summarise(series.raw);
        const ratio = ratios.find((one) => one.rival === name && one.metric === metric && one.at === at);
        const range = count > 1 ? `${digits(min)} – ${digits(max)}` : '';
        const doubts =
          series.doubts && series.doubts.length > 0
            ? ` <abbr title="${escape(series.doubts.join('; '))}">?</abbr>`
            : '';
        const title = `n = ${count}, half of the values between ${digits(quartiles[0])} and ${digits(quartiles[1])}; one value is ${each}`;
        return `<td title="${escape(title)}"><b>${digits(middle)}</b> ${series.unit}${doubts}<br><small>${range}${ratio ? `${range === '' ? '' : ' · '}${ratioText(ratio.advantage)}` : ''}</small></td>`;
      });
      return `<tr><th scope="row">${escape(metric)}${at === '' ? '' : ` <small>${escape(at)}</small>`}</th>${cells.join('')}</tr>`;
    });
    return `<details${scenario.name === 'coldstart' ? ' open' : ''}><summary>All figures</summary><p class="small">Median, and below it the range and how Fissium compares with it; hover for the number of values and their quartiles. All raw values are in the JSON.</p><div class="scroll"><table><thead><tr><th></th>${rivals.map((rival) => `<th>${escape(this.#title(rival))}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div></details>`;
  }
}

function ratioCell(ratio: Ratio): string {
  const tone =
    ratio.unsure || (ratio.advantage > 0.95 && ratio.advantage < 1.05)
      ? 'even'
      : ratio.advantage >= 1
        ? 'better'
        : 'worse';
  const doubts = ratio.doubts.length > 0 ? ` <abbr title="${escape(ratio.doubts.join('; '))}">?</abbr>` : '';
  return `<span class="${tone}">${ratioText(ratio.advantage)}${ratio.unsure ? ' ~' : ''}</span>${doubts}<br><small>${digits(ratio.theirs)} ${ratio.unit}</small>`;
}

/** What fits beside a chart. */
function short(title: string): string {
  return title.replace(/ \(.*\)$/, '').replace('--isolate-requests instance', '(instance each)');
}

/** An even choice of the sorted values, the ends among them: more dots than that are a smear. */
function thinned(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return Array.from({ length: 300 }, (_, i) => sorted[Math.round((i / 299) * (sorted.length - 1))] ?? 0);
}
