/** The flags of `route create` and `route update`, and the HTTPTrigger spec that they make. */
import type { HttpTrigger } from '../api/index.ts';
import { usageError } from './command.ts';
import { keyValues } from './common.ts';
import { flag, integers, text, texts, type OptionValues } from './options.ts';

type Spec = HttpTrigger['spec'];
type Method = NonNullable<Spec['methods']>[number];

const METHODS: readonly Method[] = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
];

/** Where a route is; `function create` takes these too. */
export const pathOptions = {
  url: text('url', 'Path, with {name} and {name:regex} as parameters', { placeholder: 'path' }),
  prefix: text('prefix', 'Start of the path; wins over --url', { placeholder: 'path' }),
  method: texts('method', 'HTTP method [default: GET]', { split: true, placeholder: 'method' }),
};

export const triggerOptions = {
  fn: texts('function', 'Function to call; two of them with --weight', { split: true, placeholder: 'name' }),
  weight: integers('weight', 'Share of each function, in percent', { split: true, min: 0, max: 100 }),
  ...pathOptions,
  host: text('host', 'Host header to match', { placeholder: 'name' }),
  keepprefix: flag('keepprefix', 'The function sees the prefix too'),
  functionAlias: text('function-alias', 'Alias of the function', { notServed: 'kept', placeholder: 'name' }),
  functionVersion: text('function-version', 'Version of the function', {
    notServed: 'kept',
    placeholder: 'name',
  }),
  invocationMode: text('invocation-mode', '`async`: answered at once', {
    notServed: 'kept',
    choices: ['', 'async'],
  }),
  createingress: flag('createingress', 'Make an Ingress', { notServed: 'in-one-process' }),
  ingressrule: text('ingressrule', 'Host and path of the Ingress', {
    notServed: 'in-one-process',
    placeholder: 'host=path',
  }),
  ingressannotation: texts('ingressannotation', 'Annotation of the Ingress', {
    notServed: 'in-one-process',
    placeholder: 'key=value',
  }),
  ingresstls: text('ingresstls', 'Secret for the Ingress', {
    notServed: 'in-one-process',
    placeholder: 'name',
  }),
  routeProvider: text('route-provider', 'What is made outside', {
    notServed: 'in-one-process',
    choices: ['ingress', 'gateway'],
  }),
  routeHost: texts('route-host', 'Host of the route outside', {
    notServed: 'in-one-process',
    split: true,
    placeholder: 'name',
  }),
  routePath: text('route-path', 'Path of the route outside', {
    notServed: 'in-one-process',
    placeholder: 'path',
  }),
  routeAnnotation: texts('route-annotation', 'Annotation of the route outside', {
    notServed: 'in-one-process',
    placeholder: 'key=value',
  }),
  routeTls: text('route-tls', 'Secret of the route outside', {
    notServed: 'in-one-process',
    placeholder: 'name',
  }),
  gateway: texts('gateway', 'Gateway of the route outside', {
    notServed: 'in-one-process',
    placeholder: '[namespace/]name',
  }),
};

type PathValues = OptionValues<typeof pathOptions>;
export type TriggerValues = OptionValues<typeof triggerOptions>;

/** The part of the spec that says what is matched. */
export function pathSpec(values: PathValues): Pick<Spec, 'relativeurl' | 'prefix' | 'methods'> {
  return {
    ...(values.url === undefined ? {} : { relativeurl: absolute(values.url) }),
    ...(values.prefix === undefined ? {} : { prefix: absolute(values.prefix) }),
    ...(values.method === undefined ? {} : { methods: values.method.map(method) }),
  };
}

/** The spec with what the flags say; what they do not say stays. */
export function triggerSpec(spec: Spec | undefined, values: TriggerValues): Spec {
  const reference = functionReference(spec?.functionref, values);
  const outside = routeConfig(spec, values);
  return {
    ...spec,
    ...pathSpec(values),
    functionref: reference,
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(values.keepprefix === undefined ? {} : { keepPrefix: values.keepprefix }),
    ...(values.invocationMode === undefined
      ? {}
      : { invocationMode: values.invocationMode === 'async' ? 'async' : '' }),
    ...(values.createingress === undefined ? {} : { createingress: values.createingress }),
    ...ingress(spec, values),
    ...(outside === undefined ? {} : { routeConfig: outside }),
  };
}

