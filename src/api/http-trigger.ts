/** HTTPTrigger: a host, a path and methods that call a function. */
import Type from 'typebox';
import type { Static } from 'typebox';
import {
  checkAnnotations,
  checkDuration,
  checkFunctionReference,
  checkHostPattern,
  checkMetadata,
  checkRoutePath,
  collect,
} from './checks.ts';
import type { Report } from './checks.ts';
import { withoutNulls } from './defaults.ts';
import { parseDuration } from './duration.ts';
import { resolveExposure } from './exposure.ts';
import { interned } from './interned.ts';
import { deepFreeze } from './json.ts';
import { AGE_COLUMN, READY_COLUMN, REASON_COLUMN } from './kind.ts';
import type { KindDefinition } from './kind.ts';
import { DNS_SUBDOMAIN } from './names.ts';
import { functionsOf, refuseInvalid, resolvedBase, setFields } from './resolve.ts';
import type { ResolvedCors, ResolvedTrigger } from './resolved.ts';
import { durationRule, raw, routePathRules, rules, textOf } from './rules.ts';
import type { Rule } from './rules.ts';
import {
  HTTP_METHODS,
  choice,
  closed,
  conditionsStatusSchema,
  functionReferenceSchema,
  kindSchema,
  nullable,
  stringList,
} from './schema.ts';
import { createValidator } from './validate.ts';

/** Bounds, so that an API server can tell beforehand what rules cost. */
const MAX_ENTRIES = 100;
const MAX_HOST_LENGTH = 512;
const MAX_PATH_LENGTH = 4096;

const hostRule = (host: string): string =>
  `${host} == '' || ${host} == '*' || ${host}.matches(${raw('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')})`;
const HOST_WORDS = 'must be a host name, such a name after "*.", or "*"';
const absolutePathRule: Rule = [
  `${textOf('path')} == '' || self.path.startsWith('/')`,
  'must start with /',
  '.path',
];

const SET = { 'x-kubernetes-list-type': 'set' } as const;

const annotationsSchema = Type.Optional(
  nullable(
    Type.Record(Type.String(), Type.String(), { description: 'Annotations of the object that is made.' }),
  ),
);

/** Names as HTTP has them (RFC 9110, section 5.6.2); anything else could end the header's line. */
const TOKEN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";
const token = new RegExp(TOKEN);
const tokens = (description: string) =>
  Type.Optional(
    stringList(
      description,
      {
        ...SET,
        maxItems: MAX_ENTRIES,
        ...rules([`self.all(t, t.matches(r"${TOKEN}"))`, 'must be names as HTTP has them']),
      },
      { maxLength: 256 },
    ),
  );

const corsSchema = closed(
  {
    allowOrigins: Type.Optional(
      stringList(
        'Scheme, host and port, or `*` alone for any.',
        {
          ...SET,
          maxItems: MAX_ENTRIES,
          ...rules([
            `self.all(o, o == '*' || o.matches(${raw('^[A-Za-z][A-Za-z0-9+.-]*://[^/?#@ ]+$')}))`,
            'must be scheme://host[:port] and nothing else, or "*"',
          ]),
        },
        { maxLength: MAX_HOST_LENGTH },
      ),
    ),
    allowMethods: tokens("Empty: the trigger's methods."),
    allowHeaders: tokens('Request headers that a page may set.'),
    exposeHeaders: tokens('Response headers that a page may read.'),
    allowCredentials: Type.Optional(Type.Boolean({ description: 'Cookies and authorisation too.' })),
    maxAge: Type.Optional(
      Type.String({ maxLength: 64, description: 'How long a preflight answer holds, e.g. `10m`.' }),
    ),
  },
  {
    description: 'Which other origins a browser lets call this.',
    ...rules(
      [
        "!self.?allowCredentials.orValue(false) || !has(self.allowOrigins) || !('*' in self.allowOrigins)",
        'must not be "*" beside allowCredentials; browsers refuse such answers',
        '.allowOrigins',
      ],
      [durationRule('maxAge'), 'must be a duration such as 10m, not negative', '.maxAge'],
    ),
  },
);

const ingressSchema = closed(
  {
    annotations: annotationsSchema,
    path: Type.Optional(
      Type.String({ maxLength: MAX_PATH_LENGTH, description: "In the ingress controller's syntax." }),
    ),
    host: Type.Optional(Type.String({ maxLength: 253, description: 'Empty or `*` for any.' })),
    tls: Type.Optional(Type.String({ description: 'Secret with key and certificate.' })),
  },
  {
    description: 'How the Ingress looks.',
    ...rules(absolutePathRule, [`!has(self.host) || ${hostRule('self.host')}`, HOST_WORDS, '.host']),
  },
);

