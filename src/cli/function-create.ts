/** `fissium function create`. */
import type { Environment, FissionFunction, HttpTrigger, Package } from '../api/index.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import { defineCommand, usageError, type CommandContext } from './command.ts';
import {
  checkName,
  labelOptions,
  labelsAndAnnotations,
  nameOption,
  outputOption,
  printObject,
  saveOptions,
  waitOptions,
} from './common.ts';
import { CliError } from './errors.ts';
import { functionOptions, functionSpec, type FunctionValues } from './function-flags.ts';
import { createTrigger, triggerName } from './httptrigger.ts';
import { pathOptions, pathSpec } from './httptrigger-flags.ts';
import { flag, text, withDefault, type OptionValues } from './options.ts';
import {
  archiveSpecs,
  checkSource,
  hasSource,
  localSources,
  packageNameFor,
  sourceOptions,
  type LocalSources,
} from './package-source.ts';
import { saveSpec } from './spec/save.ts';
import { specArchives } from './spec/archive-save.ts';
import { discard } from './storage.ts';
import { waitReady, type Outcome } from './wait.ts';

const options = {
  name: nameOption('function'),
  env: text('env', 'Environment of the function: `wasm` for WebAssembly', { placeholder: 'name' }),
  pkgname: text('pkgname', 'Existing package, instead of code', { aliases: ['pkg'], placeholder: 'name' }),
  ...sourceOptions,
  ...pathOptions,
  keep: withDefault(flag('keep', 'Keep function and package even if they are refused'), false),
  output: outputOption,
  ...waitOptions,
  ...saveOptions,
  ...functionOptions,
  ...labelOptions,
};

type Values = OptionValues<typeof options>;

export const create = defineCommand({
  name: 'create',
  summary: 'Create a function from code, and optionally a route to it',
  description: [
    'Creates a Package with the code and a Function, and returns when the function can be called.',
    'A function that is refused (code that is no WebAssembly, a missing entry point, …) leaves nothing behind.',
  ].join('\n'),
  positional: 'name',
  options,
  async handler(values, context) {
    checkName(values.name);
    if (values.pkgname === undefined) checkSource(values);
    else if (hasSource(values))
      throw usageError('--pkgname names existing code: give it or --code, not both');
    if (values.pkgname === undefined && values.env === undefined) {
      throw usageError(
        'missing --env',
        'add --env wasm for WebAssembly; `fissium environment list` shows all',
      );
    }
    if (values.spec || values.dry) return save(context, values);

    // Files that cannot be read fail before anything is asked of the platform.
    const local = values.pkgname === undefined ? await localSources(values, context.io.cwd) : {};
    try {
      await deploy(context, values, local);
    } finally {
      await local.deployment?.dispose();
      await local.source?.dispose();
    }
  },
});

async function deploy(context: CommandContext, values: Values, local: LocalSources): Promise<void> {
  const cluster = await context.connect();
  const { namespace } = cluster;
  if ((await cluster.find(RESOURCES.functions, values.name)) !== undefined) {
    throw new CliError(`function "${values.name}" already exists in namespace ${namespace}`, {
      fix: `fissium function update --name ${values.name} …, or choose another --name`,
    });
  }
  await warnReferences(context, cluster, values);

  // What is taken back if a later step fails, the last first.
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const pkg =
      values.pkgname === undefined
        ? await createPackage(context, cluster, values, local, undo)
        : await cluster.get<Package>(RESOURCES.packages, values.pkgname);
    const environment = values.pkgname === undefined ? values.env : (pkg.spec.environment.name ?? values.env);
    if (values.env !== undefined && environment !== values.env) {
      context.out.warn(
        `package '${pkg.metadata.name}' is of environment '${environment}', which is used instead of '${values.env}'`,
      );
    }
    const created = await cluster.client.create(
      RESOURCES.functions,
      functionObject(values, namespace, environment ?? '', pkg),
      { fieldValidation: 'Strict' },
    );
    undo.push(() => cluster.remove(RESOURCES.functions, values.name));
    const outcome = values.wait ? await waitFor(context, cluster, created, values.waitTimeout) : undefined;
    if (outcome !== undefined) settle(context, values, outcome, namespace);
    const trigger = routeObject(values);
    if (trigger !== undefined) {
      await createTrigger(context, cluster, trigger, { ...values, referencesExist: true });
      undo.push(() => cluster.remove(RESOURCES.httptriggers, trigger.metadata.name));
    }
    if (await printObject(context, values.output, created)) return;
    context.out.line(`function '${values.name}' created`);
    if (trigger !== undefined) context.out.line(`trigger '${trigger.metadata.name}' created`);
  } catch (error) {
    if (!values.keep) for (const step of undo.reverse()) await step().catch(() => undefined);
    throw error;
  }
}

async function createPackage(
  context: CommandContext,
  cluster: Cluster,
  values: Values,
  local: LocalSources,
  undo: (() => Promise<unknown>)[],
): Promise<Package> {
  await cluster.get<Environment>(RESOURCES.environments, values.env ?? '');
  const archives = await archiveSpecs(context, values, local);
  for (const url of [archives.deployment?.url, archives.source?.url]) {
    if (url !== undefined) undo.push(() => discard(cluster, url));
  }
  const pkg = await cluster.client.create(
    RESOURCES.packages,
    packageObject(values, packageNameFor(values.name), cluster.namespace, archives),
    { fieldValidation: 'Strict' },
  );
  undo.push(() => cluster.remove(RESOURCES.packages, pkg.metadata.name));
  if (values.wait) {
    const outcome = await waitForPackage(context, cluster, pkg, values);
    if (outcome.type !== 'ready') settle(context, values, outcome, cluster.namespace);
  }
  return pkg;
}

