/** `fissium package`: the code of functions. */
import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { finished } from 'node:stream/promises';
import { randomUUID } from 'node:crypto';
import type { Environment, FissionFunction, Package } from '../api/index.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import { defineCommand, usageError, type Command, type CommandContext, type Noun } from './command.ts';
import {
  checkName,
  commonColumns,
  ignoreNotFoundOption,
  listNamespace,
  listOptions,
  nameOption,
  outputOption,
  printConditions,
  printObject,
  printObjects,
  saveOptions,
  waitOptions,
} from './common.ts';
import { CliError } from './errors.ts';
import { packageOf } from './function-package.ts';
import { flag, required, text, withDefault } from './options.ts';
import type { Column } from './output.ts';
import { writeArchive } from './package-archive.ts';
import { archiveSpecs, checkSource, hasSource, localSources, sourceOptions } from './package-source.ts';
import { specArchives } from './spec/archive-save.ts';
import { saveSpec } from './spec/save.ts';
import { waitReady } from './wait.ts';
import { waitCommand } from './wait-command.ts';

const environmentOption = text('env', 'Environment of the code', { placeholder: 'name' });
const forceOption = withDefault(flag('force', 'Also if functions use it', { short: 'f' }), false);

const create = defineCommand({
  name: 'create',
  summary: 'Create a package',
  positional: 'name',
  options: {
    name: text('name', 'Name of the package [default: made up]', { placeholder: 'name' }),
    env: required(environmentOption),
    ...sourceOptions,
    output: outputOption,
    ...waitOptions,
    ...saveOptions,
  },
  async handler(values, context) {
    checkSource(values);
    const name = values.name ?? `pkg-${randomUUID()}`;
    checkName(name);
    const base = { apiVersion: 'fission.io/v1', kind: 'Package' } as const;
    if (values.spec || values.dry) {
      const { archives, uploads } = await specArchives(context, values);
      const pkg = { ...base, metadata: { name }, spec: { environment: { name: values.env }, ...archives } };
      await saveSpec(context, values, [...uploads, pkg], `package-${name}.yaml`);
      return;
    }
    const local = await localSources(values, context.io.cwd);
    try {
      const cluster = await context.connect();
      const { namespace } = cluster;
      await cluster.get<Environment>(RESOURCES.environments, values.env);
      const created = await cluster.client.create<Package>(
        RESOURCES.packages,
        {
          ...base,
          metadata: { name, namespace },
          spec: {
            environment: { name: values.env, namespace },
            ...(await archiveSpecs(context, values, local)),
          },
        },
        { fieldValidation: 'Strict' },
      );
      if (values.wait) await settle(context, cluster, created, values.waitTimeout, 'created');
      if (await printObject(context, values.output, created)) return;
      context.out.line(`Package '${name}' created`);
    } finally {
      await local.deployment?.dispose();
      await local.source?.dispose();
    }
  },
});

/** Waits until the package is prepared. One that is refused stays, so that it can be looked at, and fails. */
async function settle(
  { out }: CommandContext,
  cluster: Cluster,
  pkg: Package,
  timeoutMs: number,
  done: string,
): Promise<void> {
  const { name } = pkg.metadata;
  const outcome = await waitReady(cluster, RESOURCES.packages, pkg, {
    timeoutMs,
    out,
    text: `preparing package '${name}'`,
  });
  if (outcome.type === 'ready') return;
  if (outcome.type === 'deleted') throw new CliError(`package '${name}' was deleted while it was waited for`);
  if (outcome.type === 'not-ready' && outcome.reason === 'EnvironmentNotServed') {
    out.warn(`package '${name}' is ${done} but not run yet: ${outcome.message}`);
    return;
  }
  throw new CliError(
    outcome.type === 'timeout'
      ? `package '${name}' was not ready after ${timeoutMs / 1000} s`
      : `package '${name}' is ${done}, but refused: ${outcome.reason}`,
    { why: outcome.message, fix: `fissium package update --name ${name} --code <file>, or delete it` },
  );
}