const routeConfigSchema = closed(
  {
    provider: choice(['ingress', 'gateway'], { description: 'What is made outside.' }),
    hostnames: Type.Optional(
      stringList(
        'Hosts; empty for any.',
        { ...SET, maxItems: MAX_ENTRIES, ...rules([`self.all(h, ${hostRule('h')})`, HOST_WORDS]) },
        { maxLength: 255 },
      ),
    ),
    path: Type.Optional(
      Type.String({ maxLength: MAX_PATH_LENGTH, description: 'Absolute path; empty for /.' }),
    ),
    annotations: annotationsSchema,
    tls: Type.Optional(Type.String({ description: 'Secret with key and certificate (ingress only).' })),
    gateway: Type.Optional(
      closed(
        {
          parentRefs: Type.Optional(
            Type.Array(
              closed({
                name: Type.String({ minLength: 1, description: 'The Gateway.' }),
                namespace: Type.Optional(Type.String({ description: "Empty: the router's own." })),
                sectionName: Type.Optional(Type.String({ description: 'One listener of it.' })),
                port: Type.Optional(
                  Type.Integer({
                    format: 'int32',
                    minimum: 1,
                    maximum: 65535,
                    description: 'One port of it.',
                  }),
                ),
              }),
              { description: 'Gateways to attach to.', 'x-kubernetes-list-type': 'atomic' },
            ),
          ),
        },
        { description: 'Gateway API settings.' },
      ),
    ),
  },
  {
    description: 'How the route is shown outside the cluster.',
    ...rules(
      absolutePathRule,
      [
        "self.provider != 'gateway' || self.?gateway.?parentRefs.orValue([]).size() > 0",
        'must name at least one Gateway',
        '.gateway',
      ],
      [
        `self.provider != 'gateway' || ${textOf('tls')} == ''`,
        "is for provider ingress; a Gateway's listener has its own",
        '.tls',
      ],
    ),
  },
);

const specSchema = closed(
  {
    host: Type.Optional(
      Type.String({
        pattern: `^$|${DNS_SUBDOMAIN}`,
        maxLength: 253,
        description: 'Host header to match; empty for any.',
      }),
    ),
    relativeurl: Type.Optional(
      Type.String({
        maxLength: MAX_PATH_LENGTH,
        description: 'Path to match, `{name}` and `{name:regex}` as parameters.',
      }),
    ),
    prefix: Type.Optional(
      Type.String({
        maxLength: MAX_PATH_LENGTH,
        description: 'Start of the path to match; wins over `relativeurl`.',
      }),
    ),
    keepPrefix: Type.Optional(Type.Boolean({ description: 'The function sees the prefix too.' })),
    method: Type.Optional(choice(['', ...HTTP_METHODS], { description: 'Use `methods`.' })),
    methods: Type.Optional(
      Type.Array(choice(HTTP_METHODS), { description: 'Methods to match; empty: GET.', ...SET }),
    ),
    invocationMode: Type.Optional(
      choice(['', 'async'], { description: '`async`: answered at once, delivered later.' }),
    ),
    functionref: functionReferenceSchema,
    createingress: Type.Optional(Type.Boolean({ description: 'Make an Ingress. Use `routeConfig`.' })),
    ingressconfig: Type.Optional(ingressSchema),
    routeConfig: Type.Optional(routeConfigSchema),
    corsConfig: Type.Optional(corsSchema),
  },
  {
    description: 'What is matched and what is called.',
    ...rules(
      [
        `${textOf('relativeurl')} != '' || ${textOf('prefix')} != ''`,
        'is required, or a prefix: the path to match',
        '.relativeurl',
      ],
      ...routePathRules('relativeurl'),
      ...routePathRules('prefix'),
    ),
  },
);

export const httpTriggerSchema = kindSchema(
  'HTTPTrigger',
  'Calls a function for HTTP requests to a path.',
  specSchema,
  conditionsStatusSchema,
);

export type HttpTrigger = Static<typeof httpTriggerSchema>;
type Spec = HttpTrigger['spec'];

function checkTrigger({ metadata, spec }: HttpTrigger, report: Report): void {
  checkMetadata(metadata, report);
  const { relativeurl = '', prefix = '', ingressconfig, routeConfig, corsConfig } = spec;
  if (relativeurl === '' && prefix === '')
    report('spec.relativeurl', 'is required, or a prefix: the path to match');
  if (relativeurl !== '') checkRoutePath('spec.relativeurl', relativeurl, report);
  if (prefix !== '') checkRoutePath('spec.prefix', prefix, report);
  checkFunctionReference('spec.functionref', spec.functionref, report);
  if (ingressconfig !== undefined) checkIngress('spec.ingressconfig', ingressconfig, report);
  if (routeConfig !== undefined) checkRouteConfig('spec.routeConfig', routeConfig, report);
  if (corsConfig !== undefined) checkCors('spec.corsConfig', corsConfig, report);
}

function checkIngress(path: string, config: NonNullable<Spec['ingressconfig']>, report: Report): void {
  checkAbsolute(`${path}.path`, config.path, report);
  checkHostPattern(`${path}.host`, config.host ?? '', report);
  checkAnnotations(`${path}.annotations`, config.annotations ?? {}, report);
}

