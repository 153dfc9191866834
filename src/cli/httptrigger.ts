/** `fissium httptrigger` (`route`): what calls a function over HTTP. */
import { randomBytes } from 'node:crypto';
import type { FissionFunction, HttpTrigger } from '../api/index.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import { defineCommand, usageError, type CommandContext, type Noun } from './command.ts';
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
import { triggerOptions, triggerSpec } from './httptrigger-flags.ts';
import { text } from './options.ts';
import type { Column } from './output.ts';
import { saveSpec } from './spec/save.ts';
import { waitReady } from './wait.ts';
import { waitCommand } from './wait-command.ts';

/** Reasons of `Ready=False` for which the trigger itself is to blame: it can never serve as it is. */
const REFUSED = /Conflict|Invalid|Refused/;

const create = defineCommand({
  name: 'create',
  summary: 'Create an HTTP trigger',
  positional: 'name',
  options: {
    name: text('name', 'Name of the trigger [default: made from the function’s]', { placeholder: 'name' }),
    output: outputOption,
    ...triggerOptions,
    ...waitOptions,
    ...saveOptions,
  },
  async handler(values, context) {
    const functions = values.fn ?? [];
    if (functions.length === 0) throw usageError('missing --function');
    if (values.url === undefined && values.prefix === undefined)
      throw usageError('missing --url (or --prefix)');
    if (values.url !== undefined && values.prefix !== undefined) context.out.warn('--prefix wins over --url');
    const name = values.name ?? triggerName(functions[0] ?? '');
    checkName(name);
    const trigger: HttpTrigger = {
      apiVersion: 'fission.io/v1',
      kind: 'HTTPTrigger',
      metadata: { name },
      spec: triggerSpec({ methods: ['GET'], functionref: { name: '' } }, values),
    };
    if (await saveSpec(context, values, [trigger], `route-${name}.yaml`)) return;
    const cluster = await context.connect();
    const referencesExist = await checkFunctions(context, cluster, functions);
    const created = await createTrigger(context, cluster, trigger, { ...values, referencesExist });
    if (await printObject(context, values.output, created)) return;
    context.out.line(`trigger '${name}' created`);
  },
});

interface TriggerWait {
  /** Milliseconds. */
  readonly waitTimeout: number;
  /** Whether the functions were there when it was looked. */
  readonly referencesExist: boolean;
}

/** A name for a trigger that was given none. */
export function triggerName(functionName: string): string {
  return `${functionName.slice(0, 54)}-${randomBytes(4).toString('hex')}`;
}

/** Whether all functions exist; a warning for each that does not. */
async function checkFunctions(
  { out }: CommandContext,
  cluster: Cluster,
  names: readonly string[],
): Promise<boolean> {
  let allExist = true;
  for (const name of names) {
    if ((await cluster.find<FissionFunction>(RESOURCES.functions, name)) !== undefined) continue;
    allExist = false;
    out.warn(
      `function '${name}' does not exist in namespace ${cluster.namespace}: the route serves once it does`,
    );
  }
  return allExist;
}

/** Refuses a route that another trigger has, as Fission does: the times of the two may not tell which is older. */
async function refuseTaken(cluster: Cluster, trigger: HttpTrigger): Promise<void> {
  const key = placeOf(trigger);
  const methods = methodsOf(trigger.spec);
  for (const other of await cluster.list<HttpTrigger>(RESOURCES.httptriggers, null)) {
    const { name, namespace } = other.metadata;
    if (name === trigger.metadata.name && namespace === cluster.namespace) continue;
    const shared = methodsOf(other.spec).filter((method) => methods.includes(method));
    if (placeOf(other) !== key || shared.length === 0) continue;
    const path = trigger.spec.prefix || trigger.spec.relativeurl || '';
    throw new CliError(
      `trigger '${trigger.metadata.name}' is refused: ${shared.join(', ')} ${path} is taken`,
      {
        why: `trigger '${name}' in namespace ${namespace} has it, for function ${functionsOf(other.spec).join(' ')}`,
        fix: 'choose another --url, --method or --host, or delete the other trigger first',
      },
    );
  }
}

