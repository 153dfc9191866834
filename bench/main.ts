/** `npm run bench`: what is measured, against whom, and where the result goes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { RivalRecord, RunResult, ScenarioResult } from '../src/bench/model.ts';
import { htmlReport } from '../src/bench/report/html.ts';
import { textReport } from '../src/bench/report/text.ts';
import { BUSY_SHARE, describeMachine, machineWarnings } from './machine.ts';
import type { ClusterOptions } from './pool-cluster.ts';
import { VARIANTS } from './pool-functions.ts';
import { findProgram, madeReady, PROGRAMS, type Program } from './programs.ts';
import { RIVALS, type Rival } from './rivals/index.ts';
import { PreparedPrograms } from './scenarios/prepared.ts';
import { SCENARIOS, SUMMARY, WITH_JAVASCRIPT, type Scenario } from './scenarios/index.ts';

const USAGE = `Usage: npm run bench -- [scenario ...] [options]

Without a scenario: a summary in about two minutes (${SUMMARY.join(', ')}, quick). \`all\` runs every one in full.

  --function NAME|FILE  program: ${PROGRAMS.map(({ name }) => name).join(', ')}, a .wasm component or a .js file of your own
  --against NAMES       rivals, separated by commas (default: all that are found; \`none\`: Fissium alone)
  --quick               fewer rounds and points, shorter loops: for a first look
  --full                the summary's scenarios in full
  --json FILE           everything, raw values included
  --html FILE           a page with charts
  --from FILE           draw the page from an earlier run's JSON; measure nothing

For \`pools\`, which needs a cluster:
  --kubeconfig FILE     default: $KUBECONFIG
  --router URL          the public router, as it is reached from here (default: by its name in the cluster)
  --python-image IMAGE  runtime of Python functions (default: $FISSIUM_PYTHON_IMAGE)
  --node-image IMAGE    runtime of Node functions and of containers (default: $FISSIUM_NODE_IMAGE)
  --runs NAMES          of ${VARIANTS.map(({ name }) => name).join(', ')}, separated by commas (default: all)

Scenarios:
${SCENARIOS.map(({ name, title }) => `  ${name.padEnd(12)} ${title}`).join('\n')}

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
    if (name !== 'all' && !known.includes(name))
      fail(`there is no scenario ${name}; there are: ${known.join(', ')}, all`);
  }
  const names = positionals.includes('all') ? known : positionals.length > 0 ? positionals : SUMMARY;
  const quick = values.quick === true || (positionals.length === 0 && values.full !== true);
  const program = values.function === undefined ? undefined : await ready(findProgram(values.function));
  const { rivals, records } = await findRivals(values.against);

  const startedAt = new Date().toISOString();
  const startMs = performance.now();
  const machine = await describeMachine();
  const warnings = machineWarnings(machine);
  for (const warning of warnings) say(`!! ${warning}`);
  for (const { title, why } of records.filter(({ available }) => !available))
    say(`not found: ${title}: ${why}`);
  const cluster: ClusterOptions = {
    kubeconfig: values.kubeconfig ?? process.env['KUBECONFIG'],
    router: values.router,
    images: {
      python: values['python-image'] ?? process.env['FISSIUM_PYTHON_IMAGE'],
      node: values['node-image'] ?? process.env['FISSIUM_NODE_IMAGE'],
    },
    runs: variantsOf(values.runs),
  };
  const scenarios: ScenarioResult[] = [];
  const prepared = new PreparedPrograms();
  try {
    for (const [scenario, own] of await planned(names, program, quick, warnings))
      await measure(scenario, own);
  } finally {
    await prepared.close();
  }
  write(true);

  async function measure(scenario: Scenario, own: Program | undefined): Promise<void> {
    say(`\n${scenario.title}${own === program ? '' : `: ${own?.title ?? ''}`}`);
    const found = await scenario.run({
      rivals,
      program: own,
      quick,
      prepared,
      cluster,
      say: (line) => say(`  ${line}`),
    });
    const done: ScenarioResult =
      own === undefined || own === program
        ? found
        : { ...found, variant: own.name, title: `${found.title}: ${own.title}` };
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
    };
    if (values.json !== undefined) writeFileSync(resolve(values.json), `${JSON.stringify(result)}\n`);
    if (values.html !== undefined) writeFileSync(resolve(values.html), htmlReport(result));
    if (last) process.stdout.write(textReport(result));
  }
}

/** The scenarios with the programs that they run; a full run has some of them once more with JavaScript. */
async function planned(
  names: readonly string[],
  program: Program | undefined,
  quick: boolean,
  warnings: string[],
): Promise<(readonly [Scenario, Program | undefined])[]> {
  const wanted = SCENARIOS.filter(({ name }) => names.includes(name));
  const usual = wanted.map((scenario) => [scenario, program] as const);
  const again = wanted.filter(({ name }) => WITH_JAVASCRIPT.includes(name));
  if (quick || program !== undefined || again.length === 0) return usual;
  try {
    const js = await ready(findProgram('hello-js'));
    return [...usual, ...again.map((scenario) => [scenario, js] as const)];
  } catch (error) {
    // The rest is measured all the same.
    const why = error instanceof Error ? error.message : String(error);
    warnings.push(`Not measured with a component of JavaScript: ${why}`);
    say(`!! ${warnings.at(-1)}`);
    return usual;
  }
}

/** The program with its component, which JavaScript has only after some seconds. */
function ready(program: Program): Promise<Program> {
  if (program.source !== undefined) say(`${program.title}: made now, unless it is there from an earlier run`);
  return madeReady(program);
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

function variantsOf(names: string | undefined): string[] | undefined {
  const wanted = names?.split(',');
  const known = VARIANTS.map(({ name }) => name);
  for (const name of wanted ?? [])
    if (!known.includes(name)) fail(`--runs ${name}: there is none; there are: ${known.join(', ')}`);
  return wanted;
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
        kubeconfig: { type: 'string' },
        router: { type: 'string' },
        'python-image': { type: 'string' },
        'node-image': { type: 'string' },
        runs: { type: 'string' },
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