function checkRouteConfig(path: string, config: NonNullable<Spec['routeConfig']>, report: Report): void {
  checkAbsolute(`${path}.path`, config.path, report);
  (config.hostnames ?? []).forEach((host, index) =>
    checkHostPattern(`${path}.hostnames[${index}]`, host, report),
  );
  checkAnnotations(`${path}.annotations`, config.annotations ?? {}, report);
  const parents = config.gateway?.parentRefs ?? [];
  if (config.provider !== 'gateway') return;
  if (parents.length === 0) report(`${path}.gateway.parentRefs`, 'must name at least one Gateway');
  if ((config.tls ?? '') !== '')
    report(`${path}.tls`, "is for provider ingress; a Gateway's listener has its own");
}

function checkAbsolute(path: string, text: string | undefined, report: Report): void {
  if (text !== undefined && text !== '' && !text.startsWith('/')) {
    report(path, `must start with /, but is "${text}"`);
  }
}

function checkCors(path: string, cors: NonNullable<Spec['corsConfig']>, report: Report): void {
  const origins = cors.allowOrigins ?? [];
  if (cors.allowCredentials === true && origins.includes('*')) {
    report(`${path}.allowOrigins`, 'must not be "*" beside allowCredentials; browsers refuse such answers');
  }
  origins.forEach((origin, index) => {
    if (origin !== '*' && !isOrigin(origin)) {
      report(
        `${path}.allowOrigins[${index}]`,
        `must be scheme://host[:port] and nothing else, e.g. https://app.example.com, but is "${origin}"`,
      );
    }
  });
  for (const list of ['allowMethods', 'allowHeaders', 'exposeHeaders'] as const) {
    (cors[list] ?? []).forEach((name, index) => {
      if (!token.test(name)) {
        report(
          `${path}.${list}[${index}]`,
          `must be a name as HTTP has them, but is ${JSON.stringify(name)}`,
        );
      }
    });
  }
  checkDuration(`${path}.maxAge`, cors.maxAge, report);
}

function isOrigin(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s]+$/i.test(text) && URL.canParse(text);
}

const validate = createValidator<HttpTrigger>(httpTriggerSchema, (trigger) =>
  collect((report) => checkTrigger(trigger, report)),
);

export const httpTriggerKind: KindDefinition = {
  kind: 'HTTPTrigger',
  plural: 'httptriggers',
  singular: 'httptrigger',
  shortNames: ['ht'],
  listKind: 'HTTPTriggerList',
  schema: httpTriggerSchema,
  printerColumns: [
    { name: 'URL', type: 'string', jsonPath: '.spec.relativeurl' },
    { name: 'Prefix', type: 'string', jsonPath: '.spec.prefix' },
    { name: 'Methods', type: 'string', jsonPath: '.spec.methods' },
    { name: 'Host', type: 'string', jsonPath: '.spec.host', priority: 1 },
    { name: 'Function', type: 'string', jsonPath: '.spec.functionref.name' },
    READY_COLUMN,
    REASON_COLUMN,
    AGE_COLUMN,
  ],
  validate,
  validateUpdate: () => [],
};

/**
 * The trigger with its defaults, frozen.
 * @throws FissiumError RESOURCE_INVALID where the object would not have been accepted.
 */
export function resolveTrigger(trigger: HttpTrigger): ResolvedTrigger {
  refuseInvalid('HTTPTrigger', trigger, validate(trigger));
  // Accepted, so without its nulls it has the type of the schema.
  const object = withoutNulls(httpTriggerSchema, trigger) as HttpTrigger;
  const { spec } = object;
  const prefix = spec.prefix ?? '';
  return deepFreeze({
    ...resolvedBase(object),
    host: spec.host ?? '',
    path: prefix === '' ? (spec.relativeurl ?? '') : prefix,
    prefix: prefix !== '',
    keepPrefix: spec.keepPrefix ?? false,
    methods: interned(methodsOf(spec)),
    functions: functionsOf(spec.functionref),
    cors: spec.corsConfig === undefined ? null : resolveCors(spec.corsConfig),
    exposure: interned(resolveExposure(spec)),
    notServed: interned(notServed(spec)),
  });
}

/** Both fields count, as in Fission; GET where neither is set. */
function methodsOf({ method = '', methods = [] }: Spec): string[] {
  const all = new Set<string>(methods);
  if (method !== '') all.add(method);
  return all.size === 0 ? ['GET'] : [...all];
}

function resolveCors(cors: NonNullable<Spec['corsConfig']>): ResolvedCors {
  const maxAge = cors.maxAge ?? '';
  return {
    allowOrigins: cors.allowOrigins ?? [],
    allowMethods: cors.allowMethods ?? [],
    allowHeaders: cors.allowHeaders ?? [],
    exposeHeaders: cors.exposeHeaders ?? [],
    allowCredentials: cors.allowCredentials ?? false,
    maxAgeSeconds: maxAge === '' ? null : Math.floor((parseDuration(maxAge) ?? 0) / 1000),
  };
}

function notServed(spec: Spec): string[] {
  return setFields({
    'spec.functionref.alias': spec.functionref.alias,
    'spec.functionref.version': spec.functionref.version,
    'spec.invocationMode': spec.invocationMode,
    'spec.createingress': spec.createingress,
    'spec.ingressconfig': spec.ingressconfig,
    'spec.routeConfig': spec.routeConfig,
  });
}