function placeOf({ spec }: HttpTrigger): string {
  const host = (spec.host ?? '').toLowerCase();
  return spec.prefix ? `${host} prefix ${spec.prefix}` : `${host} exact ${spec.relativeurl ?? ''}`;
}

/**
 * Creates the trigger and waits until every thread serves it. One that cannot serve (its route is another's) is
 * taken back and fails; one that waits for its function stays, with a warning.
 */
export async function createTrigger(
  context: CommandContext,
  cluster: Cluster,
  trigger: HttpTrigger,
  { wait, ...waiting }: TriggerWait & { readonly wait: boolean },
): Promise<HttpTrigger> {
  await refuseTaken(cluster, trigger);
  const created = await cluster.client.create(
    RESOURCES.httptriggers,
    { ...trigger, metadata: { ...trigger.metadata, namespace: cluster.namespace } },
    { fieldValidation: 'Strict' },
  );
  if (!wait) return created;
  try {
    await settle(context, cluster, created, waiting);
  } catch (error) {
    await cluster.remove(RESOURCES.httptriggers, created.metadata.name).catch(() => false);
    throw error;
  }
  return created;
}

async function settle(
  { out }: CommandContext,
  cluster: Cluster,
  trigger: HttpTrigger,
  { waitTimeout, referencesExist }: TriggerWait,
): Promise<void> {
  const { name } = trigger.metadata;
  const outcome = await waitReady(cluster, RESOURCES.httptriggers, trigger, {
    timeoutMs: waitTimeout,
    referencesExist,
    out,
    text: `waiting until trigger '${name}' is served`,
  });
  if (outcome.type === 'ready') return;
  if (outcome.type === 'deleted') throw new CliError(`trigger '${name}' was deleted while it was waited for`);
  if (outcome.type === 'not-ready' && REFUSED.test(outcome.reason)) {
    throw new CliError(`trigger '${name}' is refused: ${outcome.reason}`, {
      why: outcome.message,
      fix: 'choose another --url, --method or --host, or delete the other trigger first',
    });
  }
  out.warn(`trigger '${name}' is not served yet: ${outcome.message}`);
}

const get = defineCommand({
  name: 'get',
  summary: 'Show an HTTP trigger',
  positional: 'name',
  options: { name: nameOption('trigger'), output: outputOption },
  async handler({ name, output }, context) {
    const trigger = await (await context.connect()).get<HttpTrigger>(RESOURCES.httptriggers, name);
    if (await printObject(context, output, trigger)) return;
    context.out.table([trigger], columns, output === 'wide');
    printConditions(context, trigger);
  },
});

const list = defineCommand({
  name: 'list',
  summary: 'List HTTP triggers',
  options: { ...listOptions, fn: text('function', 'Only those of this function', { placeholder: 'name' }) },
  async handler(values, context) {
    const cluster = await context.connect();
    const items = await cluster.list<HttpTrigger>(RESOURCES.httptriggers, listNamespace(cluster, values));
    const wanted =
      values.fn === undefined ? items : items.filter((item) => callsFunction(item, values.fn ?? ''));
    await printObjects(context, values.output, wanted, columns);
  },
});

