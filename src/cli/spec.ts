/** `fissium spec`: an application as files. */
import { randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { defineCommand, usageError, type CommandContext, type Noun } from './command.ts';
import { CliError, errorLines } from './errors.ts';
import { duration, flag, text, withDefault } from './options.ts';
import { toYaml } from './output.ts';
import type { SpecSet } from './spec/load.ts';
import { CONFIG_FILE, SPEC_DIR } from './spec/names.ts';

const folderOptions = {
  specdir: withDefault(
    text('specdir', 'Folder of the specification, or one file', { placeholder: 'dir' }),
    SPEC_DIR,
  ),
  specignore: text('specignore', 'File with patterns to leave out [default: .specignore]', {
    placeholder: 'file',
  }),
};

const README = `Specification of an application
================================

Every YAML file here describes resources of the application: environments, packages, functions, HTTP triggers.

    fissium spec validate          checks them
    fissium spec apply             makes the platform as they say; --delete also removes what they no longer name
    fissium spec apply --watch     does so again whenever a file changes
    fissium spec list              shows what was made
    fissium spec destroy           removes it

\`fissium function create --spec …\` and the other \`create\` commands write files here instead of creating.
An ArchiveUploadSpec names the files of a package, relative to the folder that this folder is in.

${CONFIG_FILE} holds the uid that marks what belongs to this application. Only resources with that mark are
changed or deleted, so it must stay as it is.
`;

const init = defineCommand({
  name: 'init',
  summary: 'Make a folder for a specification',
  options: {
    name: text('name', 'Name of the application [default: of the current folder]', { placeholder: 'name' }),
    deployid: text('deployid', 'Its uid [default: a new one]', { aliases: ['id'], placeholder: 'uid' }),
    specdir: folderOptions.specdir,
  },
  async handler({ name, deployid, specdir }, { io, out }) {
    const folder = resolve(io.cwd, specdir);
    const file = join(folder, CONFIG_FILE);
    if ((await stat(file).catch(() => undefined)) !== undefined) {
      throw new CliError(`${folder} holds a specification already`, { why: `${CONFIG_FILE} is there` });
    }
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'README'), README);
    const config = {
      apiVersion: 'fission.io/v1',
      kind: 'DeploymentConfig',
      name: name ?? kubernetesName(basename(io.cwd)),
      uid: deployid ?? randomUUID(),
    };
    await writeFile(
      file,
      `# Made by \`spec init\`. The uid must stay as it is: it marks what belongs to this application.\n${await toYaml(config)}`,
    );
    out.line(`specification '${config.name}' made in ${specdir}`);
  },
});

function kubernetesName(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return name === '' ? 'app' : name.slice(0, 63);
}

const validate = defineCommand({
  name: 'validate',
  summary: 'Check a specification',
  description: 'Checks each resource against its schema and what they say of each other. Needs no platform.',
  options: {
    ...folderOptions,
    allowconflicts: flag(
      'allowconflicts',
      'Taken for Fission’s sake: nothing is compared with a cluster here',
    ),
  },
  async handler({ specdir, specignore }, { io, out }) {
    const set = await load(io.cwd, specdir, specignore);
    const { validateSpecs } = await import('./spec/validate.ts');
    const { errors, warnings, dangling } = validateSpecs(set);
    for (const warning of warnings) out.warn(warning);
    for (const { kind, name, from } of dangling) {
      out.warn(
        `${from} refers to ${kind} "${name}", which is not in the specification: it must be in the cluster`,
      );
    }
    if (errors.length > 0) throw new CliError('the specification is not valid', { why: errors.join('\n') });
    const count = set.objects.length;
    out.line(`${count} ${count === 1 ? 'resource is' : 'resources are'} valid`);
  },
});

async function load(cwd: string, specdir: string, specignore: string | undefined): Promise<SpecSet> {
  const { loadSpecs } = await import('./spec/load.ts');
  return loadSpecs(specdir, cwd, specignore);
}

