/** Rules of the parts of a Function, as a Kubernetes API server evaluates them; `function-checks.ts` says the same. */
import { durationRule, isLabel, raw, textOf, whenSet } from './rules.ts';
import type { Rule } from './rules.ts';

const EXECUTION = 'self.?InvokeStrategy.?ExecutionStrategy';
const EXECUTOR = `${EXECUTION}.?ExecutorType.orValue('')`;
const SCALES = `${EXECUTOR} in ['newdeploy', 'container']`;
const scale = (name: string): string => `${EXECUTION}.?${name}.orValue(0)`;

export const FUNCTION_RULES: readonly Rule[] = [
  [
    `${EXECUTOR} == 'container' || self.environment.?name.orValue('') != ''`,
    'is required: what runs the function',
    '.environment.name',
  ],
  [
    `${EXECUTOR} != 'container' || has(self.podspec)`,
    'is required by executor container: the pod that answers',
    '.podspec',
  ],
  [`!(${SCALES}) || ${scale('MinScale')} >= 0`, 'MinScale must be 0 at least', '.InvokeStrategy'],
  [
    `!(${SCALES}) || ${scale('MaxScale')} >= 1`,
    'MaxScale must be 1 at least for executors newdeploy and container',
    '.InvokeStrategy',
  ],
  [
    `!(${SCALES}) || ${scale('MaxScale')} >= ${scale('MinScale')}`,
    'MaxScale must be MinScale at least',
    '.InvokeStrategy',
  ],
  [
    `!(${SCALES}) || (${scale('TargetCPUPercent')} >= 0 && ${scale('TargetCPUPercent')} <= 100)`,
    'TargetCPUPercent must be from 0 to 100',
    '.InvokeStrategy',
  ],
  [`!(${SCALES}) || !has(self.provisionedConcurrency)`, 'is for executor poolmgr', '.provisionedConcurrency'],
  [`${EXECUTOR} != 'container' || !has(self.state)`, 'is for executors poolmgr and newdeploy', '.state'],
  [
    "!self.?onceOnly.orValue(false) || self.?wasm.?instance.?mode.orValue('') != 'reuse'",
    'cannot stand beside instance.mode "reuse"; the one wants a new instance each time',
    '.onceOnly',
  ],
];

export const PACKAGE_RULES: readonly Rule[] = [
  [
    "self.?packageref.?name.orValue('') == '' || !has(self.functionref) || self.packageref.name == self.functionref.name",
    'names another package than packageref; give one',
    '.functionref',
  ],
  [
    `${textOf('functionName')} == '' || self.?functionref.?resource.orValue('') == ''`,
    'its resource cannot stand beside functionName; give one',
    '.functionref',
  ],
];

export const MOUNT_RULES: readonly Rule[] = [
  [
    whenSet('mountPath', `!self.mountPath.matches(${raw('^/|^[.][.](/|$)|^[.]/*$|[\\\\]')})`),
    'must be a relative folder that stays inside',
    '.mountPath',
  ],
];

const RESERVED = [
  'RESOURCE_VERSION_COUNT',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'LD_PRELOAD',
  'NODE_OPTIONS',
  'PYTHONPATH',
];
const envName = (text: string): string =>
  `${text}.matches(${raw('^[ -<>-~]+$')}) && !${text}.startsWith('FISSION_') && !(${text} in [${RESERVED.map((name) => `'${name}'`).join(', ')}])`;
const ENV_NAME_WORDS =
  'must be printable ASCII characters without "=", and none of FISSION_*, proxy and interpreter variables';

export const ENV_RULES: readonly Rule[] = [
  [envName('self.name'), ENV_NAME_WORDS, '.name'],
  [`!has(self.valueFrom) || ${textOf('value')} == ''`, 'cannot stand beside value; give one', '.valueFrom'],
  [
    '!has(self.valueFrom) || (has(self.valueFrom.secretKeyRef) != has(self.valueFrom.configMapKeyRef))',
    'must have one of secretKeyRef and configMapKeyRef',
    '.valueFrom',
  ],
  [
    '!has(self.valueFrom) || !(has(self.valueFrom.fieldRef) || has(self.valueFrom.resourceFieldRef) || has(self.valueFrom.fileKeyRef))',
    'must be secretKeyRef or configMapKeyRef; others are not supported',
    '.valueFrom',
  ],
  [
    "(self.?valueFrom.?secretKeyRef.?name.orValue('') != '' || !has(self.valueFrom) || !has(self.valueFrom.secretKeyRef)) && (self.?valueFrom.?configMapKeyRef.?name.orValue('') != '' || !has(self.valueFrom) || !has(self.valueFrom.configMapKeyRef))",
    'must name the object',
    '.valueFrom',
  ],
];

export const ENV_FROM_RULES: readonly Rule[] = [
  ['has(self.secretRef) != has(self.configMapRef)', 'must have one of secretRef and configMapRef'],
  [
    "(!has(self.secretRef) || self.secretRef.?name.orValue('') != '') && (!has(self.configMapRef) || self.configMapRef.?name.orValue('') != '')",
    'must name the object',
  ],
  [whenSet('prefix', `(${envName('self.prefix')})`), ENV_NAME_WORDS, '.prefix'],
];

export const STREAMING_RULES: readonly Rule[] = [
  [
    'self.?idleTimeoutSeconds.orValue(0) == 0 || self.?maxDurationSeconds.orValue(0) == 0 || self.maxDurationSeconds >= self.idleTimeoutSeconds',
    'must be idleTimeoutSeconds at least',
    '.maxDurationSeconds',
  ],
];

export const TOOL_RULES: readonly Rule[] = [
  [
    "has(self.description) && self.description.matches(r'\\S')",
    'is required: what the tool does',
    '.description',
  ],
  [whenSet('alias', isLabel('self.alias')), "must be lower-case letters, digits and '-'", '.alias'],
];

const NOT_NEGATIVE = 'must be a duration such as 10s or 24h, not negative';

export const STATE_RULES: readonly Rule[] = [[durationRule('defaultTTL'), NOT_NEGATIVE, '.defaultTTL']];

export const RETRY_RULES: readonly Rule[] = [
  [durationRule('backoffBase'), NOT_NEGATIVE, '.backoffBase'],
  [durationRule('backoffCap'), NOT_NEGATIVE, '.backoffCap'],
];

export const DESTINATION_RULES: readonly Rule[] = [
  ['has(self.function) != has(self.topic)', 'must have one of function and topic'],
];
