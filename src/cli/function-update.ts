/** `fissium function update`. */
import type { Environment, FissionFunction, Package } from '../api/index.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import { defineCommand, usageError, type CommandContext } from './command.ts';
import {
  labelOptions,
  labelsAndAnnotations,
  nameOption,
  outputOption,
  printObject,
  waitOptions,
} from './common.ts';
import { CliError } from './errors.ts';
import { isNotServedYet, waitFor, waitForPackage, warnReferences } from './function-create.ts';
import { functionOptions, functionSpec } from './function-flags.ts';
import { removeOwnPackage } from './function-package.ts';
import { flag, text, withDefault, type OptionValues } from './options.ts';
import {
  archiveSpecs,
  checkSource,
  hasSource,
  localSources,
  packageNameFor,
  sourceOptions,
} from './package-source.ts';
import { discard } from './storage.ts';
import type { Outcome } from './wait.ts';

const options = {
  name: nameOption('function'),
  env: text('env', 'Environment of the function', { placeholder: 'name' }),
  pkgname: text('pkgname', 'Existing package to take the code from', {
    aliases: ['pkg'],
    placeholder: 'name',
  }),
  ...sourceOptions,
  force: flag('force', 'Taken for Fission’s sake: a package that others use is never changed here', {
    short: 'f',
  }),
  keep: withDefault(flag('keep', 'Leave the function as updated even if that is refused'), false),
  output: outputOption,
  ...waitOptions,
  ...functionOptions,
  ...labelOptions,
};

type Values = OptionValues<typeof options>;

export const update = defineCommand({
  name: 'update',
  summary: 'Update a function’s code or settings',
  description: [
    'Changes what the flags name and returns when the new version serves; until then the old one does.',
    'New code becomes a new Package. An update that is refused is taken back: the old version goes on serving.',
  ].join('\n'),
  positional: 'name',
  options,
  async handler(values, context) {
    if (values.pkgname !== undefined && hasSource(values)) {
      throw usageError('--pkgname names existing code: give it or --code, not both');
    }
    if (hasSource(values)) checkSource(values);
    const local = await localSources(values, context.io.cwd);
    try {
      const cluster = await context.connect();
      const before = await cluster.get<FissionFunction>(RESOURCES.functions, values.name);
      await warnReferences(context, cluster, values);
      const pkg = await newPackage(context, cluster, before, values, local);
      const updated = await apply(context, cluster, before, pkg, values);
      if (await printObject(context, values.output, updated)) return;
      context.out.line(`function '${values.name}' updated`);
    } finally {
      await local.deployment?.dispose();
      await local.source?.dispose();
    }
  },
});

/** The package that the function is to use from now on, if it changes. */
async function newPackage(
  context: CommandContext,
  cluster: Cluster,
  before: FissionFunction,
  values: Values,
  local: Awaited<ReturnType<typeof localSources>>,
): Promise<Package | undefined> {
  if (values.pkgname !== undefined) return cluster.get<Package>(RESOURCES.packages, values.pkgname);
  if (values.env !== undefined) await cluster.get<Environment>(RESOURCES.environments, values.env);
  if (!hasSource(values)) return undefined;
  const environment = values.env ?? before.spec.environment.name ?? '';
  const pkg = await cluster.client.create<Package>(
    RESOURCES.packages,
    {
      apiVersion: 'fission.io/v1',
      kind: 'Package',
      metadata: { name: packageNameFor(values.name), namespace: cluster.namespace },
      spec: {
        environment: { name: environment, namespace: cluster.namespace },
        ...(await archiveSpecs(context, values, local)),
      },
    },
    { fieldValidation: 'Strict' },
  );
  if (!values.wait) return pkg;
  // Code that is refused is refused here: the function is not touched then.
  const outcome = await waitForPackage(context, cluster, pkg, values);
  if (outcome.type === 'ready' || isNotServedYet(outcome) || values.keep) return pkg;
  await discardPackage(cluster, pkg, values);
  throw refusal(values, outcome, 'the old version still serves; mend the code and update again');
}

