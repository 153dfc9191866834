/** Checks that several kinds share: what a schema cannot say. */
import { DURATION_WORDS, parseDuration } from './duration.ts';
import { joinPath } from './defaults.ts';
import type { FieldError } from './kind.ts';
import {
  DNS_LABEL_WORDS,
  DNS_SUBDOMAIN_WORDS,
  isDnsLabel,
  isDnsSubdomain,
  isQualifiedName,
} from './names.ts';
import type { FunctionReference, ObjectMeta } from './schema.ts';

/** Where checks put what they find. */
export type Report = (path: string, message: string) => void;

/** Runs checks that report, and gives what they reported. */
export function collect(run: (report: Report) => void): FieldError[] {
  const errors: FieldError[] = [];
  run((path, message) => errors.push({ path, message }));
  return errors;
}

export function checkMetadata(metadata: ObjectMeta, report: Report): void {
  const { name, generateName, namespace } = metadata as Partial<ObjectMeta>;
  if (name !== undefined && name !== '') {
    checkLabel('metadata.name', name, report);
  } else if (generateName === undefined || generateName === '') {
    report('metadata.name', `is required: ${DNS_LABEL_WORDS}`);
  } else if (!isDnsLabel(`${generateName}x`)) {
    report('metadata.generateName', `must begin a name (${DNS_LABEL_WORDS}), but is "${generateName}"`);
  }
  if (namespace !== undefined && namespace !== '') checkLabel('metadata.namespace', namespace, report);
}

export function checkLabel(path: string, text: string, report: Report): void {
  if (!isDnsLabel(text)) report(path, `must be ${DNS_LABEL_WORDS}, but is "${text}"`);
}

/** A host name, `*`, or one with `*.` before it. */
export function checkHostPattern(path: string, host: string, report: Report): void {
  if (host === '' || host === '*' || isDnsSubdomain(host.replace(/^\*\./, ''))) return;
  report(
    path,
    `must be a host name (${DNS_SUBDOMAIN_WORDS}), such a name after "*.", or "*", but is "${host}"`,
  );
}

/**
 * A reference may name its own namespace only: what one namespace may reach is granted there and nowhere
 * else (Fission refuses the same since GHSA-cvw6-gfvv-953q and GHSA-3r8v-2xmj-5c39).
 */
export function checkSameNamespace(
  path: string,
  namespace: string | undefined,
  own: string | undefined,
  report: Report,
): void {
  if (namespace === undefined || namespace === '') return;
  if (!isDnsLabel(namespace)) checkLabel(path, namespace, report);
  else if (own !== undefined && own !== '' && namespace !== own) {
    report(path, `must be the object's own namespace, "${own}", but is "${namespace}"`);
  }
}

export function checkFunctionReference(path: string, reference: FunctionReference, report: Report): void {
  const { name = '', alias = '', version = '', functionweights } = reference;
  const type = reference.type ?? 'name';
  if (type === 'name') {
    if (name === '') report(`${path}.name`, 'is required: the function that is called');
    else checkLabel(`${path}.name`, name, report);
  } else {
    checkWeights(`${path}.functionweights`, functionweights ?? {}, report);
  }
  if (alias !== '' && version !== '')
    report(`${path}.version`, `cannot stand beside alias "${alias}"; give one`);
  for (const [field, text] of Object.entries({ alias, version })) {
    if (text === '') continue;
    checkLabel(`${path}.${field}`, text, report);
    if (type !== 'name') report(`${path}.${field}`, 'is for type "name" only');
  }
}

function checkWeights(path: string, weights: Readonly<Record<string, number>>, report: Report): void {
  for (const [name, weight] of Object.entries(weights)) {
    checkLabel(joinPath(path, name), name, report);
    if (weight < 0) report(joinPath(path, name), `must be 0 at least, but is ${weight}`);
  }
  if (!Object.values(weights).some((weight) => weight > 0)) {
    report(path, 'must give at least one function a weight over 0');
  }
}

const RESERVED_PATHS: ReadonlySet<string> = new Set([
  '/router-healthz',
  '/readyz',
  '/_version',
  '/auth/login',
]);
const RESERVED_PREFIX = '/fission-function/';

/** A path that a trigger may take. */
export function checkRoutePath(path: string, url: string, report: Report): void {
  if (!url.startsWith('/')) return report(path, `must start with /, but is "${url}"`);
  if (url === '/') return report(path, 'must be more than "/"; give it a first part, such as /app');
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  if (/[\u0000-\u001f\u007f\s?#]/.test(url.replace(/\{[^}]*\}/g, ''))) {
    return report(path, `must be a path without spaces, "?" and "#", but is ${JSON.stringify(url)}`);
  }
  if (url.split('/').includes('..')) return report(path, `must not have ".." in it, but is "${url}"`);
  if (RESERVED_PATHS.has(url)) return report(path, `must not be "${url}", which the router itself answers`);
  if (url.startsWith(RESERVED_PREFIX)) {
    report(path, `must not start with ${RESERVED_PREFIX}, which the internal listener answers`);
  }
}

export function checkDuration(
  path: string,
  text: string | undefined,
  report: Report,
  { min = 0, max = Number.MAX_SAFE_INTEGER, words = 'not negative' } = {},
): void {
  if (text === undefined || text === '') return;
  const ms = parseDuration(text);
  if (ms === null) report(path, `must be ${DURATION_WORDS}, but is "${text}"`);
  else if (ms < min || ms > max) report(path, `must be ${words}, but is "${text}"`);
}

const ANNOTATIONS_LIMIT = 256 * 1024;

/** Annotations of an object that is to be made. */
export function checkAnnotations(
  path: string,
  annotations: Readonly<Record<string, string>>,
  report: Report,
): void {
  let size = 0;
  for (const [name, value] of Object.entries(annotations)) {
    size += name.length + value.length;
    if (!isQualifiedName(name)) {
      report(
        joinPath(path, name),
        'must be a name of letters, digits, "-", "_" and ".", with an optional domain and "/" before it',
      );
    }
  }
  if (size > ANNOTATIONS_LIMIT) report(path, `must have 256 KiB at most together, but has ${size} bytes`);
}
