/** The rules for names, label keys and label values (Kubernetes: "Object Names and IDs", "Labels and Selectors"). */
import { randomInt } from 'node:crypto';

export type NameRule = 'label' | 'subdomain';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end " +
  `with an alphanumeric character (e.g. 'my-name', regex used for validation is '${LABEL.source.slice(1, -1)}')`;
const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start " +
  `and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${SUBDOMAIN.source.slice(1, -1)}')`;
const QUALIFIED_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric " +
  `character (e.g. 'MyName', regex used for validation is '${QUALIFIED_NAME.source.slice(1, -1)}')`;

/** Why this cannot be an object's name; undefined if it can. */
export function nameFault(name: string, rule: NameRule): string | undefined {
  const limit = rule === 'label' ? 63 : 253;
  if (name.length > limit) return `must be no more than ${limit} characters`;
  if (rule === 'label') return LABEL.test(name) ? undefined : LABEL_TEXT;
  return SUBDOMAIN.test(name) ? undefined : SUBDOMAIN_TEXT;
}

/** Why this cannot be the key of a label or an annotation. */
export function qualifiedNameFault(key: string): string | undefined {
  const slash = key.indexOf('/');
  const name = slash < 0 ? key : key.slice(slash + 1);
  if (slash >= 0) {
    const prefixFault = nameFault(key.slice(0, slash), 'subdomain');
    if (prefixFault !== undefined) return `prefix part ${prefixFault}`;
  }
  if (name === '') return 'name part must be non-empty';
  if (name.length > 63) return 'name part must be no more than 63 characters';
  return QUALIFIED_NAME.test(name) ? undefined : QUALIFIED_TEXT;
}

/** Why this cannot be a label's value. */
export function labelValueFault(value: string): string | undefined {
  if (value === '') return undefined;
  if (value.length > 63) return 'must be no more than 63 characters';
  if (QUALIFIED_NAME.test(value)) return undefined;
  return "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
}

/** Without vowels and look-alikes, so that no words come out. */
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** A name from metadata.generateName: the base, cut to 58 characters, and five random ones. */
export function generatedName(base: string): string {
  let suffix = '';
  for (let i = 0; i < 5; i++) suffix += SUFFIX_ALPHABET[randomInt(SUFFIX_ALPHABET.length)] ?? '';
  return base.slice(0, 58) + suffix;
}