function functionReference(
  current: Spec['functionref'] | undefined,
  values: TriggerValues,
): Spec['functionref'] {
  const tag = {
    ...(values.functionAlias === undefined ? {} : { alias: values.functionAlias }),
    ...(values.functionVersion === undefined ? {} : { version: values.functionVersion }),
  };
  const names = values.fn ?? [];
  if (names.length === 0) {
    if (current === undefined) throw usageError('missing --function');
    return { ...current, ...tag };
  }
  const [first = '', second] = names;
  if (second === undefined) return { type: 'name', name: first, ...tag };
  const weights = values.weight ?? [];
  if (names.length > 2 || weights.length !== 2 || (weights[0] ?? 0) + (weights[1] ?? 0) !== 100) {
    throw usageError(
      `--function is given ${names.length} times with --weight ${weights.join(',') || 'missing'}: two functions need two weights that add up to 100`,
    );
  }
  return {
    type: 'function-weights',
    functionweights: Object.fromEntries(names.map((name, index) => [name, weights[index] ?? 0])),
  };
}

function ingress(spec: Spec | undefined, values: TriggerValues): Pick<Spec, 'ingressconfig'> {
  const { ingressrule, ingressannotation, ingresstls } = values;
  if (ingressrule === undefined && ingressannotation === undefined && ingresstls === undefined) return {};
  const at = ingressrule?.indexOf('=') ?? -1;
  if (ingressrule !== undefined && ingressrule !== '-' && at < 1) {
    throw usageError(`--ingressrule is ${JSON.stringify(ingressrule)}: it must be host=path`);
  }
  const rule =
    ingressrule === undefined
      ? {}
      : ingressrule === '-'
        ? { host: '*', path: '' }
        : { host: ingressrule.slice(0, at), path: ingressrule.slice(at + 1) };
  const annotations =
    ingressannotation === undefined
      ? {}
      : {
          annotations: ingressannotation.includes('-')
            ? null
            : keyValues(ingressannotation, 'ingressannotation'),
        };
  const tls = ingresstls === undefined ? {} : { tls: ingresstls === '-' ? '' : ingresstls };
  return { ingressconfig: { ...spec?.ingressconfig, ...rule, ...annotations, ...tls } };
}

function routeConfig(spec: Spec | undefined, values: TriggerValues): Spec['routeConfig'] {
  const { routeProvider: provider, routeHost, routePath, routeAnnotation, routeTls, gateway } = values;
  if (provider === undefined) return undefined;
  return {
    ...spec?.routeConfig,
    provider: provider === 'gateway' ? 'gateway' : 'ingress',
    ...(routeHost === undefined ? {} : { hostnames: [...routeHost] }),
    ...(routePath === undefined ? {} : { path: routePath }),
    ...(routeAnnotation === undefined ? {} : { annotations: keyValues(routeAnnotation, 'route-annotation') }),
    ...(routeTls === undefined ? {} : { tls: routeTls }),
    ...(gateway === undefined ? {} : { gateway: { parentRefs: gateway.map(parentReference) } }),
  };
}

function parentReference(reference: string): { name: string; namespace?: string } {
  const [first = '', second, ...more] = reference.split('/');
  if (first === '' || second === '' || more.length > 0) {
    throw usageError(`--gateway is ${JSON.stringify(reference)}: it must be name or namespace/name`);
  }
  return second === undefined ? { name: first } : { namespace: first, name: second };
}

function method(value: string): Method {
  const found = METHODS.find((known) => known === value.toUpperCase());
  if (found === undefined) {
    throw usageError(`--method is ${JSON.stringify(value)}: allowed: ${METHODS.join(', ')}`);
  }
  return found;
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}
