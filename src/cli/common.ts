/** What several nouns share: options, namespaces, printing of objects and of conditions. */
import type { Condition } from '../api/index.ts';
import type { KubeObject } from '../kube/index.ts';
import type { Cluster } from './cluster.ts';
import { usageError, type CommandContext } from './command.ts';
import { duration, flag, required, text, texts, withDefault } from './options.ts';
import { OUTPUT_FORMATS, type Column, type OutputFormat } from './output.ts';

export const nameOption = (what: string) =>
  required(text('name', `Name of the ${what}`, { placeholder: 'name' }));

export const outputOption = text('output', 'Output format', {
  short: 'o',
  choices: OUTPUT_FORMATS,
  placeholder: 'format',
});

export const listOptions = {
  allNamespaces: withDefault(flag('all-namespaces', 'List those of all namespaces', { short: 'A' }), false),
  output: outputOption,
};

export const ignoreNotFoundOption = withDefault(
  flag('ignorenotfound', 'Succeed if there is nothing to delete', { aliases: ['ignore-not-found'] }),
  false,
);

export const labelOptions = {
  labels: text('labels', 'Labels, separated by commas', { placeholder: 'key=value,…' }),
  annotation: texts('annotation', 'Annotation', { aliases: ['annotations'], placeholder: 'key=value' }),
};

/** `create --spec` writes the resource to the specs folder, `--dry` prints it; neither needs a platform. */
export const saveOptions = {
  spec: withDefault(flag('spec', 'Write to the specs folder instead of creating'), false),
  dry: withDefault(flag('dry', 'Print what would be created'), false),
};

export const waitOptions = {
  wait: withDefault(flag('wait', 'Return at once, before the change is in effect'), true),
  waitTimeout: withDefault(
    duration('wait-timeout', 'How long to wait for the change to be in effect'),
    120_000,
  ),
};

export const resourceOptions = (what: string) => ({
  mincpu: text('mincpu', `Least CPU of ${what}, in thousandths of a core`, {
    notServed: 'in-one-process',
    placeholder: 'n',
  }),
  maxcpu: text('maxcpu', `Most CPU of ${what}, in thousandths of a core`, {
    notServed: 'in-one-process',
    placeholder: 'n',
  }),
  minmemory: text('minmemory', `Memory set aside for ${what}, in MiB`, {
    notServed: 'in-one-process',
    placeholder: 'n',
  }),
});

/** The namespace to list: one, or `null` for all. */
export function listNamespace(cluster: Cluster, values: { readonly allNamespaces: boolean }): string | null {
  return values.allNamespaces ? null : cluster.namespace;
}

/** `key=value` pairs as an object. */
export function keyValues(pairs: readonly string[], option: string): Record<string, string> {
  const result: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) throw usageError(`--${option} is ${JSON.stringify(pair)}: it must be key=value`);
    result[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return result;
}

/** Labels and annotations of the flags, for `metadata`. */
export function labelsAndAnnotations(values: {
  readonly labels: string | undefined;
  readonly annotation: readonly string[] | undefined;
}): { labels?: Record<string, string>; annotations?: Record<string, string> } {
  const labels = values.labels?.split(',').filter((pair) => pair !== '') ?? [];
  const annotations = values.annotation ?? [];
  return {
    ...(labels.length === 0 ? {} : { labels: keyValues(labels, 'labels') }),
    ...(annotations.length === 0 ? {} : { annotations: keyValues(annotations, 'annotation') }),
  };
}

/** The same name refused before anything is sent; the API server has the last word. */
export function checkName(name: string): void {
  if (/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name) && name.length <= 63) return;
  throw usageError(
    `--name is ${JSON.stringify(name)}: it must be lower-case letters, digits and '-', with a letter or digit first and last, 63 at most`,
  );
}

/** Prints objects in the wanted format; a table by default. */
export async function printObjects<T extends KubeObject>(
  context: CommandContext,
  format: string | undefined,
  items: readonly T[],
  columns: readonly Column<T>[],
): Promise<void> {
  const { out } = context;
  switch (format as OutputFormat | undefined) {
    case 'json':
      out.json(items);
      return;
    case 'yaml':
      await out.yaml(items);
      return;
    case 'name':
      for (const item of items) out.line(nameOf(item));
      return;
    case 'wide':
    case undefined:
      out.table(items, columns, format === 'wide');
  }
}

/** Prints one object if a structured format is wanted; false if the command shows it in its own way. */
export async function printObject(
  context: CommandContext,
  format: string | undefined,
  object: KubeObject,
): Promise<boolean> {
  switch (format as OutputFormat | undefined) {
    case 'json':
      context.out.json(object);
      return true;
    case 'yaml':
      await context.out.yaml(object);
      return true;
    case 'name':
      context.out.line(nameOf(object));
      return true;
    case 'wide':
    case undefined:
      return false;
  }
}

/** `kind/name`, as `-o name` prints it. */
export function nameOf(object: KubeObject): string {
  return `${(object.kind ?? '').toLowerCase()}/${object.metadata.name}`;
}

interface WithConditions {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export function conditionOf(object: WithConditions, type: string): Condition | undefined {
  return object.status?.conditions?.find((condition) => condition.type === type);
}

/** The columns that every list ends with. */
export function commonColumns<T extends KubeObject & WithConditions>(ready: boolean): Column<T>[] {
  const columns: Column<T>[] = [
    { title: 'NAMESPACE', value: (item) => item.metadata.namespace },
    { title: 'AGE', wide: true, value: (item) => ageOf(item.metadata.creationTimestamp) },
  ];
  if (!ready) return columns;
  return [
    { title: 'READY', value: (item) => conditionOf(item, 'Ready')?.status ?? '<none>' },
    { title: 'REASON', wide: true, value: (item) => conditionOf(item, 'Ready')?.reason },
    ...columns,
  ];
}

/** Prints the conditions of a resource's status, if it has any. */
export function printConditions(context: CommandContext, object: WithConditions): void {
  const conditions = object.status?.conditions ?? [];
  if (conditions.length === 0) return;
  context.out.line();
  context.out.line('CONDITIONS:');
  context.out.table(conditions, [
    { title: 'TYPE', value: ({ type }) => type },
    { title: 'STATUS', value: ({ status }) => status },
    { title: 'REASON', value: ({ reason }) => reason },
    { title: 'MESSAGE', value: ({ message }) => message },
    { title: 'LASTTRANSITION', value: ({ lastTransitionTime }) => ageOf(lastTransitionTime) },
  ]);
}

/** How long ago, kubectl's way: `45s`, `12m`, `3h`, `5d`. */
export function ageOf(timestamp: string | undefined, now = Date.now()): string {
  const since = timestamp === undefined ? Number.NaN : Date.parse(timestamp);
  if (Number.isNaN(since)) return '<none>';
  const seconds = Math.max(0, Math.floor((now - since) / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}