async function apply(
  context: CommandContext,
  cluster: Cluster,
  before: FissionFunction,
  pkg: Package | undefined,
  values: Values,
): Promise<FissionFunction> {
  let updated: FissionFunction;
  try {
    updated = await cluster.change<FissionFunction>(RESOURCES.functions, values.name, (current) =>
      changed(current, pkg, values, cluster.namespace),
    );
  } catch (error) {
    await discardPackage(cluster, pkg, values);
    throw error;
  }
  const outcome = values.wait ? await waitFor(context, cluster, updated, values.waitTimeout) : undefined;
  if (outcome !== undefined && outcome.type !== 'ready') {
    if (isNotServedYet(outcome)) {
      context.out.warn(
        `function '${values.name}' is updated but not run yet (${outcome.reason}): ${outcome.message}`,
      );
    } else {
      throw await refused(cluster, before, pkg, values, outcome);
    }
  }
  // The code that nothing refers to any more goes, if it was made for this function and the new one serves.
  if (pkg !== undefined && outcome !== undefined) await removeOwnPackage(cluster, before, pkg.metadata.name);
  return updated;
}

function changed(
  current: FissionFunction,
  pkg: Package | undefined,
  values: Values,
  namespace: string,
): FissionFunction {
  const { spec, metadata } = current;
  const added = labelsAndAnnotations(values);
  const reference = { ...spec.package };
  delete reference.functionref;
  const version = pkg?.metadata.resourceVersion;
  const environment = values.env ?? (pkg === undefined ? undefined : pkg.spec.environment.name);
  return {
    ...current,
    metadata: {
      ...metadata,
      ...(added.labels === undefined ? {} : { labels: { ...metadata.labels, ...added.labels } }),
      ...(added.annotations === undefined
        ? {}
        : { annotations: { ...metadata.annotations, ...added.annotations } }),
    },
    spec: functionSpec(
      {
        ...spec,
        ...(environment === undefined ? {} : { environment: { ...spec.environment, name: environment } }),
        ...(pkg === undefined
          ? {}
          : {
              package: {
                ...reference,
                packageref: {
                  name: pkg.metadata.name,
                  namespace,
                  ...(version === undefined ? {} : { resourceversion: version }),
                },
              },
            }),
      },
      values,
      namespace,
    ),
  };
}

/** Takes a refused update back, so that a restart finds the version that serves. */
async function refused(
  cluster: Cluster,
  before: FissionFunction,
  pkg: Package | undefined,
  values: Values,
  outcome: Exclude<Outcome, { type: 'ready' }>,
): Promise<CliError> {
  if (values.keep) {
    return refusal(
      values,
      outcome,
      'the old version still serves; the function was kept as updated: mend it with another update',
    );
  }
  if (outcome.type !== 'deleted') {
    const { spec } = before;
    await cluster.change<FissionFunction>(RESOURCES.functions, values.name, (current) => ({
      ...current,
      spec,
    }));
  }
  await discardPackage(cluster, pkg, values);
  return refusal(
    values,
    outcome,
    'the old version still serves and the update was taken back; mend it and update again',
  );
}

function refusal(
  { name, waitTimeout }: Pick<Values, 'name' | 'waitTimeout'>,
  outcome: Exclude<Outcome, { type: 'ready' }>,
  fix: string,
): CliError {
  switch (outcome.type) {
    case 'deleted':
      return new CliError(`function '${name}' or its package was deleted while it was waited for`);
    case 'timeout':
      return new CliError(`the update of function '${name}' was not ready after ${waitTimeout / 1000} s`, {
        why: outcome.message,
        fix,
      });
    case 'not-ready':
      return new CliError(`the update of function '${name}' is refused: ${outcome.reason}`, {
        why: outcome.message,
        fix,
      });
  }
}

async function discardPackage(cluster: Cluster, pkg: Package | undefined, values: Values): Promise<void> {
  if (pkg === undefined || values.pkgname !== undefined) return;
  await cluster.remove(RESOURCES.packages, pkg.metadata.name).catch(() => false);
  const { deployment, source } = pkg.spec;
  for (const url of [deployment?.url, source?.url]) if (url !== undefined) await discard(cluster, url);
}