const apply = defineCommand({
  name: 'apply',
  summary: 'Make the platform as the specification says',
  description: [
    'Creates and updates the resources of the specification and returns when they are in effect. What is not ready',
    'then is named in a warning; with --wait it fails the command.',
  ].join('\n'),
  options: {
    ...folderOptions,
    delete: withDefault(
      flag('delete', 'Delete what an earlier apply has made and is no longer named'),
      false,
    ),
    watch: withDefault(flag('watch', 'Apply again whenever a file changes, until interrupted'), false),
    wait: flag('wait', 'Fail if something is not ready; --no-wait returns at once'),
    waitTimeout: withDefault(duration('wait-timeout', 'How long to wait for it to be in effect'), 120_000),
    validation: flag(
      'validation',
      'Check the specification first; --validation=false leaves it to the platform',
    ),
    dryRun: withDefault(flag('dry-run', 'Show what would change', { aliases: ['dryrun'] }), false),
    allowconflicts: withDefault(
      flag('allowconflicts', 'Also change what was not made by this specification'),
      false,
    ),
    forceNamespace: withDefault(
      flag('force-namespace', 'Put everything into the namespace of -n', { aliases: ['force'] }),
      false,
    ),
    commitlabel: withDefault(flag('commitlabel', 'Label everything with the Git commit'), false),
  },
  async handler(values, context) {
    const { io, out } = context;
    const { applySpecs } = await import('./spec/apply.ts');
    const cluster = await context.connect();
    const loadNow = (): Promise<SpecSet> => load(io.cwd, values.specdir, values.specignore);
    const applyNow = async (set: SpecSet): Promise<void> =>
      applySpecs(context, cluster, set, {
        delete: values.delete,
        dryRun: values.dryRun,
        validate: values.validation !== false,
        allowConflicts: values.allowconflicts,
        forceNamespace: values.forceNamespace,
        commit: values.commitlabel ? await gitCommit(io.cwd) : undefined,
        wait: values.wait === undefined ? 'show' : values.wait ? 'require' : 'no',
        waitTimeoutMs: values.waitTimeout,
      });
    if (!values.watch) {
      await applyNow(await loadNow());
      return;
    }
    // While it is watched, a failure is shown and the next change tries again.
    const orShow = async <T>(step: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await step();
      } catch (error) {
        await show(context, error);
        return undefined;
      }
    };
    const { watchSpecs } = await import('./spec/watch.ts');
    await watchSpecs(
      await watchedFolder(io.cwd, values.specdir),
      {
        load: () => orShow(loadNow),
        apply: async (set) =>
          (await orShow(async () => {
            await applyNow(set);
            return true;
          })) ?? false,
        started: () => out.line('Watching files for changes...'),
      },
      io.interrupt?.(),
    );
  },
});

async function show({ out }: CommandContext, error: unknown): Promise<void> {
  const { explain } = await import('./explain.ts');
  for (const line of errorLines(explain(error))) out.note(line);
}

/** The folder that is watched whatever is in it. */
async function watchedFolder(cwd: string, specdir: string): Promise<string> {
  const path = resolve(cwd, specdir);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) {
    throw new CliError(`there is no specs folder at ${path}`, {
      fix: 'make one with `fissium spec init`, or name it with --specdir',
    });
  }
  return info.isDirectory() ? path : dirname(path);
}

async function gitCommit(cwd: string): Promise<string> {
  try {
    return (await promisify(execFile)('git', ['rev-parse', 'HEAD'], { cwd })).stdout.trim();
  } catch (error) {
    throw new CliError('--commitlabel needs a Git checkout', {
      why: 'git rev-parse HEAD failed',
      cause: error,
    });
  }
}

const list = defineCommand({
  name: 'list',
  summary: 'List what was made by the specification',
  options: {
    ...folderOptions,
    deployid: text('deployid', 'Uid of the specification [default: of --specdir]', {
      aliases: ['id'],
      placeholder: 'uid',
    }),
    allNamespaces: withDefault(flag('all-namespaces', 'In all namespaces', { short: 'A' }), false),
  },
  async handler(values, context) {
    const uid = values.deployid ?? (await configOf(context, values)).uid;
    const cluster = await context.connect();
    const { ownedBy } = await import('./spec/apply.ts');
    const owned = await ownedBy(cluster, uid, values.allNamespaces ? null : cluster.namespace);
    const { commonColumns } = await import('./common.ts');
    context.out.table(
      owned.map(({ type, object }) => ({ ...object, kind: type.kind })),
      [
        { title: 'KIND', value: ({ kind }) => kind },
        { title: 'NAME', value: ({ metadata }) => metadata.name },
        ...commonColumns(true),
      ],
    );
  },
});

const destroy = defineCommand({
  name: 'destroy',
  summary: 'Delete what was made by the specification',
  description: 'Deletes only resources that carry the uid of this specification.',
  options: {
    ...folderOptions,
    force: withDefault(flag('force', 'Also what the files no longer name, in all namespaces'), false),
  },
  async handler(values, context) {
    const { uid } = await configOf(context, values);
    const set = await load(context.io.cwd, values.specdir, values.specignore);
    const cluster = await context.connect();
    const { ownedBy } = await import('./spec/apply.ts');
    const named = new Set(
      set.objects.map(
        ({ kind, name, object }) => `${kind} ${object.metadata.namespace ?? cluster.namespace}/${name}`,
      ),
    );
    for (const { type, object } of await ownedBy(cluster, uid, null)) {
      const { name, namespace } = object.metadata;
      if (!values.force && !named.has(`${type.kind} ${namespace}/${name}`)) continue;
      if (await cluster.remove(type, name, namespace))
        context.out.line(`Deleted ${type.kind} ${namespace}/${name}`);
    }
  },
});

async function configOf(
  { io }: CommandContext,
  { specdir, specignore }: { readonly specdir: string; readonly specignore: string | undefined },
): Promise<{ name: string; uid: string }> {
  const { config } = await load(io.cwd, specdir, specignore);
  if (config === undefined) {
    throw usageError(`${resolve(io.cwd, specdir)} has no ${CONFIG_FILE}`, 'make one: fissium spec init');
  }
  return config;
}

export const spec: Noun = { commands: [init, validate, apply, list, destroy] };
