/** What a command is: one object with its name, help, typed options and handler. */
import { CliError, EXIT_USAGE } from './errors.ts';
import { flag, text, type OptionSpec, type OptionSpecs, type OptionValues } from './options.ts';
import type { Cluster } from './cluster.ts';
import type { Output, TextSink } from './output.ts';

/** The world a command runs in: a process's own, or a test's. */
export interface CliIo {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborts when the user wants an endless command (`logs -f`, `apply --watch`) to end. Called at most once. */
  readonly interrupt?: () => AbortSignal;
}

/** Options that every command takes. */
export interface GlobalOptions {
  readonly namespace: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

export interface CommandContext {
  readonly io: CliIo;
  readonly out: Output;
  readonly globals: GlobalOptions;
  /** The cluster that the kubeconfig names. Fails with how to start a platform if there is none. */
  readonly connect: () => Promise<Cluster>;
}

export interface Command<O extends OptionSpecs = OptionSpecs> {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line for the list of commands. */
  readonly summary: string;
  /** More, for the command's own help. */
  readonly description?: string;
  readonly options: O;
  /** A word after the options: its option, so that `fn get hello` is `fn get --name hello`. */
  readonly positional?: keyof O & string;
  /** Takes any arguments and options: for commands that are not served yet. */
  readonly anything?: boolean;
  readonly hidden?: boolean;
  /** Resolves with the exit code, 0 if with nothing; failures are thrown. */
  handler(values: OptionValues<O>, context: CommandContext): Promise<number | void>;
}

/** A word with commands under it: `function create`, `function list`. */
export interface Noun {
  readonly commands: readonly Command[];
}

/** Keeps the types of the options for the handler; outside, all commands are of one type. */
export function defineCommand<O extends OptionSpecs>(command: Command<O>): Command {
  // The handler is only ever called with the values of its own options (run.ts).
  return command as unknown as Command;
}

/** A command of Fission's that this version does not serve: it answers so, whatever its arguments are. */
export function notServedCommand(
  noun: string,
  name: string,
  settings: { aliases?: readonly string[]; instead?: string } = {},
): Command {
  return {
    name,
    ...(settings.aliases === undefined ? {} : { aliases: settings.aliases }),
    summary: 'Not served yet',
    options: {},
    anything: true,
    hidden: true,
    async handler() {
      throw new CliError(`${noun === '' ? '' : `${noun} `}${name} is not served yet`, {
        why: 'Fission has this command; this version of Fissium does not serve what it is for',
        fix: settings.instead ?? 'run `fissium --help` for what is served',
        exitCode: 1,
      });
    },
  };
}

/** The options that every command has, by the name they have in {@link GlobalOptions}. */
export const GLOBAL_OPTIONS = {
  namespace: text('namespace', 'Namespace of the resources [default: the context’s, else default]', {
    short: 'n',
    placeholder: 'namespace',
  }),
  kubeconfig: text(
    'kubeconfig',
    'Kubeconfig to use [default: $KUBECONFIG, ./.fissium/kubeconfig, ~/.kube/config]',
    {
      placeholder: 'file',
    },
  ),
  context: text('context', 'Context of the kubeconfig', { aliases: ['kube-context'], placeholder: 'name' }),
  verbose: flag('verbose', 'Say more; show stacks of errors', { short: 'v' }),
  // Fission's form of the same, `-v 2`; the rewriting of arguments brings it here.
  verbosity: text('verbosity', 'Fission’s form of -v: 0, 1 or 2', { hidden: true, placeholder: 'level' }),
} as const satisfies Readonly<Record<string, OptionSpec<unknown>>>;

/** A usage error: the command was called wrongly, nothing was tried. */
export function usageError(what: string, fix?: string): CliError {
  return new CliError(what, { ...(fix === undefined ? {} : { fix }), exitCode: EXIT_USAGE });
}
