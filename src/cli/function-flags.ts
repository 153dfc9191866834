/** The flags of `function create` and `function update`, and the spec that they make. */
import type { FissionFunction } from '../api/index.ts';
import { usageError } from './command.ts';
import { keyValues } from './common.ts';
import { laterOptions, laterSpec } from './function-later.ts';
import { flag, integer, text, texts, type OptionValues } from './options.ts';
import { resourcesOf } from './quantities.ts';
import { resourceOptions } from './common.ts';

type Spec = FissionFunction['spec'];

export const functionOptions = {
  entrypoint: text('entrypoint', 'What in the package is called', {
    aliases: ['entry'],
    placeholder: 'name',
  }),
  fntimeout: integer('fntimeout', 'Seconds that a request waits for the function’s answer to begin', {
    aliases: ['ft'],
    min: 1,
  }),
  maxmemory: text('maxmemory', 'Most memory of one instance, in MiB', { placeholder: 'n' }),
  concurrency: integer('concurrency', 'Requests that run at once', { aliases: ['con'], min: 1 }),
  requestsperpod: integer('requestsperpod', 'Requests that one instance takes at once', {
    aliases: ['rpp'],
    min: 1,
  }),
  envVar: texts('env-var', 'Variable of the function', { short: 'e', placeholder: 'KEY=VALUE' }),
  envFromSecret: texts('env-from-secret', 'Variables from a Secret', {
    split: true,
    placeholder: 'name[/key[:ENV]]',
  }),
  envFromConfigmap: texts('env-from-configmap', 'Variables from a ConfigMap', {
    split: true,
    placeholder: 'name[/key[:ENV]]',
  }),
  secret: texts('secret', 'Secret that the function may read as files', {
    aliases: ['secrets'],
    split: true,
    placeholder: 'name',
  }),
  configmap: texts('configmap', 'ConfigMap that the function may read as files', {
    split: true,
    placeholder: 'name',
  }),
  streaming: flag('streaming', 'Answers may stream (they always may)'),
  streamingprotocol: text('streamingprotocol', 'Kind of stream', {
    choices: ['auto', 'sse', 'chunked', 'websocket'],
  }),
  streamingidletimeout: integer('streamingidletimeout', 'Longest silence of a stream, in seconds', {
    min: 0,
  }),
  streamingmaxduration: integer('streamingmaxduration', 'Longest stream, in seconds; 0 for no limit', {
    min: 0,
  }),
  allowedOutboundHosts: texts(
    'allowed-outbound-hosts',
    'Hosts that the function may call, e.g. https://api.example.com:443 or *.example.org',
    {
      split: true,
      placeholder: 'host',
    },
  ),
  cpuTime: text('cpu-time', 'CPU time of one request, e.g. 500ms', { placeholder: 'duration' }),
  queue: integer('queue', 'Requests that may wait before 429', { min: 0 }),
  onceonly: flag('onceonly', 'A clean instance for each request', { aliases: ['yolo'] }),
  idletimeout: integer('idletimeout', 'Seconds after which an idle instance goes', { min: 0 }),
  instance: text('instance', '`fresh` for each request, or `reuse`d with its state', {
    choices: ['fresh', 'reuse'],
  }),
  ...resourceOptions('the function'),
  ...laterOptions,
};

export type FunctionValues = OptionValues<typeof functionOptions>;

/** The spec with what the flags say; what they do not say stays. */
export function functionSpec(spec: Spec, values: FunctionValues, namespace: string): Spec {
  const resources = resourcesOf(spec.resources, values);
  const wasm = wasmBlock(spec, values);
  const env = environmentVariables(values);
  const streaming = streamingBlock(spec, values);
  return {
    ...spec,
    ...(values.entrypoint === undefined
      ? {}
      : { package: { ...spec.package, functionName: values.entrypoint } }),
    ...(values.fntimeout === undefined ? {} : { functionTimeout: values.fntimeout }),
    ...(values.concurrency === undefined ? {} : { concurrency: values.concurrency }),
    ...(values.requestsperpod === undefined ? {} : { requestsPerPod: values.requestsperpod }),
    ...(values.secret === undefined ? {} : { secrets: references(values.secret, namespace) }),
    ...(values.configmap === undefined ? {} : { configmaps: references(values.configmap, namespace) }),
    ...(values.onceonly === undefined ? {} : { onceOnly: values.onceonly }),
    ...(values.idletimeout === undefined ? {} : { idletimeout: values.idletimeout }),
    ...(resources === undefined ? {} : { resources }),
    ...(wasm === undefined ? {} : { wasm }),
    ...(streaming === undefined ? {} : { streaming }),
    ...env,
    ...laterSpec(spec, values),
  };
}