/** Code that is refused is refused here, before there is a function of it. */
export async function waitForPackage(
  { out }: CommandContext,
  cluster: Cluster,
  pkg: Package,
  { name, waitTimeout }: { readonly name: string; readonly waitTimeout: number },
): Promise<Outcome> {
  const text = `preparing the code of function '${name}'`;
  return waitReady(cluster, RESOURCES.packages, pkg, { timeoutMs: waitTimeout, out, text });
}

function packageObject(
  values: Pick<Values, 'env'>,
  name: string,
  namespace: string | undefined,
  archives: Pick<Package['spec'], 'deployment' | 'source' | 'buildcmd'>,
): Package {
  const place = namespace === undefined ? {} : { namespace };
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { name, ...place },
    spec: { environment: { name: values.env ?? '', ...place }, ...archives },
  };
}

function functionObject(
  values: Values,
  namespace: string | undefined,
  environment: string,
  pkg: Package,
): FissionFunction {
  const place = namespace === undefined ? {} : { namespace };
  const version = pkg.metadata.resourceVersion;
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Function',
    metadata: { name: values.name, ...place, ...labelsAndAnnotations(values) },
    spec: functionSpec(
      {
        environment: { name: environment, ...place },
        package: {
          packageref: {
            name: pkg.metadata.name,
            ...place,
            ...(version === undefined ? {} : { resourceversion: version }),
          },
        },
        InvokeStrategy: { StrategyType: 'execution', ExecutionStrategy: { ExecutorType: 'poolmgr' } },
      },
      values,
      namespace ?? '',
    ),
  };
}

/** The HTTPTrigger for --url or --prefix, if one is given. */
function routeObject(values: Values): HttpTrigger | undefined {
  if (values.url === undefined && values.prefix === undefined) return undefined;
  return {
    apiVersion: 'fission.io/v1',
    kind: 'HTTPTrigger',
    metadata: { name: triggerName(values.name) },
    spec: { methods: ['GET'], ...pathSpec(values), functionref: { type: 'name', name: values.name } },
  };
}

export async function waitFor(
  { out }: CommandContext,
  cluster: Cluster,
  fn: FissionFunction,
  timeoutMs: number,
): Promise<Outcome> {
  const text = `preparing function '${fn.metadata.name}'`;
  return waitReady(cluster, RESOURCES.functions, fn, { timeoutMs, out, text });
}

/** Whether what is not ready stays all the same: it waits for what a later version serves. */
export function isNotServedYet(outcome: Outcome): outcome is Outcome & { type: 'not-ready' } {
  return outcome.type === 'not-ready' && NOT_SERVED_YET.has(outcome.reason);
}

const NOT_SERVED_YET: ReadonlySet<string> = new Set(['EnvironmentNotServed', 'SourceNotServedYet']);

function settle({ out }: CommandContext, values: Values, outcome: Outcome, namespace: string): void {
  if (outcome.type === 'ready') return;
  if (isNotServedYet(outcome)) {
    out.warn(`function '${values.name}' is created but not run yet (${outcome.reason}): ${outcome.message}`);
    return;
  }
  if (outcome.type === 'deleted')
    throw new CliError(`function '${values.name}' was deleted while it was waited for`);
  const look = `fissium function getmeta --name ${values.name} -n ${namespace}`;
  if (outcome.type === 'timeout') {
    throw new CliError(`function '${values.name}' was not ready after ${values.waitTimeout / 1000} s`, {
      why: outcome.message,
      fix: `nothing was kept; wait longer with --wait-timeout, or add --keep and look with \`${look}\``,
    });
  }
  throw new CliError(`function '${values.name}' is refused: ${outcome.reason}`, {
    why: outcome.message,
    fix: values.keep
      ? `function and package were kept: look with \`${look}\``
      : 'nothing was kept; mend it and create it again (--keep keeps it as it is)',
  });
}

/** A Secret or ConfigMap that is not there yet is said at once, by its name. */
export async function warnReferences(
  { out }: CommandContext,
  cluster: Cluster,
  values: Pick<FunctionValues, 'secret' | 'configmap'>,
): Promise<void> {
  for (const name of values.secret ?? []) {
    if ((await cluster.find(RESOURCES.secrets, name)) === undefined) {
      out.warn(`secret '${name}' does not exist in namespace ${cluster.namespace}`);
    }
  }
  for (const name of values.configmap ?? []) {
    if ((await cluster.find(RESOURCES.configmaps, name)) === undefined) {
      out.warn(`configmap '${name}' does not exist in namespace ${cluster.namespace}`);
    }
  }
}

/** `--spec`, `--dry`: the same resources as YAML; local files stand in them as ArchiveUploadSpecs. */
async function save(context: CommandContext, values: Values): Promise<void> {
  const namespace = context.globals.namespace;
  const { archives, uploads } = await specArchives(context, values);
  const pkg = packageObject(values, values.pkgname ?? packageNameFor(values.name), namespace, archives);
  const fn = functionObject(values, namespace, values.env ?? '', pkg);
  const trigger = routeObject(values);
  await saveSpec(
    context,
    values,
    [
      ...uploads,
      ...(values.pkgname === undefined ? [pkg] : []),
      fn,
      ...(trigger === undefined ? [] : [trigger]),
    ],
    `function-${values.name}.yaml`,
  );
}