const columns: Column<HttpTrigger>[] = [
  { title: 'NAME', value: ({ metadata }) => metadata.name },
  { title: 'METHOD', value: ({ spec }) => `[${methodsOf(spec).join(' ')}]` },
  { title: 'URL', value: ({ spec }) => (spec.prefix ? `${spec.prefix}*` : spec.relativeurl) },
  { title: 'FUNCTION(s)', value: ({ spec }) => functionsOf(spec).join(' ') },
  { title: 'INGRESS', value: ({ spec }) => spec.createingress ?? false },
  { title: 'HOST', value: ({ spec }) => spec.ingressconfig?.host || spec.host },
  { title: 'PATH', value: ({ spec }) => spec.ingressconfig?.path || spec.relativeurl },
  { title: 'TLS', value: ({ spec }) => spec.ingressconfig?.tls },
  {
    title: 'ANNOTATIONS',
    value: ({ spec }) =>
      Object.entries(spec.ingressconfig?.annotations ?? {})
        .map(([key, value]) => `${key}: ${value}`)
        .join(', '),
  },
  ...commonColumns<HttpTrigger>(true),
];

function methodsOf(spec: HttpTrigger['spec']): readonly string[] {
  if (spec.methods !== undefined && spec.methods.length > 0) return spec.methods;
  return spec.method ? [spec.method] : ['GET'];
}

function functionsOf({ functionref }: HttpTrigger['spec']): string[] {
  const weights = Object.entries(functionref.functionweights ?? {});
  if (functionref.type === 'function-weights') return weights.map(([name, weight]) => `${name}:${weight}`);
  const tag = functionref.alias || functionref.version;
  return [`${functionref.name ?? ''}${tag ? `:${tag}` : ''}`];
}

function callsFunction({ spec }: HttpTrigger, name: string): boolean {
  return spec.functionref.name === name || name in (spec.functionref.functionweights ?? {});
}

const update = defineCommand({
  name: 'update',
  summary: 'Update an HTTP trigger',
  positional: 'name',
  options: { name: nameOption('trigger'), output: outputOption, ...triggerOptions, ...waitOptions },
  async handler(values, context) {
    const cluster = await context.connect();
    const referencesExist = await checkFunctions(context, cluster, values.fn ?? []);
    let before: HttpTrigger | undefined;
    const current = await cluster.get<HttpTrigger>(RESOURCES.httptriggers, values.name);
    await refuseTaken(cluster, { ...current, spec: triggerSpec(current.spec, values) });
    const updated = await cluster.change<HttpTrigger>(RESOURCES.httptriggers, values.name, (latest) => {
      before = latest;
      return { ...latest, spec: triggerSpec(latest.spec, values) };
    });
    if (values.wait) {
      try {
        await settle(context, cluster, updated, { waitTimeout: values.waitTimeout, referencesExist });
      } catch (error) {
        // As a refused create leaves nothing, a refused update leaves the route as it was.
        const spec = before?.spec;
        if (spec !== undefined) {
          await cluster.change<HttpTrigger>(RESOURCES.httptriggers, values.name, (current) => ({
            ...current,
            spec,
          }));
        }
        throw error;
      }
    }
    if (await printObject(context, values.output, updated)) return;
    context.out.line(`trigger '${values.name}' updated`);
  },
});

const remove = defineCommand({
  name: 'delete',
  summary: 'Delete HTTP triggers',
  positional: 'name',
  options: {
    name: text('name', 'Name of the trigger', { placeholder: 'name' }),
    fn: text('function', 'Delete all triggers of this function', { placeholder: 'name' }),
    ignoreNotFound: ignoreNotFoundOption,
  },
  async handler({ name, fn, ignoreNotFound }, context) {
    if ((name === undefined) === (fn === undefined))
      throw usageError('give --name or --function, one of them');
    const cluster = await context.connect();
    const names =
      name !== undefined
        ? [name]
        : (await cluster.list<HttpTrigger>(RESOURCES.httptriggers))
            .filter((trigger) => trigger.spec.functionref.name === fn)
            .map((trigger) => trigger.metadata.name);
    for (const each of names) {
      if (await cluster.removeExisting(RESOURCES.httptriggers, each, ignoreNotFound)) {
        context.out.line(`trigger '${each}' deleted`);
      }
    }
  },
});

export const httptrigger: Noun = {
  commands: [create, get, list, update, remove, waitCommand('HTTP trigger', RESOURCES.httptriggers)],
};
