/** The report: one page that loads nothing, drawn from the JSON of a run and nothing else. */
import { pointText, type RunResult, type ScenarioResult, type Unit } from '../model.ts';
import { comparisonText, ratiosOf, type Ratio } from '../ratios.ts';
import { digits, summarise } from '../stats.ts';
import { chartsOf, type RivalLook } from './charts.ts';
import { headlines } from './headline.ts';
import { STYLE } from './style.ts';
import { duration, escape } from './svg.ts';

export function htmlReport(result: RunResult): string {
  const colours = new Map(result.rivals.map(({ name }, i) => [name, `r${i % 8}`] as const));
  const titles = new Map(result.rivals.map(({ name, title }) => [name, title] as const));
  return new Page(result, {
    colour: (rival) => colours.get(rival) ?? 'r0',
    title: (rival) => titles.get(rival) ?? rival,
  }).html();
}

const LEAD =
  'Fissium is a function platform that runs WebAssembly components. This page compares it with other ways to run the same program, on one machine, in one run. <strong>Ratios are what to look at</strong>: absolute figures belong to this machine.';

class Page {
  readonly #result: RunResult;
  readonly #look: RivalLook;

  constructor(result: RunResult, look: RivalLook) {
    this.#result = result;
    this.#look = look;
  }

  html(): string {
    const { machine, startedAt, durationS, quick, command, subject } = this.#result;
    const title = subject === undefined ? 'Fissium benchmarks' : `Fissium: ${subject.title}`;
    return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><title>${escape(title)}</title><style>${STYLE}</style></head><body><main>
<h1>${escape(title)}</h1>
<p class="lead">${subject === undefined ? LEAD : subject.facts.map((fact) => escape(fact)).join('<br>')}</p>
${this.#result.warnings.map((warning) => `<p class="warning">${escape(warning)}</p>`).join('')}
${quick ? '<p class="note">A quick run with few rounds: good for a first look, not for publishing.</p>' : ''}
<p class="facts">${escape(`${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.os}; Node ${machine.node}; Fissium ${machine.fissium}${machine.commit === '' ? '' : `, commit ${machine.commit}`}; load average ${machine.loadAverage.toFixed(2)} before; ${startedAt}, ${Math.round(durationS)} s; ${command}`)}</p>
${subject === undefined ? this.#rivals() : ''}
${this.#headline()}
${this.#result.scenarios.map((scenario) => this.#scenario(scenario)).join('\n')}
</main></body></html>
`;
  }

  #rivals(): string {
    const rows = this.#result.rivals.map(
      ({ name, title, available, version, how, why, isolation }) =>
        `<tr><td><span class="swatch ${this.#look.colour(name)}"></span>${escape(title)}</td><td>${available ? escape(version ?? '') : '<em>not measured</em>'}</td><td>${escape(isolation)}</td><td class="small">${escape(available ? (how ?? '') : (why ?? ''))}</td></tr>`,
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
      return `<tr><th scope="row">${escape(title)}${at === '' ? '' : ` <small>${escape(at)}</small>`}</th><td>${first ? figureText(first.ours, first.unit) : ''}</td>${cells.join('')}</tr>`;
    });
    return `<h2>In short</h2><p>Medians. <em>4 × better</em>: Fissium takes a quarter of the rival's time, or gives four times its answers; <em>worse</em> is the other way round. ~ marks a pair whose order is not sure: the measured ranges overlap, or there are fewer than three values; ? one with a doubtful figure (hover it, or see <em>Doubts</em> in its section). A server that <em>does not keep up</em> with a rate lets requests wait longer and longer: its latency tells how long the run was, and enters no ratio.</p>
<div class="scroll"><table class="ratios"><thead><tr><th></th><th>Fissium</th>${rivals.map((rival) => `<th>${escape(this.#look.title(rival))}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
  }

  #scenario(scenario: ScenarioResult): string {
    const { method, notRun, notes, published } = scenario;
    return `<section id="${escape([scenario.name, ...(scenario.variant === undefined ? [] : [scenario.variant])].join('-'))}"><h2>${escape(scenario.title)}</h2><p>${escape(scenario.what)}</p>
${chartsOf(this.#result, scenario, this.#look)}
${this.#table(scenario)}
${this.#doubts(scenario)}
${notes.length > 0 ? `<ul class="notes">${notes.map((note) => `<li>${escape(note)}</li>`).join('')}</ul>` : ''}
${notRun.length > 0 ? `<details open><summary>Not measured</summary><ul class="notes">${notRun.map(({ rival, what, why }) => `<li><b>${escape(this.#look.title(rival))}</b>, ${escape(what)}: ${escape(why)}</li>`).join('')}</ul></details>` : ''}
${published && published.length > 0 ? `<h3>Published elsewhere</h3><p>Measured by others on other machines: to know the order of magnitude, not to compute with.</p><ul class="notes">${published.map(({ who, what, value, where }) => `<li>${escape(who)}, ${escape(what)}: <b>${escape(value)}</b> <span class="small">(${escape(where)})</span></li>`).join('')}</ul>` : ''}
<p class="facts">Program: ${escape(method.program)}. Rounds: ${method.rounds}. Order: ${escape(method.order)}. Warm-up: ${escape(method.warmUp)}. Load average ${scenario.loadAverageBefore.toFixed(2)} before, ${scenario.loadAverageAfter.toFixed(2)} after${scenario.othersBusy === null ? '' : `; other programs used ${Math.round(scenario.othersBusy * 100)} % of the machine`}; took ${Math.round(scenario.durationS)} s.</p></section>`;
  }

  /** What a figure's question mark stands for, for those who cannot hover. */
  #doubts({ series }: ScenarioResult): string {
    const said = series.flatMap(({ rival, metric, at, doubts = [] }) =>
      doubts.map((doubt) => {
        const where = pointText(at);
        return `<li><b>${escape(this.#look.title(rival))}</b>, ${escape(metric)}${where === '' ? '' : ` (${escape(where)})`}: ${escape(doubt)}</li>`;
      }),
    );
    if (said.length === 0) return '';
    return `<details><summary>Doubts</summary><ul class="notes">${said.join('')}</ul></details>`;
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
        return `<td title="${escape(title)}"><b>${digits(middle)}</b> ${series.unit}${doubts}<br><small>${range}${ratio ? `${range === '' ? '' : ' · '}${comparisonText(ratio)}` : ''}</small></td>`;
      });
      return `<tr><th scope="row">${escape(metric)}${at === '' ? '' : ` <small>${escape(at)}</small>`}</th>${cells.join('')}</tr>`;
    });
    return `<details${scenario.name === 'coldstart' ? ' open' : ''}><summary>All figures</summary><p class="small">Median, and below it the range and how Fissium compares with it; hover for the number of values and their quartiles. All raw values are in the JSON.</p><div class="scroll"><table><thead><tr><th></th>${rivals.map((rival) => `<th>${escape(this.#look.title(rival))}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div></details>`;
  }
}

function ratioCell(ratio: Ratio): string {
  const { advantage } = ratio;
  if (advantage === null) return `<span class="even">${comparisonText(ratio)}</span>`;
  const tone =
    ratio.unsure || (advantage > 0.95 && advantage < 1.05) ? 'even' : advantage >= 1 ? 'better' : 'worse';
  const doubts = ratio.doubts.length > 0 ? ` <abbr title="${escape(ratio.doubts.join('; '))}">?</abbr>` : '';
  return `<span class="${tone}">${comparisonText(ratio)}${ratio.unsure ? ' ~' : ''}</span>${doubts}<br><small>${figureText(ratio.theirs, ratio.unit)}</small>`;
}

/** Times of under a tenth of a millisecond are read in microseconds. */
function figureText(value: number, unit: Unit): string {
  return unit === 'ms' && value < 0.1 ? duration(value) : `${digits(value)} ${unit}`;
}