const update = defineCommand({
  name: 'update',
  summary: 'Update a package: its functions are deployed anew',
  positional: 'name',
  options: {
    name: nameOption('package'),
    env: environmentOption,
    ...sourceOptions,
    force: forceOption,
    output: outputOption,
    ...waitOptions,
  },
  async handler(values, context) {
    const cluster = await context.connect();
    await cluster.get<Package>(RESOURCES.packages, values.name);
    const users = await usersOf(cluster, values.name);
    if (users.length > 1 && !values.force) throw usedBy(values.name, users);
    if (hasSource(values)) checkSource(values);
    const local = await localSources(values, context.io.cwd);
    try {
      const archives = await archiveSpecs(context, values, local);
      const updated = await cluster.change<Package>(RESOURCES.packages, values.name, (current) => ({
        ...current,
        spec: {
          ...current.spec,
          ...(values.env === undefined
            ? {}
            : { environment: { ...current.spec.environment, name: values.env } }),
          ...archives,
        },
      }));
      if (values.wait) await settle(context, cluster, updated, values.waitTimeout, 'updated');
      // Fission's executors deploy a function anew when the version that it names changes.
      for (const user of users) await pointTo(cluster, user, updated);
      if (await printObject(context, values.output, updated)) return;
      context.out.line(`Package '${values.name}' updated`);
    } finally {
      await local.deployment?.dispose();
      await local.source?.dispose();
    }
  },
});

async function pointTo(cluster: Cluster, user: FissionFunction, pkg: Package): Promise<void> {
  const version = pkg.metadata.resourceVersion;
  if (user.spec.package?.packageref === undefined || version === undefined) return;
  await cluster.change<FissionFunction>(RESOURCES.functions, user.metadata.name, (current) => ({
    ...current,
    spec: {
      ...current.spec,
      package: {
        ...current.spec.package,
        packageref: { ...current.spec.package?.packageref, resourceversion: version },
      },
    },
  }));
}

async function usersOf(cluster: Cluster, name: string): Promise<FissionFunction[]> {
  const functions = await cluster.list<FissionFunction>(RESOURCES.functions);
  return functions.filter((fn) => packageOf(fn) === name);
}

function usedBy(name: string, users: readonly FissionFunction[]): CliError {
  return new CliError(
    `package '${name}' is used by ${users.length === 1 ? 'a function' : `${users.length} functions`}`,
    {
      why: users.map((fn) => fn.metadata.name).join(', '),
      fix: 'add --force',
    },
  );
}

const info = defineCommand({
  name: 'info',
  aliases: ['get'],
  summary: 'Show a package and its state',
  positional: 'name',
  options: { name: nameOption('package'), output: outputOption },
  async handler({ name, output }, context) {
    const { out } = context;
    const pkg = await (await context.connect()).get<Package>(RESOURCES.packages, name);
    if (await printObject(context, output, pkg)) return;
    const rows: [string, string][] = [
      ['Name:', pkg.metadata.name],
      ['Environment:', pkg.spec.environment.name ?? ''],
      ['Status:', pkg.status?.buildstatus ?? 'pending'],
      ['Deployment:', describe(pkg.spec.deployment)],
    ];
    if (pkg.spec.source !== undefined) rows.push(['Source:', describe(pkg.spec.source)]);
    for (const [label, value] of rows) out.line(`${label.padEnd(12)} ${value}`.trimEnd());
    printConditions(context, pkg);
    const log = pkg.status?.buildlog ?? '';
    if (log !== '') {
      out.line('Build Logs:');
      out.line(log.trimEnd());
    }
  },
});

function describe(archive: Package['spec']['deployment']): string {
  if (archive === undefined) return '<none>';
  const sum = archive.checksum?.sum ? ` sha256:${archive.checksum.sum}` : '';
  if (archive.literal) return `literal (${Buffer.from(archive.literal, 'base64').length} bytes)${sum}`;
  if (archive.oci !== undefined) return `oci ${archive.oci.image}`;
  return archive.url ? `url ${archive.url}${sum}` : '<none>';
}

/** `getdeploy` and `getsrc`: Fission's `getsrc` gives the deployment archive where there is no source. */
function getArchive(name: 'getdeploy' | 'getsrc', summary: string): Command {
  return defineCommand({
    name,
    summary,
    positional: 'name',
    options: {
      name: nameOption('package'),
      file: text('output', 'File to write to, instead of stdout', { short: 'o', placeholder: 'file' }),
    },
    async handler(values, { connect, io, out }) {
      const cluster = await connect();
      const pkg = await cluster.get<Package>(RESOURCES.packages, values.name);
      const { source, deployment } = pkg.spec;
      const archive = name === 'getsrc' ? (source ?? deployment) : deployment;
      if (values.file === undefined) {
        await writeArchive(cluster, pkg, archive, out);
        return;
      }
      const file = createWriteStream(resolve(io.cwd, values.file));
      await once(file, 'open');
      await writeArchive(cluster, pkg, archive, { raw: (chunk) => void file.write(chunk) });
      file.end();
      await finished(file);
      out.line(`written to ${values.file}`);
    },
  });
}

