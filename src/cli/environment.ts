/** `fissium environment`: how code of a kind runs. */
import { DEFAULT_TERMINATION_GRACE_S, type Environment, type FissionFunction } from '../api/index.ts';
import { runtimeOf } from '../executors/process/images.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import { defineCommand, notServedCommand, type CommandContext, type Noun } from './command.ts';
import {
  checkName,
  commonColumns,
  ignoreNotFoundOption,
  keyValues,
  labelOptions,
  labelsAndAnnotations,
  listNamespace,
  listOptions,
  nameOption,
  outputOption,
  printConditions,
  printObject,
  printObjects,
  resourceOptions,
  saveOptions,
} from './common.ts';
import { CliError } from './errors.ts';
import { flag, integer, required, text, texts, withDefault, type OptionValues } from './options.ts';
import type { Column } from './output.ts';
import { resourcesOf } from './quantities.ts';
import { runsInPods } from './install/runs-in-pods.ts';
import { saveSpec } from './spec/save.ts';
import { waitCommand } from './wait-command.ts';

const settings = {
  builder: text('builder', 'Image that builds source packages; `wasm` for what becomes WebAssembly', {
    placeholder: 'image',
  }),
  buildcmd: text('buildcmd', 'Build command [default: build]', { placeholder: 'command' }),
  poolsize: integer('poolsize', 'Instances kept ready', { min: 0, notServed: 'in-one-process' }),
  period: integer('graceperiod', 'Seconds that an ending instance may take', {
    aliases: ['period'],
    min: 0,
    notServed: 'in-one-process',
  }),
  imagepullsecret: text('imagepullsecret', 'Secret for pulling the images', {
    notServed: 'in-one-process',
    placeholder: 'name',
  }),
  keeparchive: flag('keeparchive', 'Hand archives over without extracting them', {
    notServed: 'in-one-process',
  }),
  externalnetwork: flag('externalnetwork', 'Let pods reach outside the mesh', { notServed: 'kept' }),
  builderEnv: texts('builder-env', 'Variable of the builder', {
    placeholder: 'KEY=VALUE',
  }),
  runtimeEnv: texts('runtime-env', 'Variable of the runtime', {
    notServed: 'in-one-process',
    placeholder: 'KEY=VALUE',
  }),
  ...resourceOptions('the environment'),
  maxmemory: text('maxmemory', 'Most memory of the environment, in MiB', {
    notServed: 'in-one-process',
    placeholder: 'n',
  }),
  ...labelOptions,
};

const imageOption = text('image', '`wasm` for WebAssembly functions, or a container image', {
  placeholder: 'image',
});

type Settings = OptionValues<typeof settings> & { readonly image: string | undefined };

const create = defineCommand({
  name: 'create',
  summary: 'Create an environment',
  positional: 'name',
  options: {
    name: nameOption('environment'),
    image: required(imageOption),
    version: withDefault(
      integer('version', 'Version of Fission’s environment interface', { min: 1, max: 3 }),
      3,
    ),
    output: outputOption,
    ...settings,
    ...saveOptions,
  },
  async handler(values, context) {
    checkName(values.name);
    const environment = applySettings(
      {
        apiVersion: 'fission.io/v1',
        kind: 'Environment',
        metadata: { name: values.name },
        spec: { version: values.version, runtime: { image: values.image } },
      },
      values,
    );
    if (await saveSpec(context, values, [environment], `env-${values.name}.yaml`)) return;
    const cluster = await context.connect();
    const created = await cluster.client.create(
      RESOURCES.environments,
      { ...environment, metadata: { ...environment.metadata, namespace: cluster.namespace } },
      { fieldValidation: 'Strict' },
    );
    if (!(await printObject(context, values.output, created))) {
      context.out.line(`environment '${values.name}' created`);
    }
    await warnContainer(context, cluster, created);
  },
});

/** Images that nothing stands for in standalone: said at once, not at the first call. */
async function warnContainer(
  context: CommandContext,
  cluster: Cluster,
  environment: Environment,
): Promise<void> {
  const { image } = environment.spec.runtime;
  if (image === 'wasm' || runtimeOf(image) !== null || (await runsInPods(cluster))) return;
  context.out.warn(
    `functions of environment '${environment.metadata.name}' are not run in standalone: no local runtime stands for image ${image}; images named like python-env and node-env have one, and image \`wasm\` runs WebAssembly`,
  );
}

const get = defineCommand({
  name: 'get',
  summary: 'Show an environment',
  positional: 'name',
  options: { name: nameOption('environment'), output: outputOption },
  async handler({ name, output }, context) {
    const environment = await (await context.connect()).get<Environment>(RESOURCES.environments, name);
    if (await printObject(context, output, environment)) return;
    context.out.table([environment], columns, output === 'wide');
    printConditions(context, environment);
  },
});

const list = defineCommand({
  name: 'list',
  summary: 'List environments',
  options: listOptions,
  async handler(values, context) {
    const cluster = await context.connect();
    const items = await cluster.list<Environment>(RESOURCES.environments, listNamespace(cluster, values));
    await printObjects(context, values.output, items, columns);
  },
});

