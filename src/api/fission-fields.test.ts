import { describe, expect, it } from 'vitest';
import { propertyOf, schemaNode } from './defaults.ts';
import type { SchemaNode } from './defaults.ts';
import { KINDS, defaulted, resolveFunction } from './index.ts';
import { GO_STYLE, fn } from './testing/examples.ts';
import { EVERY_BLOCK, FULL_OBJECTS } from './testing/full-objects.ts';
import { FISSION_VERSIONS, fissionFields } from './testing/fission-fields.ts';

const PRESERVE = 'x-kubernetes-preserve-unknown-fields';

/** The schema at a path; undefined where there is none, 'kept' where something above it keeps what it does not know. */
function nodeAt(root: SchemaNode, path: string): SchemaNode | 'kept' | undefined {
  let node = root;
  for (const part of path.split('.')) {
    const name = part.replaceAll('[]', '');
    let inner = propertyOf(node, name);
    if (inner === undefined) return node[PRESERVE] === true ? 'kept' : undefined;
    for (let rest = part.slice(name.length); rest !== ''; rest = rest.slice(2)) {
      if (inner.items === undefined) return inner[PRESERVE] === true ? 'kept' : undefined;
      inner = inner.items;
    }
    node = inner;
  }
  return node;
}

function typeOf(node: SchemaNode): string {
  if (node['x-kubernetes-int-or-string'] === true) return 'int-or-string';
  return node.type ?? 'any';
}

/** What Fission's own webhook or controller demands, though its schema does not. */
const REQUIRED_BY_US = new Set(['spec', 'spec.functionref', 'spec.messageQueueType', 'spec.route.url']);
/** Narrower than Fission's schema, as its webhook is. */
const VALUES_BY_US = new Set([
  'spec.messageQueueType',
  'spec.mqtkind',
  'spec.invocation.onSuccess.topic.messageQueueType',
  'spec.invocation.onFailure.topic.messageQueueType',
  'spec.InvokeStrategy.StrategyType',
  'spec.InvokeStrategy.ExecutionStrategy.ExecutorType',
  'spec.deployment.type',
  'spec.source.type',
]);

describe.each(KINDS.map((kind) => [kind.kind, kind] as const))('%s', (name, kind) => {
  const root = schemaNode(kind.schema);

  describe.each(FISSION_VERSIONS)('as Fission %s has it', (version) => {
    const fields = fissionFields(version, name);
    const typed = fields.flatMap((field) => {
      const node = nodeAt(root, field.path);
      return node === undefined || node === 'kept' ? [] : [{ ...field, node }];
    });

    it('loses no field', () => {
      expect(fields.length).toBeGreaterThan(10);
      expect(fields.filter(({ path }) => nodeAt(root, path) === undefined)).toEqual([]);
    });

    it('has fields of the same type', () => {
      const other = typed.filter(({ type, node }) => typeOf(node) !== 'any' && typeOf(node) !== type);
      expect(other.map(({ path, type, node }) => `${path}: ${type}, ours ${typeOf(node)}`)).toEqual([]);
    });

    it('takes every value that is allowed there', () => {
      const narrower = typed.filter(({ path, values, node }) => {
        const ours: unknown = node['enum'];
        if (!Array.isArray(ours) || path.startsWith('status.') || VALUES_BY_US.has(path)) return false;
        return values === null || values.some((value) => !ours.includes(value));
      });
      expect(narrower.map(({ path, values, node }) => ({ path, values, ours: node['enum'] }))).toEqual([]);
    });

    it('asks for no field that may be left out there', () => {
      const demanded = typed.filter(({ path, required }) => {
        const dot = path.lastIndexOf('.');
        const above = dot < 0 ? root : nodeAt(root, path.slice(0, dot));
        const names = above === undefined || above === 'kept' ? [] : above['required'];
        const isRequired = Array.isArray(names) && names.includes(path.slice(dot + 1));
        return isRequired && !required && !REQUIRED_BY_US.has(path);
      });
      expect(demanded.map(({ path }) => path)).toEqual([]);
    });

    it('says something of every field of the spec', () => {
      const silent = typed.filter(({ path, node }) => {
        const isEntry = path.endsWith('[]') || path.endsWith('*') || path.startsWith('status.conditions');
        return !isEntry && node.description === undefined;
      });
      // Names and topics in lists that their own description explains; what of a pod is typed to be refused.
      const explained =
        /\.(claims\[\]|windows\[\]|topic|imagePullSecrets\[\])\.|\.(podspec|container|containers\[\])\./;
      expect(silent.map(({ path }) => path).filter((path) => !explained.test(path))).toEqual([]);
    });
  });

  it("accepts what Go's serialiser writes", () => {
    expect(kind.validate(GO_STYLE[name])).toEqual([]);
  });

  it('keeps every field of it, as written, when the defaults are filled', () => {
    const example = GO_STYLE[name] ?? {};
    const expected = structuredClone(example);
    expect(defaulted(kind, expected)['spec']).toMatchObject(withoutNull(example['spec']));
  });
});

