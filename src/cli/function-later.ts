/**
 * Flags of Fission's `function create` whose subject comes later (keyed state, MCP tools, asynchronous calls, versions)
 * or is a cluster's alone (scaling of pods). They are written to the resource, so that it serves where it can, and each
 * warns where it does not.
 */
import { readFileSync } from 'node:fs';
import type { FissionFunction } from '../api/index.ts';
import { usageError } from './command.ts';
import { flag, integer, text, texts, type OptionSettings, type OptionValues } from './options.ts';

type Spec = FissionFunction['spec'];

const kept = (settings: OptionSettings = {}): OptionSettings => ({ notServed: 'kept', ...settings });
const ofPods = (settings: OptionSettings = {}): OptionSettings => ({
  notServed: 'in-one-process',
  ...settings,
});

export const laterOptions = {
  executortype: text(
    'executortype',
    'Whether the function shares a pool, or has pods of its own on a cluster',
    {
      choices: ['poolmgr', 'newdeploy'],
      notServedValues: { newdeploy: 'in-one-process' },
    },
  ),
  minscale: integer('minscale', 'Fewest pods', ofPods({ min: 0 })),
  maxscale: integer('maxscale', 'Most pods', ofPods({ min: 0 })),
  targetcpu: integer('targetcpu', 'CPU use that scaling aims at, in percent', ofPods({ min: 1, max: 100 })),
  specializationtimeout: integer(
    'specializationtimeout',
    'Seconds that a cold start may take',
    ofPods({ aliases: ['st'], min: 1 }),
  ),
  retainpods: integer('retainpods', 'Pods kept after use', ofPods({ min: 0 })),
  exposeAsMcp: flag('expose-as-mcp', 'Offer the function as an MCP tool', kept()),
  toolDescription: text('tool-description', 'What the tool does', kept()),
  toolInputSchema: text(
    'tool-input-schema',
    'File with the JSON Schema of its arguments',
    kept({ placeholder: 'file' }),
  ),
  toolName: text('tool-name', 'Name of the tool', kept()),
  state: flag('state', 'Give the function keyed state', kept()),
  stateKeyspace: text('state-keyspace', 'Name of the keyspace', kept()),
  stateMaxKeys: integer('state-max-keys', 'Most keys', kept({ min: 0 })),
  stateMaxValueBytes: integer('state-max-value-bytes', 'Largest value', kept({ min: 0 })),
  stateTtl: text('state-ttl', 'How long a key lives', kept({ placeholder: 'duration' })),
  stateStickySource: text(
    'state-sticky-source',
    'Where the routing key is',
    kept({ choices: ['header', 'queryparam'] }),
  ),
  stateStickyName: text('state-sticky-name', 'Name of that header or parameter', kept()),
  asyncRetryMaxAttempts: integer(
    'async-retry-max-attempts',
    'Attempts of an asynchronous call',
    kept({ min: 1 }),
  ),
  asyncMaxAge: text(
    'async-max-age',
    'Age at which an asynchronous call is given up',
    kept({ placeholder: 'duration' }),
  ),
  asyncOnSuccess: text('async-on-success', 'Function that gets the result', kept()),
  asyncOnFailure: text('async-on-failure', 'Function that gets what failed', kept()),
  asyncOnSuccessTopic: text('async-on-success-topic', 'Topic that gets the result', kept()),
  asyncOnFailureTopic: text('async-on-failure-topic', 'Topic that gets what failed', kept()),
  versioning: text('versioning', 'Keep versions', kept({ choices: ['auto', 'manual', 'off'] })),
  retainVersions: integer('retain-versions', 'Versions kept', kept({ min: 1 })),
  provisionedConcurrency: integer('provisioned-concurrency', 'Instances kept warm', kept({ min: 0 })),
  provisionedSchedule: texts(
    'provisioned-schedule',
    'When others are kept warm',
    kept({ placeholder: 'window' }),
  ),
};

type LaterValues = OptionValues<typeof laterOptions>;

/** The parts of the spec that the flags name. */
export function laterSpec(spec: Spec, values: LaterValues): Partial<Spec> {
  const parts: Partial<Spec> = {
    ...strategy(spec, values),
    ...state(spec, values),
    ...tool(spec, values),
    ...invocation(spec, values),
    ...versioning(spec, values),
    ...provisioned(values),
  };
  if (values.retainpods !== undefined) parts.retainPods = values.retainpods;
  return parts;
}

