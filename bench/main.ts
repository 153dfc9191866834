/** `npm run bench`: what is measured, against whom, and where the result goes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BUSY_SHARE, describeMachine, machineWarnings } from './machine.ts';
import type { RivalRecord, RunResult, ScenarioResult } from './model.ts';
import { findProgram, PROGRAMS } from './programs.ts';
import { htmlReport } from './report/html.ts';
import { textReport } from './report/text.ts';
import { RIVALS, type Rival } from './rivals/index.ts';
import { NOT_YET, SCENARIOS, SUMMARY } from './scenarios/index.ts';

const USAGE = `Usage: npm run bench -- [scenario ...] [options]

Without a scenario: a summary in about two minutes (${SUMMARY.join(', ')}, quick). \`all\` runs every one in full.

  --function NAME|FILE  program: ${PROGRAMS.map(({ name }) => name).join(', ')}, or a .wasm file of your own
  --against NAMES       rivals, separated by commas (default: all that are found; \`none\`: Fissium alone)
  --quick               fewer rounds, shorter loops
  --full                the summary's scenarios in full
  --json FILE           everything, raw values included
  --html FILE           a page with charts
  --from FILE           draw the page from an earlier run's JSON; measure nothing

Scenarios:
${SCENARIOS.map(({ name, title }) => `  ${name.padEnd(12)} ${title}`).join('\n')}
${Object.entries(NOT_YET)
  .map(([name, why]) => `  ${name.padEnd(12)} not yet: ${why}`)
  .join('\n')}

Rivals:
${RIVALS.map(({ name, title }) => `  ${name.padEnd(20)} ${title}`).join('\n')}
`;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

function fail(message: string): never {
  say(`error: ${message}`);
  process.exit(2);
}

async function main(): Promise<void> {
  const { values, positionals } = options();
  if (values.help === true) return void process.stdout.write(USAGE);
  if (values.from !== undefined) {
    if (values.html === undefined) fail('--from FILE needs --html FILE');
    const result = JSON.parse(readFileSync(values.from, 'utf8')) as RunResult;
    writeFileSync(resolve(values.html), htmlReport(result));
    return;
  }
  const known = SCENARIOS.map(({ name }) => name);
  for (const name of positionals) {
    if (NOT_YET[name] !== undefined) fail(`${name} ${NOT_YET[name]}`);
    if (name !== 'all' && !known.includes(name))
      fail(`there is no scenario ${name}; there are: ${known.join(', ')}, all`);
  }
  const names = positionals.includes('all') ? known : positionals.length > 0 ? positionals : SUMMARY;
  const quick = values.quick === true || (positionals.length === 0 && values.full !== true);
  const program = values.function === undefined ? undefined : findProgram(values.function);
  const { rivals, records } = await findRivals(values.against);

  const startedAt = new Date().toISOString();
  const startMs = performance.now();
  const machine = await describeMachine();
  const warnings = machineWarnings(machine);
  for (const warning of warnings) say(`!! ${warning}`);
  for (const { title, why } of records.filter(({ available }) => !available))
    say(`not found: ${title}: ${why}`);
  const scenarios: ScenarioResult[] = [];
  for (const scenario of SCENARIOS.filter(({ name }) => names.includes(name))) {
    say(`\n${scenario.title}`);
    const done = await scenario.run({ rivals, program, quick, say: (line) => say(`  ${line}`) });
    scenarios.push(done);
    if (done.othersBusy !== null && done.othersBusy > BUSY_SHARE) {
      warnings.push(
        `BUSY MACHINE: other programs used ${Math.round(done.othersBusy * 100)} % of the machine during \`${done.name}\`; its absolute figures are too bad and its ratios unsteady. Do not publish them.`,
      );
      say(`!! ${warnings.at(-1)}`);
    }
    // Written as it grows: an hour of measuring is not lost to what comes last.
    write(false);
  }
  write(true);

  function write(last: boolean): void {
    const result: RunResult = {
      format: 1,
      command: `npm run bench -- ${process.argv.slice(2).join(' ')}`.trim(),
      startedAt,
      durationS: (performance.now() - startMs) / 1000,
      quick,
      machine,
      warnings,
      rivals: records,
      scenarios,
      notYet: NOT_YET,
    };
    if (values.json !== undefined) writeFileSync(resolve(values.json), `${JSON.stringify(result)}\n`);
    if (values.html !== undefined) writeFileSync(resolve(values.html), htmlReport(result));
    if (last) process.stdout.write(textReport(result));
  }
}

/** What was found of what was asked for. Fissium is always there: everything is compared with it. */
async function findRivals(against: string | undefined): Promise<{ rivals: Rival[]; records: RivalRecord[] }> {
  const all = RIVALS.map(({ name }) => name);
  const wanted =
    against === undefined ? all : against === 'none' ? [] : against.split(',').map((name) => name.trim());
  for (const name of wanted)
    if (!all.includes(name)) fail(`there is no rival ${name}; there are: ${all.join(', ')}`);
  const rivals: Rival[] = [];
  const records: RivalRecord[] = [];
  for (const rival of RIVALS) {
    if (rival.name !== 'fissium' && !wanted.includes(rival.name)) continue;
    const { name, title, isolation } = rival;
    const found = await rival.find();
    records.push({ name, title, isolation, ...found });
    if (found.available) rivals.push(rival);
  }
  return { rivals, records };
}

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        function: { type: 'string' },
        against: { type: 'string' },
        quick: { type: 'boolean' },
        full: { type: 'boolean' },
        json: { type: 'string' },
        html: { type: 'string' },
        from: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  }
}

try {
  await main();
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