function wasmBlock(spec: Spec, values: FunctionValues): Spec['wasm'] {
  const { allowedOutboundHosts, cpuTime, queue, instance } = values;
  const block: NonNullable<Spec['wasm']> = {
    ...spec.wasm,
    ...(allowedOutboundHosts === undefined ? {} : { allowedOutboundHosts: [...allowedOutboundHosts] }),
    ...(cpuTime === undefined ? {} : { cpuTime: /^\d+$/.test(cpuTime) ? Number(cpuTime) : cpuTime }),
    ...(queue === undefined ? {} : { queue }),
    ...(instance === undefined
      ? {}
      : { instance: { ...spec.wasm?.instance, mode: instance === 'reuse' ? 'reuse' : 'fresh' } }),
  };
  return Object.keys(block).length === 0 ? undefined : block;
}

function streamingBlock(spec: Spec, values: FunctionValues): Spec['streaming'] {
  const { streaming, streamingprotocol, streamingidletimeout, streamingmaxduration } = values;
  const given = streaming ?? streamingprotocol ?? streamingidletimeout ?? streamingmaxduration;
  if (given === undefined || streaming === false) return undefined;
  return {
    ...spec.streaming,
    ...(streamingprotocol === undefined ? {} : { protocol: streamingprotocol as 'auto' }),
    ...(streamingidletimeout === undefined ? {} : { idleTimeoutSeconds: streamingidletimeout }),
    ...(streamingmaxduration === undefined ? {} : { maxDurationSeconds: streamingmaxduration }),
  };
}

function references(names: readonly string[], namespace: string): { name: string; namespace: string }[] {
  return names.map((name) => ({ name, namespace }));
}

/** The three kinds of variables replace the function's variables together, as with Fission. */
function environmentVariables(values: FunctionValues): Pick<Spec, 'env' | 'envFrom'> {
  const { envVar, envFromSecret, envFromConfigmap } = values;
  if (envVar === undefined && envFromSecret === undefined && envFromConfigmap === undefined) return {};
  const env: NonNullable<Spec['env']> = Object.entries(keyValues(envVar ?? [], 'env-var')).map(
    ([name, value]) => ({
      name,
      value,
    }),
  );
  const envFrom: NonNullable<Spec['envFrom']> = [];
  for (const reference of envFromSecret ?? []) {
    const { name, key, variable } = splitReference(reference, 'env-from-secret');
    if (key === undefined) envFrom.push({ secretRef: { name } });
    else env.push({ name: variable ?? key, valueFrom: { secretKeyRef: { name, key } } });
  }
  for (const reference of envFromConfigmap ?? []) {
    const { name, key, variable } = splitReference(reference, 'env-from-configmap');
    if (key === undefined) envFrom.push({ configMapRef: { name } });
    else env.push({ name: variable ?? key, valueFrom: { configMapKeyRef: { name, key } } });
  }
  return { env, envFrom };
}

/** `name`, `name/key` or `name/key:ENV`. */
function splitReference(
  reference: string,
  option: string,
): { name: string; key?: string; variable?: string } {
  const match = /^([^/:]+)(?:\/([^/:]+)(?::([^/:]+))?)?$/.exec(reference);
  const [, name, key, variable] = match ?? [];
  if (name === undefined) {
    throw usageError(
      `--${option} is ${JSON.stringify(reference)}: allowed is name, name/key or name/key:ENV`,
    );
  }
  return { name, ...(key === undefined ? {} : { key }), ...(variable === undefined ? {} : { variable }) };
}
