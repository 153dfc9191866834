/** Checks a specification as a whole: each resource by its schema, and what they say of each other. */
import { KINDS, type FissionFunction, type HttpTrigger, type Package } from '../../api/index.ts';
import { packageOf } from '../function-package.ts';
import { ARCHIVE_SCHEME } from './names.ts';
import type { SpecObject, SpecSet } from './load.ts';

/** A resource that is referred to and not in the specification: it may be in the cluster. */
export interface Dangling {
  readonly kind: 'Environment' | 'Package' | 'Function';
  readonly namespace: string | undefined;
  readonly name: string;
  /** Who refers to it, where. */
  readonly from: string;
}

export interface Findings {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  readonly dangling: readonly Dangling[];
}

export function validateSpecs(set: SpecSet): Findings {
  const errors: string[] = [];
  const warnings = [...set.warnings];
  const dangling: Dangling[] = [];
  for (const { kind, name, object, location } of set.objects) {
    const definition = KINDS.find((known) => known.kind === kind);
    for (const { path, message } of definition?.validate(object) ?? []) {
      errors.push(`${location}: ${kind} "${name}": ${path === '' ? '' : `${path}: `}${message}`);
    }
  }
  // References can only be followed in resources that are what they should be.
  if (errors.length === 0) {
    errors.push(...archiveErrors(set, warnings));
    for (const [kind, names, from] of references(set.objects)) {
      for (const name of names) {
        if (!isThere(set.objects, kind, name, from.object.metadata.namespace)) {
          dangling.push({
            kind,
            namespace: from.object.metadata.namespace,
            name,
            from: `${from.location}: ${from.kind} "${from.name}"`,
          });
        }
      }
    }
  }
  return { errors, warnings, dangling };
}

function archiveErrors(set: SpecSet, warnings: string[]): string[] {
  const errors: string[] = [];
  const used = new Set<string>();
  for (const { kind, name, object, location } of set.objects) {
    if (kind !== 'Package') continue;
    const { source, deployment } = (object as unknown as Package).spec;
    for (const archive of [source, deployment]) {
      if (archive?.url?.startsWith(ARCHIVE_SCHEME) !== true) continue;
      const wanted = archive.url.slice(ARCHIVE_SCHEME.length);
      used.add(wanted);
      if (!set.archives.some((known) => known.name === wanted)) {
        errors.push(
          `${location}: Package "${name}" refers to archive "${wanted}", which no ArchiveUploadSpec describes`,
        );
      }
    }
  }
  for (const { name, location } of set.archives) {
    if (!used.has(name)) warnings.push(`${location}: archive "${name}" is not used by any package`);
  }
  return errors;
}

function* references(
  objects: readonly SpecObject[],
): Generator<['Environment' | 'Package' | 'Function', string[], SpecObject]> {
  for (const from of objects) {
    if (from.kind === 'Function') {
      const fn = from.object as unknown as FissionFunction;
      yield ['Environment', named(fn.spec.environment.name), from];
      yield ['Package', named(packageOf(fn)), from];
    } else if (from.kind === 'Package') {
      yield ['Environment', named((from.object as unknown as Package).spec.environment.name), from];
    } else if (from.kind === 'HTTPTrigger') {
      const { functionref } = (from.object as unknown as HttpTrigger).spec;
      yield [
        'Function',
        [...named(functionref.name), ...Object.keys(functionref.functionweights ?? {})],
        from,
      ];
    }
  }
}

function named(name: string | undefined): string[] {
  return name === undefined || name === '' ? [] : [name];
}

function isThere(
  objects: readonly SpecObject[],
  kind: string,
  name: string,
  namespace: string | undefined,
): boolean {
  return objects.some(
    (object) =>
      object.kind === kind && object.name === name && object.object.metadata.namespace === namespace,
  );
}
