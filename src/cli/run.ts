/** Runs one command line, in this process: what `bin/fissium` does, and what tests call. */
import { Command as Commander, CommanderError, Option } from 'commander';
import { leadingWords, rewriteArguments } from './arguments.ts';
import { GLOBAL_OPTIONS, usageError, type CliIo, type Command, type GlobalOptions } from './command.ts';
import type { Cluster } from './cluster.ts';
import { CliError, EXIT_USAGE, errorLines } from './errors.ts';
import { type NotServed, parseOption, type OptionSpec } from './options.ts';
import { Output } from './output.ts';
import { ENTRIES, findCommand, findEntry } from './tree.ts';
import { clientVersion } from './client-version.ts';

export type { CliIo } from './command.ts';

/** The words after the program's name in, the exit code out; never rejects and never ends the process. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const state = { verbose: argv.includes('-v') || argv.includes('--verbose'), path: 'fissium' };
  try {
    return await run(argv, io, state);
  } catch (thrown) {
    return report(thrown, new Output(io.stdout, io.stderr, state.verbose), state.path);
  }
}

async function run(
  argv: readonly string[],
  io: CliIo,
  state: { verbose: boolean; path: string },
): Promise<number> {
  let words = leadingWords(argv, GLOBAL_OPTIONS, 2);
  let args = [...argv];
  if (words[0] === 'help') {
    // `help fn create` is `fn create --help`.
    args = [...args.filter((token) => token !== 'help'), '--help'];
    words = leadingWords(args, GLOBAL_OPTIONS, 2);
  }
  if (args.length === 0) args = ['--help'];

  const entry = findEntry(words[0]);
  const loaded = await entry?.load();
  const noun = loaded !== undefined && 'commands' in loaded ? loaded : undefined;
  const command = noun === undefined ? (loaded as Command | undefined) : findCommand(noun.commands, words[1]);
  state.path = ['fissium', entry?.name, noun === undefined ? undefined : command?.name]
    .filter((word) => word !== undefined)
    .join(' ');

  let exitCode = 0;
  const start = async (chosen: Command, parsed: Commander): Promise<void> => {
    exitCode = await execute(chosen, parsed, io, state);
  };
  const program = prepare(new Commander('fissium'), io)
    .description('A WebAssembly-first function platform that speaks Fission’s Kubernetes API')
    .version(clientVersion(), '--version', 'Print the version of this CLI');
  for (const known of ENTRIES) {
    const sub = prepare(new Commander(known.name), io)
      .aliases([...known.aliases])
      .summary(known.summary);
    sub.description(known.summary);
    if (known === entry) {
      if (noun === undefined && command !== undefined) defineLeaf(sub, command, start);
      else for (const child of noun?.commands ?? []) defineChild(sub, child, io, start);
    }
    if (noun !== undefined || known !== entry) addGlobals(sub);
    program.addCommand(sub, { hidden: known.hidden === true });
  }

  addGlobals(program);
  const specs = [...Object.values(GLOBAL_OPTIONS), ...Object.values(command?.options ?? {})];
  await program.parseAsync(rewriteArguments(args, specs), { from: 'user' });
  return exitCode;
}

/** What every level has: the global options, and failures thrown instead of exiting. */
function prepare(commander: Commander, io: CliIo): Commander {
  commander.exitOverride().configureOutput({
    writeOut: (text) => void io.stdout.write(text),
    writeErr: (text) => void io.stderr.write(text),
    getOutHelpWidth: () => io.stdout.columns ?? 100,
    getErrHelpWidth: () => io.stderr.columns ?? 100,
    // Failures are printed once, in the CLI's own form.
    outputError: () => {},
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  return commander.enablePositionalOptions().helpOption('-h, --help', 'Show help').helpCommand(false);
}

function addGlobals(commander: Commander): Commander {
  for (const spec of Object.values(GLOBAL_OPTIONS)) addOption(commander, spec, 'Global options:');
  return commander;
}

const HELP_GROUPS: Readonly<Record<NotServed, string>> = {
  kept: 'Options of Fission without effect yet:',
  ignored: 'Options of Fission without effect yet:',
  'in-one-process': 'Options with an effect on a cluster alone:',
};

const WARNINGS: Readonly<Record<NotServed, string>> = {
  kept: 'is not served yet: it is kept in the resource, without effect',
  ignored: 'is not served yet: it is ignored',
  'in-one-process':
    'is not served where the platform runs in one process: it is kept in the resource, without effect',
};

function defineChild(
  noun: Commander,
  command: Command,
  io: CliIo,
  start: (command: Command, parsed: Commander) => Promise<void>,
): void {
  const child = prepare(new Commander(command.name), io).aliases([...(command.aliases ?? [])]);
  defineLeaf(child, command, start);
  noun.addCommand(child, { hidden: command.hidden === true });
}

function defineLeaf(
  commander: Commander,
  command: Command,
  start: (command: Command, parsed: Commander) => Promise<void>,
): void {
  commander.summary(command.summary).description(command.description ?? command.summary);
  for (const spec of Object.values(command.options)) {
    addOption(commander, spec, spec.notServed === undefined ? undefined : HELP_GROUPS[spec.notServed]);
  }
  if (command.positional !== undefined) commander.argument(`[${command.positional}]`);
  if (command.anything === true)
    commander.allowUnknownOption().allowExcessArguments().argument('[arguments...]');
  addGlobals(commander).action(async () => start(command, commander));
}

function addOption(commander: Commander, spec: OptionSpec<unknown>, group: string | undefined): void {
  const define = (flags: string, help: string, hidden: boolean): void => {
    const option = new Option(flags, help).hideHelp(hidden);
    if (group !== undefined) option.helpGroup(group);
    if (spec.kind !== 'flag')
      option.argParser((value, previous) => [...((previous as string[] | undefined) ?? []), value]);
    commander.addOption(option);
  };
  const value = spec.kind === 'flag' ? '' : ` <${spec.placeholder ?? placeholderOf(spec)}>`;
  const short = spec.short === undefined ? '' : `-${spec.short}, `;
  const negative = spec.kind === 'flag' && spec.defaultValue === true;
  define(`${short}--${spec.flag}${value}`, helpOf(spec), spec.hidden === true || negative);
  for (const alias of spec.aliases ?? []) define(`--${alias}${value}`, '', true);
  if (spec.kind === 'flag') define(`--no-${spec.flag}`, spec.help, !negative);
}

function placeholderOf(spec: OptionSpec<unknown>): string {
  switch (spec.kind) {
    case 'integer':
    case 'integers':
      return 'n';
    case 'duration':
      return 'duration';
    case 'text':
    case 'texts':
    case 'flag':
      return 'text';
  }
}

function helpOf(spec: OptionSpec<unknown>): string {
  const parts = [spec.help];
  if (spec.required) parts.push('(required)');
  if (spec.choices !== undefined) parts.push(`(${spec.choices.join(', ')})`);
  if (spec.kind === 'texts' || spec.kind === 'integers') parts.push('(repeatable)');
  if (spec.defaultValue !== undefined && spec.kind !== 'flag') parts.push(`[default: ${shownDefault(spec)}]`);
  return parts.join(' ');
}

function shownDefault(spec: OptionSpec<unknown>): string {
  const value = spec.defaultValue;
  return spec.kind === 'duration' ? `${Number(value) / 1000}s` : String(value);
}

async function execute(
  command: Command,
  parsed: Commander,
  io: CliIo,
  state: { verbose: boolean },
): Promise<number> {
  const globals = globalOptions(parsed);
  state.verbose = globals.verbose;
  const out = new Output(io.stdout, io.stderr, globals.verbose);
  const values = optionValues(command, parsed);
  const withoutEffect = unservedOptions(command, values);
  const { namespace, kubeconfig, context } = globals;
  let cluster: Promise<Cluster> | undefined;
  const connect = async (): Promise<Cluster> => {
    const module = await import('./cluster.ts');
    return module.connect(io, { namespace, kubeconfig, context });
  };
  const connectOnce = (): Promise<Cluster> => (cluster ??= connect());
  try {
    const dependsOnPlatform = withoutEffect.some(({ notServed }) => notServed === 'in-one-process');
    const isCluster = dependsOnPlatform && (await runsInPods(connectOnce));
    for (const { given, notServed } of withoutEffect)
      if (notServed !== 'in-one-process' || !isCluster) out.warn(`${given} ${WARNINGS[notServed]}`);
    const result = await command.handler(values, {
      io,
      out,
      globals: { namespace, kubeconfig, context },
      connect: connectOnce,
    });
    return result ?? 0;
  } finally {
    // Its connections would keep the process for as long as the server does.
    await cluster?.then(
      (connected) => connected.close(),
      () => {},
    );
  }
}

/** What the user gave that has no effect, everywhere or where the platform runs in one process. */
function unservedOptions(
  command: Command,
  values: Readonly<Record<string, unknown>>,
): { given: string; notServed: NotServed }[] {
  return Object.entries(command.options).flatMap(([key, spec]) => {
    const value = values[key];
    if (value === undefined) return [];
    if (spec.notServed !== undefined) return [{ given: `--${spec.flag}`, notServed: spec.notServed }];
    if (typeof value !== 'string') return [];
    const notServed = spec.notServedValues?.[value];
    return notServed === undefined ? [] : [{ given: `--${spec.flag} ${value}`, notServed }];
  });
}

/** The values for a command's handler. Refuses missing options, all of them at once. */
function optionValues(command: Command, parsed: Commander): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const missing: string[] = [];
  const word = parsed.args[0];
  for (const [key, spec] of Object.entries(command.options)) {
    let raw = rawValues(spec, parsed);
    if (key === command.positional && word !== undefined) {
      if (raw !== undefined && raw.at(-1) !== word) {
        throw usageError(
          `--${spec.flag} is ${JSON.stringify(raw.at(-1))} and ${JSON.stringify(word)} stands there too`,
        );
      }
      raw = [word];
    }
    if (raw !== undefined) values[key] = parseOption(spec, raw);
    else if (spec.required) missing.push(`--${spec.flag}`);
    else values[key] = spec.defaultValue;
  }
  if (missing.length > 0) throw usageError(`missing ${missing.join(' and ')}`);
  return values;
}

function rawValues(spec: OptionSpec<unknown>, parsed: Commander): string[] | undefined {
  const raw: string[] = [];
  for (const name of [spec.flag, ...(spec.aliases ?? [])]) {
    const value: unknown = parsed.getOptionValue(new Option(`--${name}`).attributeName());
    if (typeof value === 'boolean') raw.push(String(value));
    else if (Array.isArray(value)) raw.push(...(value as string[]));
  }
  return raw.length === 0 ? undefined : raw;
}

/** Global options may stand at any level; the innermost wins. */
function globalOptions(parsed: Commander): GlobalOptions & { verbose: boolean } {
  const find = (spec: OptionSpec<unknown>): string | undefined => {
    for (let level: Commander | null = parsed; level !== null; level = level.parent) {
      const raw = rawValues(spec, level);
      if (raw !== undefined) return raw.at(-1);
    }
    return undefined;
  };
  return {
    namespace: find(GLOBAL_OPTIONS.namespace),
    kubeconfig: find(GLOBAL_OPTIONS.kubeconfig),
    context: find(GLOBAL_OPTIONS.context),
    verbose: find(GLOBAL_OPTIONS.verbose) === 'true' || Number(find(GLOBAL_OPTIONS.verbosity) ?? 1) > 1,
  };
}

/** Prints a failure and returns its exit code. */
async function report(thrown: unknown, out: Output, path: string): Promise<number> {
  if (thrown instanceof CommanderError) {
    if (thrown.exitCode === 0) return 0;
    // `fissium fn` without a verb: commander has printed the help.
    if (thrown.code === 'commander.help') return EXIT_USAGE;
    const [what = '', ...more] = thrown.message.replace(/^error: /, '').split('\n');
    // Commander's own suggestion: `(Did you mean --name?)`.
    const hint = more.map((line) => `${line.replace(/^\(Did(.*)\)$/, 'did$1')} `).join('');
    const fix = `${hint}Run \`${path} --help\` for what is allowed.`;
    for (const line of errorLines(new CliError(what, { fix }))) out.note(line);
    return EXIT_USAGE;
  }
  // Explaining needs the Kubernetes layer; a usage error does not.
  const error = thrown instanceof CliError ? thrown : (await import('./explain.ts')).explain(thrown);
  const shown =
    error.exitCode === EXIT_USAGE && error.fix === undefined
      ? new CliError(error.message, {
          why: error.why,
          fix: `run \`${path} --help\` for what is allowed`,
          exitCode: EXIT_USAGE,
        })
      : error;
  for (const line of errorLines(shown)) out.note(line);
  if (thrown instanceof Error && thrown.stack !== undefined) out.debug(thrown.stack);
  return error.exitCode;
}

/** What does not answer is the handler's to tell. */
async function runsInPods(connect: () => Promise<Cluster>): Promise<boolean> {
  const module = await import('./install/runs-in-pods.ts');
  return connect()
    .then((cluster) => module.runsInPods(cluster))
    .catch(() => false);
}