/** Fields that are null and may be, stay null; the others go. Here only what stays as it is counts. */
function withoutNull(value: unknown): object {
  return JSON.parse(JSON.stringify(value, (_, inner: unknown) => inner ?? undefined)) as object;
}

/** Kept for the sake of the schema, and refused as Fission refuses them. */
const REFUSED = /^spec\.(env\[\]\.valueFrom\.(fieldRef|fileKeyRef|resourceFieldRef)|source\.oci)/;

/** Paths of a value, as the extract has them. */
function* pathsOf(value: unknown, node: SchemaNode, path: string): Generator<string> {
  if (path !== '') yield path;
  if (Array.isArray(value)) {
    for (const item of value) yield* pathsOf(item, node.items ?? {}, `${path}[]`);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      const key = node.properties === undefined && node.patternProperties !== undefined ? '*' : name;
      yield* pathsOf(inner, propertyOf(node, name) ?? {}, path === '' ? key : `${path}.${key}`);
    }
  }
}

describe('the full objects', () => {
  it.each(FULL_OBJECTS.map((object) => [`${object.kind} ${object.metadata.name}`, object] as const))(
    'are accepted and stay as they are: %s',
    (_, object) => {
      const kind = KINDS.find(({ kind: name }) => name === object.kind);
      expect(kind?.validate(object)).toEqual([]);
      expect(kind === undefined ? null : defaulted(kind, object)).toEqual(object);
    },
  );

  it.each(KINDS.map((kind) => [kind.kind, kind] as const))('set every field of %s', (name, kind) => {
    const root = schemaNode(kind.schema);
    const set = new Set(
      FULL_OBJECTS.filter((object) => object.kind === name).flatMap((object) => [
        ...pathsOf({ spec: object.spec }, root, ''),
      ]),
    );
    const missing = fissionFields('920a4df07', name).filter(({ path }) => {
      const node = nodeAt(root, path);
      return (
        path.startsWith('spec.') &&
        node !== 'kept' &&
        !/\.(podspec|container)\./.test(path) &&
        !REFUSED.test(path) &&
        !set.has(path)
      );
    });
    expect(missing.map(({ path }) => path)).toEqual([]);
  });
});

describe('Function', () => {
  it('accepts every block of Fission at once', () => {
    const everything = fn(EVERY_BLOCK);
    const kind = KINDS.find(({ kind: name }) => name === 'Function');
    expect(kind?.validate(everything)).toEqual([]);
    expect(resolveFunction(everything).notServed).toEqual([
      'spec.InvokeStrategy.ExecutionStrategy.hpaMetrics',
      'spec.InvokeStrategy.ExecutionStrategy.hpaBehavior',
      'spec.resources.limits.cpu',
      'spec.resources.requests.cpu',
      'spec.resources.claims',
      'spec.retainPods',
      'spec.tool',
      'spec.state',
      'spec.invocation',
      'spec.provisionedConcurrency',
      'spec.versioning',
    ]);
  });
});
