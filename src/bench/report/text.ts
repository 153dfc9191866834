/** The summary for a terminal. */
import { pointText, type RunResult } from '../model.ts';
import { comparisonText, OURS } from '../ratios.ts';
import { digits, median } from '../stats.ts';
import { headlines } from './headline.ts';

export function textReport(result: RunResult): string {
  const { machine } = result;
  const out: string[] = ['', ...result.warnings.map((warning) => `!! ${warning}`), ''];
  out.push(
    `Fissium ${machine.fissium}${machine.commit === '' ? '' : ` (${machine.commit})`} on ${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.os}, Node ${machine.node}; load average ${machine.loadAverage.toFixed(2)}`,
    '',
    result.subject !== undefined
      ? [result.subject.title, ...result.subject.facts].join('; ')
      : 'Fissium against each rival (medians; ~ where the ranges of the two overlap or fewer than three values were taken, ? where a figure is doubtful):',
  );
  for (const { title, at, ratios } of headlines(result)) {
    const [first] = ratios;
    if (!first) continue;
    out.push(`  ${title}${at === '' ? '' : ` (${at})`}: Fissium ${digits(first.ours)} ${first.unit}`);
    for (const ratio of ratios) {
      const marks = `${ratio.unsure ? ' ~' : ''}${ratio.doubts.length > 0 ? ' ?' : ''}`;
      const compared = comparisonText(ratio);
      out.push(
        ratio.advantage === null
          ? `    ${ratio.rival}: ${compared}`
          : `    ${compared.padEnd(18)} than ${ratio.rival} (${digits(ratio.theirs)} ${ratio.unit})${marks}`,
      );
    }
  }
  for (const scenario of result.scenarios) {
    out.push(
      '',
      `${scenario.title} (${scenario.name}; ${scenario.method.program}; ${scenario.method.rounds} rounds)`,
    );
    const keys = [
      ...new Set(
        scenario.series.map(
          ({ metric, at }) => `${metric}${pointText(at) === '' ? '' : `, ${pointText(at)}`}`,
        ),
      ),
    ];
    for (const key of keys) {
      out.push(`  ${key}`);
      for (const { rival, metric, at, raw, unit, doubts } of scenario.series) {
        if (`${metric}${pointText(at) === '' ? '' : `, ${pointText(at)}`}` !== key || raw.length === 0)
          continue;
        const range =
          raw.length === 1
            ? ''
            : `  (${digits(Math.min(...raw))} to ${digits(Math.max(...raw))}, n = ${raw.length})`;
        out.push(
          `    ${rival.padEnd(20)} ${digits(median(raw)).padStart(9)} ${unit}${range}${doubts && doubts.length > 0 ? `  ? ${doubts.join('; ')}` : ''}`,
        );
      }
    }
    for (const note of scenario.notes) out.push(`  note: ${note}`);
    for (const { rival, what, why } of scenario.notRun) out.push(`  not measured: ${rival}, ${what}: ${why}`);
  }
  const missing = result.rivals.filter(({ available }) => !available);
  if (missing.length > 0) out.push('', ...missing.map(({ title, why }) => `not found: ${title}: ${why}`));
  if (
    result.subject === undefined &&
    !result.rivals.some(({ name, available }) => name === OURS && available)
  )
    out.push('Fissium was not measured: there are no ratios.');
  return `${out.join('\n')}\n`;
}