function strategy(spec: Spec, values: LaterValues): Partial<Spec> {
  const added = defined({
    ExecutorType: values.executortype as 'poolmgr' | 'newdeploy' | undefined,
    MinScale: values.minscale,
    MaxScale: values.maxscale,
    TargetCPUPercent: values.targetcpu,
    SpecializationTimeout: values.specializationtimeout,
  });
  if (added === undefined) return {};
  const scale = { ...spec.InvokeStrategy?.ExecutionStrategy, ...added };
  // Fission's own defaults where pods are scaled.
  const least = scale.MinScale ?? 1;
  const defaults =
    scale.ExecutorType === 'newdeploy' ? { MinScale: least, MaxScale: Math.max(least, 1) } : {};
  return {
    InvokeStrategy: {
      StrategyType: 'execution',
      ...spec.InvokeStrategy,
      ExecutionStrategy: { ExecutorType: 'poolmgr', ...defaults, ...scale },
    },
  };
}

function state(spec: Spec, values: LaterValues): Partial<Spec> {
  const added = defined({
    keyspace: values.stateKeyspace,
    maxKeys: values.stateMaxKeys,
    maxValueBytes: values.stateMaxValueBytes,
    defaultTTL: values.stateTtl,
  });
  const { stateStickySource: source, stateStickyName: name } = values;
  if ((source === undefined) !== (name === undefined)) {
    throw usageError('--state-sticky-source and --state-sticky-name go together');
  }
  const sticky =
    source === undefined || name === undefined
      ? {}
      : { sticky: { source: source === 'header' ? ('header' as const) : ('queryparam' as const), name } };
  if (values.state !== true) return {};
  return { state: { ...spec.state, ...added, ...sticky } };
}

function tool(spec: Spec, values: LaterValues): Partial<Spec> {
  if (values.exposeAsMcp !== true) return {};
  const schema =
    values.toolInputSchema === undefined
      ? {}
      : { inputSchema: JSON.parse(readFileSync(values.toolInputSchema, 'utf8')) as unknown };
  return {
    tool: {
      ...spec.tool,
      ...defined({ description: values.toolDescription, toolName: values.toolName }),
      ...schema,
    },
  };
}

function invocation(spec: Spec, values: LaterValues): Partial<Spec> {
  const destination = (name: string | undefined, topic: string | undefined, flags: string) => {
    if (name !== undefined && topic !== undefined) throw usageError(`${flags} exclude each other`);
    if (name !== undefined) return name === '' ? undefined : { function: { type: 'name' as const, name } };
    return topic === undefined || topic === ''
      ? undefined
      : { topic: { messageQueueType: 'statestore', topic } };
  };
  const added = defined({
    maxAge: values.asyncMaxAge,
    retry:
      values.asyncRetryMaxAttempts === undefined
        ? undefined
        : { ...spec.invocation?.retry, maxAttempts: values.asyncRetryMaxAttempts },
    onSuccess: destination(
      values.asyncOnSuccess,
      values.asyncOnSuccessTopic,
      '--async-on-success and --async-on-success-topic',
    ),
    onFailure: destination(
      values.asyncOnFailure,
      values.asyncOnFailureTopic,
      '--async-on-failure and --async-on-failure-topic',
    ),
  });
  return added === undefined ? {} : { invocation: { ...spec.invocation, ...added } };
}

function versioning(spec: Spec, values: LaterValues): Partial<Spec> {
  const { versioning: mode, retainVersions: retain } = values;
  if (mode === 'off') return { versioning: undefined };
  const added = defined({ mode: mode as 'auto' | 'manual' | undefined, retain });
  return added === undefined ? {} : { versioning: { ...spec.versioning, ...added } };
}

function provisioned(values: LaterValues): Partial<Spec> {
  const { provisionedConcurrency: target, provisionedSchedule: schedule = [] } = values;
  if (target === undefined) {
    if (schedule.length > 0) throw usageError('--provisioned-schedule needs --provisioned-concurrency');
    return {};
  }
  if (target === 0) return { provisionedConcurrency: undefined };
  const windows = schedule.map((window) => {
    const parts = Object.fromEntries(window.split(';').map((part) => part.split('=', 2))) as Record<
      string,
      string
    >;
    const { name, start, duration } = parts;
    const number = Number(parts.target);
    if (name === undefined || start === undefined || duration === undefined || !Number.isInteger(number)) {
      throw usageError(
        `--provisioned-schedule is ${JSON.stringify(window)}: allowed is name=<name>;start=<cron>;duration=<10h>;target=<n>`,
      );
    }
    return { name, start, duration, target: number };
  });
  return { provisionedConcurrency: { target, ...(windows.length === 0 ? {} : { windows }) } };
}

/** The properties that have a value; undefined if none has one. */
function defined<T extends object>(properties: T): { [K in keyof T]?: Exclude<T[K], undefined> } | undefined {
  const entries = Object.entries(properties).filter(([, value]) => value !== undefined);
  return entries.length === 0
    ? undefined
    : (Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> });
}
