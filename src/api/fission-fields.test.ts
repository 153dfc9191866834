import { describe, expect, it } from 'vitest';
import { propertyOf, schemaNode } from './defaults.ts';
import type { SchemaNode } from './defaults.ts';
import { KINDS, defaulted, resolveFunction } from './index.ts';
import { GO_STYLE, fn } from './testing/examples.ts';
import { FISSION_FIELDS } from './testing/fission-fields.ts';

/** The schema at a path, where `[]` is an entry of a list and `*` any key of a map. */
function nodeAt(root: SchemaNode, path: string): SchemaNode | undefined {
  let node: SchemaNode | undefined = root;
  for (const part of path.split('.')) {
    const name = part.replaceAll('[]', '');
    node = node === undefined ? undefined : propertyOf(node, name);
    for (let rest = part.slice(name.length); rest !== ''; rest = rest.slice(2)) node = node?.items;
  }
  return node;
}

describe.each(KINDS.map((kind) => [kind.kind, kind] as const))('%s', (name, kind) => {
  it.each(FISSION_FIELDS[name])('knows %s', (path) => {
    expect(nodeAt(schemaNode(kind.schema), path)).toBeDefined();
  });

  it('says something of every field of the spec', () => {
    const missing = FISSION_FIELDS[name].filter((path) => {
      const node = nodeAt(schemaNode(kind.schema), path);
      const isEntry = path.endsWith('[]') || path.endsWith('*') || path.startsWith('status.conditions');
      return !isEntry && node?.description === undefined;
    });
    // Names and topics in lists that their own description explains.
    expect(
      missing.filter((path) => !/\.(claims\[\]|windows\[\]|topic|imagePullSecrets\[\])\./.test(path)),
    ).toEqual([]);
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

describe('Function', () => {
  it('accepts every block of Fission at once', () => {
    const everything = fn({
      secrets: [{ name: 'db', namespace: 'default', mountPath: 'creds' }],
      configmaps: [{ name: 'settings', namespace: 'default' }],
      env: [
        { name: 'MODE', value: 'fast' },
        { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'db', key: 'token', optional: true } } },
        { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } },
      ],
      envFrom: [
        { prefix: 'DB_', secretRef: { name: 'db' } },
        { configMapRef: { name: 'settings', optional: true } },
      ],
      resources: {
        limits: { memory: '64Mi', cpu: '500m' },
        requests: { cpu: 1 },
        claims: [{ name: 'gpu', request: 'one' }],
      },
      InvokeStrategy: {
        StrategyType: 'execution',
        ExecutionStrategy: {
          ExecutorType: 'poolmgr',
          hpaMetrics: [
            {
              type: 'Resource',
              resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
            },
          ],
          hpaBehavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
        },
      },
      streaming: { protocol: 'sse', idleTimeoutSeconds: 30, maxDurationSeconds: 600 },
      tool: {
        description: 'Says hello.',
        inputSchema: { type: 'object' },
        toolName: 'say_hello',
        alias: 'prod',
      },
      state: {
        keyspace: 'a.b',
        defaultTTL: '24h',
        maxValueBytes: 1024,
        maxKeys: 10,
        backend: 'default',
        sticky: { source: 'header', name: 'X-Session-Id' },
      },
      invocation: {
        retry: { maxAttempts: 3, backoffBase: '1s', backoffCap: '1m', jitter: false },
        maxAge: '1h',
        onSuccess: { function: { type: 'name', name: 'done' } },
        onFailure: { topic: { messageQueueType: 'statestore', topic: 'failed.calls' } },
      },
      provisionedConcurrency: {
        target: 2,
        windows: [{ name: 'day', start: 'CRON_TZ=Europe/Paris 0 9 * * *', duration: '12h', target: 5 }],
      },
      versioning: { mode: 'manual', retain: 5 },
      onceOnly: true,
      retainPods: 1,
    });
    const kind = KINDS.find(({ kind: name }) => name === 'Function');
    expect(kind?.validate(everything)).toEqual([]);
    expect(resolveFunction(everything).notServed).toEqual([
      'spec.InvokeStrategy.ExecutionStrategy.hpaMetrics',
      'spec.InvokeStrategy.ExecutionStrategy.hpaBehavior',
      'spec.secrets',
      'spec.configmaps',
      'spec.resources.limits.cpu',
      'spec.resources.requests',
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
