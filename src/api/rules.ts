/**
 * Rules in CEL (`x-kubernetes-validations`) that go into the CRDs, for what a schema cannot say and a Kubernetes
 * API server is to refuse by itself. `validate` says the same and more, so the embedded API evaluates none of
 * them. `self.?a.orValue(x)` needs Kubernetes 1.29.
 */
import { DNS_LABEL } from './names.ts';

/** The rule, what is wrong where it does not hold, and the field within that is meant, as `.name`. */
export type Rule = readonly [rule: string, message: string, field?: string];

/** The keyword with these rules, to be spread into a schema's options. */
export function rules(...list: readonly Rule[]) {
  return {
    'x-kubernetes-validations': list.map(([rule, message, fieldPath]) => ({
      rule,
      message,
      ...(fieldPath === undefined ? {} : { fieldPath }),
    })),
  };
}

/** CEL for the text of a field, '' where it is not set. */
export function textOf(field: string): string {
  return `self.?${field}.orValue('')`;
}

/**
 * CEL: the field is not set, or the condition holds. An API server knows a bound of `self.<field>` only, not of
 * what `orValue` gives, and refuses rules that may cost too much: those read every character or entry.
 */
export function whenSet(field: string, condition: string): string {
  return `!has(self.${field}) || self.${field} == '' || ${condition}`;
}

/** CEL for the number of a field, `otherwise` where it is not set. */
export function numberOf(field: string, otherwise = 0): string {
  return `self.?${field}.orValue(${otherwise})`;
}

/** A text in CEL, raw, so that a regular expression stands in it as it is. */
export function raw(text: string): string {
  return `r'${text}'`;
}

/** CEL: the expression is a label of RFC 1123; its length is for the schema. */
export function isLabel(expression: string): string {
  return `${expression}.matches(${raw(DNS_LABEL)})`;
}

/** CEL: the field is not set, or a Go duration for which `condition` holds of `d`. */
export function durationRule(field: string, condition = "d >= duration('0s')"): string {
  return whenSet(field, `[duration(self.${field})].all(d, ${condition})`);
}

/** On the root of every kind: the API server itself lets names have dots. */
export const NAME_RULE: Rule = [
  `self.metadata.name.size() <= 63 && ${isLabel('self.metadata.name')}`,
  "metadata.name must be lower-case letters, digits and '-', with a letter or digit first and last, 63 at most",
];

const TYPE = "self.?type.orValue('name')";

export const FUNCTION_REFERENCE_RULES: readonly Rule[] = [
  [
    `${TYPE} != 'name' || (has(self.name) && ${isLabel('self.name')})`,
    "is required: the function that is called, by lower-case letters, digits and '-'",
    '.name',
  ],
  [
    `${TYPE} == 'name' || (has(self.functionweights) && self.functionweights.exists(n, self.functionweights[n] > 0))`,
    'must give at least one function a weight over 0',
    '.functionweights',
  ],
  [
    `${TYPE} == 'name' || !has(self.functionweights) || self.functionweights.all(n, n.size() <= 63 && ${isLabel('n')})`,
    'must be of names of functions',
    '.functionweights',
  ],
  [
    `${textOf('alias')} == '' || ${textOf('version')} == ''`,
    'cannot stand beside alias; give one',
    '.version',
  ],
  [
    `(${textOf('alias')} == '' && ${textOf('version')} == '') || ${TYPE} == 'name'`,
    'alias and version are for type "name" only',
  ],
  ...['alias', 'version'].map((field): Rule => [
    whenSet(field, isLabel(`self.${field}`)),
    "must be lower-case letters, digits and '-'",
    `.${field}`,
  ]),
];

/** What a path of a route may be; `field` is `relativeurl`, `prefix` or `url`. */
export function routePathRules(field: string): readonly Rule[] {
  const text = `self.${field}`;
  const rule = (condition: string, message: string): Rule => [
    whenSet(field, condition),
    message,
    `.${field}`,
  ];
  return [
    rule(
      `(${text}.startsWith('/') && ${text} != '/' && !${text}.matches(${raw('(^|/)[.][.](/|$)')}))`,
      'must start with /, be more than "/" and have no ".." in it',
    ),
    rule(
      `!(${text} in ['/router-healthz', '/readyz', '/_version', '/auth/login'] || ${text}.startsWith('/fission-function/'))`,
      'must not be a path that the router itself answers',
    ),
    rule(
      `!${text}.matches(${raw('^([^{]|[{][^}]*[}])*[\\x00-\\x20\\x7f?#]')})`,
      'must be a path without spaces, "?" and "#"',
    ),
  ];
}

export const POD_SPEC_RULES: readonly Rule[] = [
  [
    `!(${['hostNetwork', 'hostPID', 'hostIPC'].map((field) => `self.?${field}.orValue(false)`).join(' || ')})`,
    'hostNetwork, hostPID and hostIPC are not allowed',
  ],
  [
    `${textOf('serviceAccountName')} == '' && ${textOf('serviceAccount')} == ''`,
    "a service account is not allowed: pods run with the platform's account",
  ],
];

export const SECURITY_CONTEXT_RULES: readonly Rule[] = [
  [
    '!self.?privileged.orValue(false) && !self.?allowPrivilegeEscalation.orValue(false)',
    'privileged and allowPrivilegeEscalation must not be true',
  ],
  [
    "!has(self.capabilities) || !has(self.capabilities.add) || self.capabilities.add.all(c, c == 'NET_BIND_SERVICE')",
    'capabilities.add may name NET_BIND_SERVICE only',
  ],
];
