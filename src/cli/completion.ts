/** `fissium completion`: scripts for shells, made from the tree of commands. */
import { GLOBAL_OPTIONS, defineCommand, usageError, type Command } from './command.ts';
import { text, type OptionSpec } from './options.ts';
import { ENTRIES } from './tree.ts';

/** One place on the command line and what may come there. */
interface Place {
  /** The words before, each in all its forms: `[['function', 'fn'], ['create']]`. */
  readonly path: readonly (readonly string[])[];
  readonly words: readonly { readonly word: string; readonly help: string }[];
  readonly options: readonly OptionSpec<unknown>[];
}

export const completion = defineCommand({
  name: 'completion',
  summary: 'Print a completion script for bash, zsh or fish',
  description: [
    'bash:  source <(fissium completion bash)',
    'zsh:   source <(fissium completion zsh)',
    'fish:  fissium completion fish | source',
  ].join('\n'),
  positional: 'shell',
  options: { shell: text('shell', 'Shell', { choices: ['bash', 'zsh', 'fish'], placeholder: 'name' }) },
  async handler({ shell }, { out }) {
    const places = await allPlaces();
    if (shell === 'bash') out.raw(bash(places));
    else if (shell === 'zsh') out.raw(zsh(places));
    else if (shell === 'fish') out.raw(fish(places));
    else throw usageError('missing the shell', 'fissium completion bash, zsh or fish');
  },
});

async function allPlaces(): Promise<Place[]> {
  const globals = Object.values(GLOBAL_OPTIONS).filter(shown);
  const entries = ENTRIES.filter((entry) => entry.hidden !== true);
  const places: Place[] = [
    {
      path: [],
      words: entries.map(({ name, summary }) => ({ word: name, help: summary })),
      options: globals,
    },
  ];
  for (const entry of entries) {
    const loaded = await entry.load();
    const path = [[entry.name, ...entry.aliases]];
    if (!('commands' in loaded)) {
      places.push(leaf(path, loaded, globals));
      continue;
    }
    const commands = loaded.commands.filter((command) => command.hidden !== true);
    places.push({
      path,
      words: commands.map(({ name, summary }) => ({ word: name, help: summary })),
      options: globals,
    });
    for (const command of commands) {
      places.push(leaf([...path, [command.name, ...(command.aliases ?? [])]], command, globals));
    }
  }
  return places;
}

function leaf(path: Place['path'], command: Command, globals: readonly OptionSpec<unknown>[]): Place {
  const positional = command.positional === undefined ? undefined : command.options[command.positional];
  return {
    path,
    words: (positional?.choices ?? []).map((word) => ({ word, help: '' })),
    options: [...Object.values(command.options).filter(shown), ...globals],
  };
}

function shown(spec: OptionSpec<unknown>): boolean {
  return spec.hidden !== true;
}

function flagsOf(spec: OptionSpec<unknown>): string[] {
  const long = spec.kind === 'flag' && spec.defaultValue === true ? `--no-${spec.flag}` : `--${spec.flag}`;
  return spec.short === undefined ? [long] : [long, `-${spec.short}`];
}

/** Every way to write a place's path: aliases multiply. */
function spellings(path: Place['path']): string[] {
  return path.reduce<string[]>(
    (left, forms) => left.flatMap((start) => forms.map((form) => `${start} ${form}`.trim())),
    [''],
  );
}

/** What follows an option that takes one of a few words. */
function choiceCases(places: readonly Place[]): Map<string, readonly string[]> {
  const cases = new Map<string, readonly string[]>();
  for (const { path, options } of places) {
    for (const spec of options) {
      if (spec.choices === undefined) continue;
      for (const spelling of spellings(path)) {
        for (const name of flagsOf(spec)) cases.set(`${spelling} ${name}`.trim(), spec.choices);
      }
    }
  }
  return cases;
}

function bash(places: readonly Place[]): string {
  const valued = new Set(
    places.flatMap(({ options }) => options.filter((spec) => spec.kind !== 'flag').flatMap(flagsOf)),
  );
  const lines = [
    '# bash completion for fissium; made by `fissium completion bash`',
    '_fissium() {',
    '  local current previous path words choices i',
    '  current=${COMP_WORDS[COMP_CWORD]}',
    '  previous=${COMP_WORDS[COMP_CWORD-1]}',
    '  path=',
    '  for ((i = 1; i < COMP_CWORD; i++)); do',
    '    case ${COMP_WORDS[i]} in',
    `      ${[...valued].sort().join('|')}) ((i++)) ;;`,
    '      -*) ;;',
    '      *) path="${path:+$path }${COMP_WORDS[i]}" ;;',
    '    esac',
    '  done',
    '  choices=',
    '  case "${path:+$path }$previous" in',
    ...[...choiceCases(places)].map(
      ([place, choices]) => `    ${quoted(place)}) choices=${quoted(choices.join(' '))} ;;`,
    ),
    '  esac',
    '  if [ -n "$choices" ]; then',
    '    COMPREPLY=($(compgen -W "$choices" -- "$current"))',
    '    return',
    '  fi',
    '  case $previous in',
    `    ${[...valued].sort().join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;`,
    '  esac',
    '  case "$path" in',
    ...places.map((place) => {
      const words = [...place.words.map(({ word }) => word), ...place.options.flatMap(flagsOf)];
      return `    ${spellings(place.path).map(quoted).join('|')}) words=${quoted(words.join(' '))} ;;`;
    }),
    '    *) words= ;;',
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '}',
    'complete -o default -F _fissium fissium',
  ];
  return `${lines.join('\n')}\n`;
}

/** zsh runs bash's completion through its own compatibility layer. */
function zsh(places: readonly Place[]): string {
  return [
    '# zsh completion for fissium; made by `fissium completion zsh`',
    'autoload -U +X compinit && (( ${+functions[compdef]} )) || compinit',
    'autoload -U +X bashcompinit && bashcompinit',
    bash(places),
  ].join('\n');
}

function fish(places: readonly Place[]): string {
  const lines = [
    '# fish completion for fissium; made by `fissium completion fish`',
    'complete -c fissium -f',
  ];
  for (const { path, words, options } of places) {
    const condition =
      path.length === 0
        ? '__fish_use_subcommand'
        : path.map((forms) => `__fish_seen_subcommand_from ${forms.join(' ')}`).join('; and ');
    const missing =
      path.length === 1 && words.length > 0
        ? `; and not __fish_seen_subcommand_from ${words.map(({ word }) => word).join(' ')}`
        : '';
    for (const { word, help } of words) {
      lines.push(
        `complete -c fissium -n ${quoted(condition + missing)} -a ${quoted(word)} -d ${quoted(help)}`,
      );
    }
    for (const spec of options) {
      if (path.length === 1 && words.length > 0) continue;
      const long = flagsOf(spec)[0]?.slice(2) ?? '';
      const short = spec.short === undefined ? '' : ` -s ${spec.short}`;
      const value =
        spec.kind === 'flag'
          ? ''
          : spec.choices === undefined
            ? ' -r -F'
            : ` -x -a ${quoted(spec.choices.join(' '))}`;
      lines.push(
        `complete -c fissium -n ${quoted(condition)} -l ${long}${short}${value} -d ${quoted(spec.help)}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