const list = defineCommand({
  name: 'list',
  summary: 'List packages',
  options: {
    ...listOptions,
    orphan: withDefault(flag('orphan', 'Only those that no function uses'), false),
    status: text('status', 'Only those of this build status', { placeholder: 'status' }),
  },
  async handler(values, context) {
    const cluster = await context.connect();
    const namespace = listNamespace(cluster, values);
    let items = await cluster.list<Package>(RESOURCES.packages, namespace);
    if (values.orphan) {
      const functions = await cluster.list<FissionFunction>(RESOURCES.functions, namespace);
      const used = new Set(functions.map((fn) => `${fn.metadata.namespace}/${packageOf(fn)}`));
      items = items.filter(({ metadata }) => !used.has(`${metadata.namespace}/${metadata.name}`));
    }
    if (values.status !== undefined)
      items = items.filter(({ status }) => status?.buildstatus === values.status);
    items.sort((a, b) => updatedAt(b).localeCompare(updatedAt(a)));
    await printObjects(context, values.output, items, columns);
  },
});

function updatedAt({ status, metadata }: Package): string {
  return status?.lastUpdateTimestamp ?? metadata.creationTimestamp ?? '';
}

const columns: Column<Package>[] = [
  { title: 'NAME', value: ({ metadata }) => metadata.name },
  { title: 'BUILD_STATUS', value: ({ status }) => status?.buildstatus ?? 'pending' },
  { title: 'ENV', value: ({ spec }) => spec.environment.name },
  { title: 'LASTUPDATEDAT', value: updatedAt },
  ...commonColumns<Package>(true),
];

const remove = defineCommand({
  name: 'delete',
  summary: 'Delete packages',
  positional: 'name',
  options: {
    name: text('name', 'Name of the package', { placeholder: 'name' }),
    orphan: withDefault(flag('orphan', 'Delete all that no function uses'), false),
    force: forceOption,
    ignoreNotFound: ignoreNotFoundOption,
  },
  async handler(values, context) {
    const { name, orphan, force, ignoreNotFound } = values;
    if ((name === undefined) === !orphan) throw usageError('give --name or --orphan, one of them');
    const cluster = await context.connect();
    if (name !== undefined) {
      const users = force ? [] : await usersOf(cluster, name);
      if (users.length > 0) throw usedBy(name, users);
      if (await cluster.removeExisting(RESOURCES.packages, name, ignoreNotFound)) {
        context.out.line(`Package '${name}' deleted`);
      }
      return;
    }
    const functions = await cluster.list<FissionFunction>(RESOURCES.functions);
    const used = new Set(functions.map(packageOf));
    for (const { metadata } of await cluster.list<Package>(RESOURCES.packages)) {
      if (used.has(metadata.name)) continue;
      if (await cluster.remove(RESOURCES.packages, metadata.name))
        context.out.line(`Package '${metadata.name}' deleted`);
    }
  },
});

const rebuild = defineCommand({
  name: 'rebuild',
  summary: 'Build a package from its source again',
  positional: 'name',
  options: { name: nameOption('package'), ...waitOptions },
  async handler({ name, wait, waitTimeout }, context) {
    const cluster = await context.connect();
    const current = await cluster.get<Package>(RESOURCES.packages, name);
    if (isEmptyArchive(current.spec.source)) {
      throw new CliError(`package '${name}' has no source to build`, {
        fix: `fissium package update --name ${name} --sourcearchive <path>`,
      });
    }
    const asked = await cluster.client.patchStatus<Package>(RESOURCES.packages, cluster.namespace, name, {
      status: { buildstatus: 'pending' },
    });
    if (!wait) {
      context.out.line(
        `Retrying build for pkg ${name}. Use "fissium pkg info --name ${name}" to view status`,
      );
      return;
    }
    await builtAgain(cluster, asked, waitTimeout);
    const latest = await cluster.get<Package>(RESOURCES.packages, name);
    await settle(context, cluster, latest, waitTimeout, 'built');
    context.out.line(`Package '${name}' rebuilt`);
  },
});

/** Waits until the platform has heard: until then the status is that of the build before. */
async function builtAgain(cluster: Cluster, asked: Package, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const { status } = await cluster.get<Package>(RESOURCES.packages, asked.metadata.name);
    if (status?.buildstatus !== 'pending') return;
    if (status.conditions?.some(({ reason }) => reason === 'BuildPending') === true) return;
    await sleep(50);
  }
}

function isEmptyArchive(archive: Package['spec']['source']): boolean {
  return archive === undefined || (!archive.literal && !archive.url);
}

export const pkg: Noun = {
  commands: [
    create,
    info,
    list,
    getArchive('getdeploy', 'Print a package’s code'),
    getArchive('getsrc', 'Print a package’s source'),
    update,
    remove,
    waitCommand('package', RESOURCES.packages),
    rebuild,
  ],
};
