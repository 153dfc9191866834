/** `fissium function`: the code that answers calls. */
import type { FissionFunction, Package } from '../api/index.ts';
import { RESOURCES } from './cluster.ts';
import { defineCommand, notServedCommand, type Noun } from './command.ts';
import {
  commonColumns,
  ignoreNotFoundOption,
  listNamespace,
  listOptions,
  nameOption,
  outputOption,
  printConditions,
  printObject,
  printObjects,
} from './common.ts';
import { CliError } from './errors.ts';
import { create } from './function-create.ts';
import { logs } from './function-logs.ts';
import { packageOf, removeOwnPackage } from './function-package.ts';
import { test } from './function-test.ts';
import { update } from './function-update.ts';
import { text } from './options.ts';
import type { Column } from './output.ts';
import { writeArchive } from './package-archive.ts';
import { waitCommand } from './wait-command.ts';

const get = defineCommand({
  name: 'get',
  summary: 'Print a function’s code',
  description:
    'Prints the code itself (a .wasm file is binary: redirect it). `function getmeta` shows the resource.',
  positional: 'name',
  options: {
    name: nameOption('function'),
    version: text('version', 'Version of the function', { notServed: 'ignored', placeholder: 'name' }),
  },
  async handler({ name }, context) {
    const cluster = await context.connect();
    const fn = await cluster.get<FissionFunction>(RESOURCES.functions, name);
    const packageName = packageOf(fn);
    if (packageName === undefined) {
      throw new CliError(`function '${name}' has no package`, { why: 'its spec names none' });
    }
    const pkg = await cluster.get<Package>(RESOURCES.packages, packageName);
    await writeArchive(cluster, pkg, pkg.spec.deployment ?? pkg.spec.source, context.out);
  },
});

const getmeta = defineCommand({
  name: 'getmeta',
  aliases: ['describe'],
  summary: 'Show a function and its state',
  positional: 'name',
  options: { name: nameOption('function'), output: outputOption },
  async handler({ name, output }, context) {
    const { out } = context;
    const fn = await (await context.connect()).get<FissionFunction>(RESOURCES.functions, name);
    if (await printObject(context, output, fn)) return;
    const packageName = packageOf(fn);
    out.line(`Name: ${fn.metadata.name}`);
    out.line(`Environment: ${fn.spec.environment.name ?? ''}`);
    if (packageName !== undefined) out.line(`Package: ${packageName}`);
    for (const [title, entries] of [
      ['Labels', fn.metadata.labels],
      ['Annotations', fn.metadata.annotations],
    ] as const) {
      if (entries === undefined || Object.keys(entries).length === 0) continue;
      out.line(`${title}:`);
      for (const [key, value] of Object.entries(entries)) out.line(`  ${key}=${value}`);
    }
    printConditions(context, fn);
  },
});

const list = defineCommand({
  name: 'list',
  summary: 'List functions',
  options: listOptions,
  async handler(values, context) {
    const cluster = await context.connect();
    const items = await cluster.list<FissionFunction>(RESOURCES.functions, listNamespace(cluster, values));
    await printObjects(context, values.output, items, columns);
  },
});

const names = (list: readonly { readonly name: string }[] | null | undefined): string =>
  (list ?? []).map(({ name }) => name).join(',');

const columns: Column<FissionFunction>[] = [
  { title: 'NAME', value: ({ metadata }) => metadata.name },
  { title: 'ENV', value: ({ spec }) => spec.environment.name },
  {
    title: 'EXECUTORTYPE',
    value: ({ spec }) => spec.InvokeStrategy?.ExecutionStrategy?.ExecutorType || 'poolmgr',
  },
  { title: 'MINSCALE', value: ({ spec }) => spec.InvokeStrategy?.ExecutionStrategy?.MinScale ?? 0 },
  { title: 'MAXSCALE', value: ({ spec }) => spec.InvokeStrategy?.ExecutionStrategy?.MaxScale ?? 0 },
  { title: 'MINCPU', value: ({ spec }) => spec.resources?.requests?.cpu ?? 0 },
  { title: 'MAXCPU', value: ({ spec }) => spec.resources?.limits?.cpu ?? 0 },
  { title: 'MINMEMORY', value: ({ spec }) => spec.resources?.requests?.memory ?? 0 },
  { title: 'MAXMEMORY', value: ({ spec }) => spec.resources?.limits?.memory ?? 0 },
  { title: 'SECRETS', value: ({ spec }) => names(spec.secrets) },
  { title: 'CONFIGMAPS', value: ({ spec }) => names(spec.configmaps) },
  ...commonColumns<FissionFunction>(true),
];

const remove = defineCommand({
  name: 'delete',
  summary: 'Delete a function, and the package that was made for it',
  positional: 'name',
  options: { name: nameOption('function'), ignoreNotFound: ignoreNotFoundOption },
  async handler({ name, ignoreNotFound }, context) {
    const cluster = await context.connect();
    const fn = await cluster.find<FissionFunction>(RESOURCES.functions, name);
    if (!(await cluster.removeExisting(RESOURCES.functions, name, ignoreNotFound))) return;
    if (fn !== undefined) await removeOwnPackage(cluster, fn);
    context.out.line(`function '${name}' deleted`);
  },
});

const containers = {
  instead:
    'container images come later; WebAssembly runs now: fissium function create --env wasm --code <file.wasm>',
};

export const fn: Noun = {
  commands: [
    create,
    get,
    getmeta,
    list,
    update,
    remove,
    test,
    logs,
    waitCommand('function', RESOURCES.functions),
    notServedCommand('function', 'run-container', { aliases: ['runc'], ...containers }),
    notServedCommand('function', 'update-container', { aliases: ['updatec'], ...containers }),
    notServedCommand('function', 'run-local', {
      aliases: ['runl'],
      instead: '`fissium up` serves functions on this machine',
    }),
    notServedCommand('function', 'pods', { aliases: ['pod', 'po'] }),
    ...['tools', 'publish', 'versions', 'rollback', 'gc-versions', 'dlq', 'state'].map((name) =>
      notServedCommand('function', name),
    ),
  ],
};
