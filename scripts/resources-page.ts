/** The page docs/resources.md, made from the schemas in `src/api/`. */
import {
  KINDS,
  resolveEnvironment,
  resolveFunction,
  resolvePackage,
  resolveTrigger,
  SERVED_ON_CLUSTER,
  toCrdSchema,
} from '../src/api/index.ts';
import type { KindDefinition, KindName } from '../src/api/index.ts';
import { FULL_OBJECTS } from '../src/api/testing/full-objects.ts';

interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly additionalProperties?: Node;
  readonly [keyword: string]: unknown;
}

/** Kinds that are kept whole and not served at all. */
const UNSERVED: ReadonlySet<KindName> = new Set([
  'TimeTrigger',
  'MessageQueueTrigger',
  'KubernetesWatchTrigger',
]);

// The objects are of these kinds.
const RESOLVE: Partial<Record<KindName, (object: never) => { readonly notServed: readonly string[] }>> = {
  Environment: resolveEnvironment,
  Function: resolveFunction,
  Package: resolvePackage,
  HTTPTrigger: resolveTrigger,
};

interface Unserved {
  readonly inOneProcess: readonly string[];
  /** What is served there all the same. */
  readonly onCluster: readonly string[];
}

/** What the platform itself says it does not serve, of objects with every field set. */
function unservedOf(kind: KindName): Unserved {
  const resolve = RESOLVE[kind];
  if (resolve === undefined) return { inOneProcess: [], onCluster: [] };
  const objects = FULL_OBJECTS.filter((object) => object.kind === kind);
  const paths = objects.flatMap((object) => {
    // An image is served where a local runtime stands for it.
    const notServed = resolve(object as never).notServed.filter((path) => path !== 'spec.runtime.image');
    return [...notServed, ...wholly(object.spec, 'spec', notServed)];
  });
  const inOneProcess = [...new Set(paths)];
  const served: Partial<Record<KindName, readonly string[]>> = SERVED_ON_CLUSTER;
  return { inOneProcess, onCluster: served[kind] ?? [] };
}

/** The fields that hold others, none of which is served: of a map, the CRDs name no more than the map. */
function wholly(value: unknown, path: string, unserved: readonly string[]): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  const fields = Object.entries(value).map(([name, field]) => [`${path}.${name}`, field as unknown] as const);
  const below = fields.flatMap(([at, field]) => wholly(field, at, unserved));
  const isNone = fields.length > 0 && fields.every(([at]) => unserved.includes(at) || below.includes(at));
  return isNone ? [path, ...below] : below;
}

function typeOf(node: Node): string {
  if (node['x-kubernetes-int-or-string'] === true) return 'integer or string';
  if (node.type === 'array') return `list of ${node.items === undefined ? 'anything' : typeOf(node.items)}`;
  if (node.additionalProperties !== undefined) return `map of ${typeOf(node.additionalProperties)}`;
  if (node.enum !== undefined) {
    return node.enum
      .filter((value) => value !== '')
      .map((value) => `\`${String(value)}\``)
      .join(', ');
  }
  return node.type ?? 'any';
}

function* rowsOf(node: Node, path: string, { inOneProcess, onCluster }: Unserved): Generator<string> {
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    const at = `${path}.${name}`;
    const required = node.required?.includes(name) === true ? ' (required)' : '';
    const initial = field.default === undefined ? '' : `\`${JSON.stringify(field.default)}\``;
    const isAmong = (paths: readonly string[]): boolean =>
      paths.some((other) => at === other || at.startsWith(`${other}.`));
    const unserved = isAmong(onCluster) ? 'on a cluster' : 'kept';
    const served = isAmong(inOneProcess) ? unserved : '';
    const words = (field.description ?? '').replaceAll('|', '\\|');
    yield `| \`${at.slice('spec.'.length)}\`${required} | ${typeOf(field)} | ${initial} | ${served} | ${words} |`;
    // What is inside these is Kubernetes' own.
    if (field['x-kubernetes-preserve-unknown-fields'] === true) continue;
    yield* rowsOf(field, at, { inOneProcess, onCluster });
    if (field.items !== undefined) yield* rowsOf(field.items, `${at}[]`, { inOneProcess, onCluster });
  }
}

function sectionOf(kind: KindDefinition): string {
  const { properties = {} } = toCrdSchema(kind.schema) as Node;
  const names = [kind.plural, ...kind.shortNames].map((name) => `\`${name}\``).join(', ');
  const unserved = UNSERVED.has(kind.kind)
    ? 'Stored and checked; not served yet: `Ready` is `False` with the reason `NotServedYet`.\n\n'
    : '';
  const rows = [...rowsOf(properties['spec'] ?? {}, 'spec', unservedOf(kind.kind))];
  return `## ${kind.kind}\n\n${(toCrdSchema(kind.schema) as Node).description ?? ''} (${names})\n\n${unserved}| field of \`spec\` | type | default | served | |\n|---|---|---|---|---|\n${rows.join('\n')}\n`;
}

/** The whole page. */
export function resourcesPage(): string {
  return `<!-- Generated by scripts/crds.ts from src/api/; edit there, then run \`npm run crds\`. -->

# Resources

The kinds of \`fission.io/v1\`, with Fission's fields (1.27 and its main branch of 2026-08-07; a test walks its CRDs) and our own: \`wasm\`, \`route\` and \`package.functionref\` of a Function, \`batchSize\` of a MessageQueueTrigger. "kept" means stored and given back, but without effect yet ("on a cluster": without effect in one process, and on a cluster where it concerns the pods that run the object's code); an object that sets such a field says so in its \`Served\` condition. What a pod, a container or an autoscaler may have is Kubernetes' own and kept as written.

${KINDS.map(sectionOf).join('\n')}`;
}
