/** The nouns of the CLI. A noun's file is loaded only when the noun is used. */
import { notServedCommand, type Command, type Noun } from './command.ts';

export interface Entry {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  readonly hidden?: boolean;
  /** The noun's commands, or the command itself where the word is one. */
  load(): Promise<Noun | Command>;
}

const notServed = (name: string, ...aliases: string[]): Entry => ({
  name,
  aliases,
  summary: 'Not served yet',
  hidden: true,
  load: async () => notServedCommand('', name, { aliases }),
});

export const ENTRIES: readonly Entry[] = [
  {
    name: 'up',
    aliases: [],
    summary: 'Start the platform in this process',
    load: async () => (await import('./up.ts')).up,
  },
  {
    name: 'builder',
    aliases: [],
    summary: 'Start the server of a builder image in this process',
    hidden: true,
    load: async () => (await import('./builder-role.ts')).builderRole,
  },
  {
    name: 'storage',
    aliases: [],
    summary: 'Start the storage service in this process',
    hidden: true,
    load: async () => (await import('./storage-role.ts')).storageRole,
  },
  {
    name: 'environment',
    aliases: ['env', 'environments'],
    summary: 'Create, update and manage environments',
    load: async () => (await import('./environment.ts')).environment,
  },
  {
    name: 'function',
    aliases: ['fn', 'functions'],
    summary: 'Create, update, test and manage functions',
    load: async () => (await import('./function.ts')).fn,
  },
  {
    name: 'package',
    aliases: ['pkg', 'packages'],
    summary: 'Create, update and manage packages',
    load: async () => (await import('./package.ts')).pkg,
  },
  {
    name: 'archive',
    aliases: ['ar'],
    summary: 'Manage uploaded archives',
    load: async () => (await import('./archive-noun.ts')).archive,
  },
  {
    name: 'httptrigger',
    aliases: ['route', 'ht', 'routes', 'httptriggers'],
    summary: 'Create, update and manage HTTP triggers (routes)',
    load: async () => (await import('./httptrigger.ts')).httptrigger,
  },
  {
    name: 'spec',
    aliases: ['specs'],
    summary: 'Manage a declarative application specification',
    load: async () => (await import('./spec.ts')).spec,
  },
  {
    name: 'version',
    aliases: [],
    summary: 'Show the versions of this CLI and of the platform',
    load: async () => (await import('./version.ts')).version,
  },
  {
    name: 'install',
    aliases: [],
    summary: 'Install or upgrade the platform on the current cluster',
    load: async () => (await import('./install.ts')).install,
  },
  {
    name: 'check',
    aliases: [],
    summary: 'Check that the platform can be reached and serves',
    load: async () => (await import('./check.ts')).check,
  },
  {
    name: 'bench',
    aliases: [],
    summary: 'Measure cold starts, throughput and latency of a function',
    load: async () => (await import('./bench.ts')).bench,
  },
  {
    name: 'completion',
    aliases: [],
    summary: 'Print a completion script for bash, zsh or fish',
    load: async () => (await import('./completion.ts')).completion,
  },
  {
    name: 'controller',
    aliases: [],
    summary: 'Run the controller of a cluster',
    hidden: true,
    load: async () => (await import('./roles.ts')).controller,
  },
  {
    name: 'router',
    aliases: [],
    summary: 'Run a router of a cluster',
    hidden: true,
    load: async () => (await import('./roles.ts')).router,
  },
  {
    name: 'wasm-host',
    aliases: [],
    summary: 'Run a host of Wasm functions of a cluster',
    hidden: true,
    load: async () => (await import('./roles.ts')).wasmHost,
  },
  notServed('timetrigger', 'tt', 'timer'),
  notServed('mqtrigger', 'mqt'),
  notServed('watch', 'w'),
  notServed('canary', 'canary-config'),
  notServed('workflow', 'wf'),
  notServed('alias'),
  notServed('topic'),
  notServed('tenant'),
  notServed('token'),
  notServed('support'),
  notServed('plugin', 'plugins'),
];

/** The noun of that name or alias. */
export function findEntry(word: string | undefined): Entry | undefined {
  return ENTRIES.find((entry) => entry.name === word || (word !== undefined && entry.aliases.includes(word)));
}

/** The command of that name or alias among a noun's. */
export function findCommand(commands: readonly Command[], word: string | undefined): Command | undefined {
  return commands.find(
    (command) => command.name === word || (word !== undefined && command.aliases?.includes(word) === true),
  );
}