const columns: Column<Environment>[] = [
  { title: 'NAME', value: ({ metadata }) => metadata.name },
  { title: 'IMAGE', value: ({ spec }) => spec.runtime.image },
  { title: 'BUILDER_IMAGE', value: ({ spec }) => spec.builder?.image },
  { title: 'POOLSIZE', value: ({ spec }) => spec.poolsize },
  { title: 'MINCPU', value: ({ spec }) => spec.resources?.requests?.cpu },
  { title: 'MAXCPU', value: ({ spec }) => spec.resources?.limits?.cpu },
  { title: 'MINMEMORY', value: ({ spec }) => spec.resources?.requests?.memory },
  { title: 'MAXMEMORY', value: ({ spec }) => spec.resources?.limits?.memory },
  { title: 'EXTNET', value: ({ spec }) => spec.allowAccessToExternalNetwork ?? false },
  { title: 'GRACETIME', value: ({ spec }) => spec.terminationGracePeriod ?? DEFAULT_TERMINATION_GRACE_S },
  ...commonColumns<Environment>(true),
];

const update = defineCommand({
  name: 'update',
  summary: 'Update an environment',
  positional: 'name',
  options: { name: nameOption('environment'), image: imageOption, output: outputOption, ...settings },
  async handler(values, context) {
    const cluster = await context.connect();
    const updated = await cluster.change<Environment>(RESOURCES.environments, values.name, (current) =>
      applySettings(current, values),
    );
    if (await printObject(context, values.output, updated)) return;
    context.out.line(`environment '${values.name}' updated`);
  },
});

const remove = defineCommand({
  name: 'delete',
  summary: 'Delete an environment',
  positional: 'name',
  options: {
    name: nameOption('environment'),
    force: withDefault(flag('force', 'Delete even if functions use it', { short: 'f' }), false),
    ignoreNotFound: ignoreNotFoundOption,
  },
  async handler({ name, force, ignoreNotFound }, context) {
    const cluster = await context.connect();
    if (!force) {
      const functions = await cluster.list<FissionFunction>(RESOURCES.functions);
      const users = functions
        .filter(({ spec }) => spec.environment?.name === name)
        .map((fn) => fn.metadata.name);
      if (users.length > 0) {
        throw new CliError(
          `environment '${name}' is used by ${users.length === 1 ? 'a function' : 'functions'}`,
          {
            why: users.join(', '),
            fix: 'delete them first, or add --force',
          },
        );
      }
    }
    if (await cluster.removeExisting(RESOURCES.environments, name, ignoreNotFound)) {
      context.out.line(`environment '${name}' deleted`);
    }
  },
});

/** The environment with what the flags say; what they do not say stays. */
function applySettings(environment: Environment, values: Settings): Environment {
  const { spec, metadata } = environment;
  const added = labelsAndAnnotations(values);
  const builder = {
    ...spec.builder,
    ...(values.builder === undefined
      ? {}
      : { image: values.builder, command: spec.builder?.command ?? 'build' }),
    ...(values.buildcmd === undefined ? {} : { command: values.buildcmd }),
    ...(values.builderEnv === undefined
      ? {}
      : {
          container: {
            ...spec.builder?.container,
            name: 'builder',
            env: variables(values.builderEnv, 'builder-env'),
          },
        }),
  };
  const resources = resourcesOf(spec.resources, values);
  return {
    ...environment,
    metadata: {
      ...metadata,
      ...(added.labels === undefined ? {} : { labels: { ...metadata.labels, ...added.labels } }),
      ...(added.annotations === undefined
        ? {}
        : { annotations: { ...metadata.annotations, ...added.annotations } }),
    },
    spec: {
      ...spec,
      runtime: {
        ...spec.runtime,
        ...(values.image === undefined ? {} : { image: values.image }),
        ...(values.runtimeEnv === undefined
          ? {}
          : {
              container: {
                ...spec.runtime.container,
                name: metadata.name,
                env: variables(values.runtimeEnv, 'runtime-env'),
              },
            }),
      },
      ...(Object.keys(builder).length === 0 ? {} : { builder }),
      ...(values.poolsize === undefined ? {} : { poolsize: values.poolsize }),
      ...(values.period === undefined ? {} : { terminationGracePeriod: values.period }),
      ...(values.imagepullsecret === undefined ? {} : { imagepullsecret: values.imagepullsecret }),
      ...(values.keeparchive === undefined ? {} : { keeparchive: values.keeparchive }),
      ...(values.externalnetwork === undefined
        ? {}
        : { allowAccessToExternalNetwork: values.externalnetwork }),
      ...(resources === undefined ? {} : { resources }),
    },
  };
}

function variables(pairs: readonly string[], option: string): { name: string; value: string }[] {
  return Object.entries(keyValues(pairs, option)).map(([name, value]) => ({ name, value }));
}

export const environment: Noun = {
  commands: [
    create,
    get,
    list,
    update,
    remove,
    waitCommand('environment', RESOURCES.environments),
    notServedCommand('environment', 'pods', { aliases: ['pod', 'po'] }),
    notServedCommand('environment', 'impact'),
  ],
};
