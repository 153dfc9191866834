/** `crds/` on a real API server: what it accepts, refuses, lists and keeps. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environment } from '../../../src/api/testing/examples.ts';
import { FULL_OBJECTS } from '../../../src/api/testing/full-objects.ts';
import { RULE_CASES } from '../../../src/api/testing/rule-cases.ts';
import { ApiError, type KubeClient, type KubeObject, RESOURCES } from '../../../src/kube/index.ts';
import { client } from '../support/client.ts';
import { installCrds } from '../support/install.ts';
import { apply, kubectl, tryKubectl } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';

const CRDS = join(import.meta.dirname, '../../../crds');

const KINDS = [
  { kind: 'Environment', plural: 'environments', short: 'env' },
  { kind: 'Function', plural: 'functions', short: 'fn' },
  { kind: 'Package', plural: 'packages', short: 'pkg' },
  { kind: 'HTTPTrigger', plural: 'httptriggers', short: 'ht' },
  { kind: 'TimeTrigger', plural: 'timetriggers', short: 'tt' },
  { kind: 'MessageQueueTrigger', plural: 'messagequeuetriggers', short: 'mqt' },
  { kind: 'KubernetesWatchTrigger', plural: 'kuberneteswatchtriggers', short: 'kwt' },
] as const;

let api: KubeClient;

beforeAll(async () => {
  await installCrds();
  api = await client();
});
afterAll(() => api?.close());

/** What the server says against it, strictly, without storing it; undefined if nothing. */
async function refusal(object: KubeObject): Promise<string | undefined> {
  const type = Object.values(RESOURCES).find(({ kind }) => kind === object.kind);
  if (type === undefined) throw new Error(`no kind ${String(object.kind)}`);
  const metadata = { ...object.metadata, namespace: 'default' };
  try {
    await api.create(type, { ...object, metadata }, { dryRun: true, fieldValidation: 'Strict' });
    return undefined;
  } catch (error) {
    if (error instanceof ApiError && error.status < 500) return error.message;
    throw error;
  }
}

describe('definitions', () => {
  test('are applied on the client side, again as well, and are under 150 KB together', async () => {
    expect(await kubectl('apply', '-f', CRDS)).toMatch(/^(customresourcedefinition\S+ unchanged\n){13}$/);
    const sizes = readdirSync(CRDS).map((name) => readFileSync(join(CRDS, name)).length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(150_000);
  });

  test('have no violation that the API server reports', async () => {
    for (const { plural } of KINDS) {
      const path = '{range .status.conditions[*]}{.type}={.status} {end}';
      const conditions = await kubectl('get', 'crd', `${plural}.fission.io`, '-o', `jsonpath=${path}`);
      expect(conditions).toContain('Established=True');
      expect(conditions).not.toContain('NonStructuralSchema=True');
    }
  });

  test('list every kind by its names', async () => {
    const resources = await kubectl('api-resources', '--api-group=fission.io');
    for (const { kind, plural, short } of KINDS) {
      expect(resources).toMatch(
        new RegExp(`^${plural}\\s+${short}\\s+fission\\.io/v1\\s+true\\s+${kind}$`, 'm'),
      );
      expect((await tryKubectl(['get', short, '-n', 'default'])).code).toBe(0);
    }
  });

  test('have the kinds that Fission’s CLI lists and this version does not have, without any of them', async () => {
    expect(await kubectl('get', 'canaryconfigs,workflowruns,fissiontenants', '-A')).toBe('');
    const canary = { apiVersion: 'fission.io/v1', kind: 'CanaryConfig', metadata: { name: 'c' }, spec: {} };
    const { code, stderr } = await tryKubectl(['create', '-n', 'default', '-f', '-'], JSON.stringify(canary));
    expect(code).toBe(1);
    expect(stderr).toContain('this version of Fissium does not have CanaryConfig yet');
  });

  test('explain their fields', async () => {
    expect(await kubectl('explain', 'timetrigger.spec.cron')).toContain('5 fields');
    expect(await kubectl('explain', 'function.spec.concurrency')).toContain('FIELD: concurrency <integer>');
  });
});

describe('objects', () => {
  test('with every field set are taken strictly and given back unchanged', async () => {
    const namespace = await newNamespace();
    for (const object of FULL_OBJECTS) {
      const mine = { ...object, metadata: { ...object.metadata, namespace } };
      expect(await apply(mine, '--validate=strict')).toContain('created');
      expect(await apply(mine, '--validate=strict')).toContain('unchanged');
      const text = await kubectl('get', object.kind, object.metadata.name, '-n', namespace, '-o', 'json');
      // kubectl itself sends no nulls.
      const sent = JSON.parse(
        JSON.stringify(object.spec, (_, value: unknown) => value ?? undefined),
      ) as unknown;
      expect((JSON.parse(text) as { spec: unknown }).spec).toEqual(sent);
    }
  });

  test('show their columns', async () => {
    const namespace = await newNamespace();
    await apply(FULL_OBJECTS.map((object) => ({ ...object, metadata: { ...object.metadata, namespace } })));
    const get = (kind: string): Promise<string> => kubectl('get', kind, '-n', namespace);
    expect(await get('fn')).toMatch(/^NAME\s+ENVIRONMENT\s+PACKAGE\s+READY\s+AGE\n(.*\n)*full\s+wasm\s+full/);
    expect(await get('env')).toMatch(/^NAME\s+IMAGE\s.*\nfull\s+a\s/);
    expect(await get('tt,mqt,kwt')).toMatch(/@every 5m[^]*kafka[^]*orders[^]*Pod/);
  });

  test('have a status of their own', async () => {
    const namespace = await newNamespace();
    const made = await api.create(RESOURCES.environments, {
      metadata: { name: 'a', namespace },
      spec: { version: 3, runtime: { image: 'wasm' } },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    } as KubeObject);
    expect(made).not.toHaveProperty('status.conditions');
    const conditions = [
      {
        type: 'Ready',
        status: 'True',
        reason: 'Served',
        message: '',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ];
    const changed = await api.patchStatus<KubeObject>(RESOURCES.environments, namespace, 'a', {
      status: { conditions },
      spec: { runtime: { image: 'other' } },
    });
    expect(changed).toMatchObject({ status: { conditions }, spec: { runtime: { image: 'wasm' } } });
    expect(changed.metadata.generation).toBe(1);
  });
});

describe('rules', () => {
  test.for(RULE_CASES.map((rule, index) => ({ ...rule, index })))(
    'case $index is refused by: $refused',
    async ({ object, refused }) => {
      const said = await refusal(object as KubeObject);
      expect(said === undefined ? 'accepted' : 'refused', said ?? JSON.stringify(object).slice(0, 400)).toBe(
        refused === 'both' ? 'refused' : 'accepted',
      );
    },
  );

  test('hold between an object and what it was', async () => {
    const namespace = await newNamespace();
    const old = environment({ version: 2 });
    await api.create(RESOURCES.environments, { ...old, metadata: { ...old.metadata, namespace } });
    const change = (spec: object): Promise<KubeObject> =>
      api.patchMerge(RESOURCES.environments, namespace, old.metadata.name, { spec });
    await expect(change({ version: 3 })).rejects.toThrow(/version/);
    await change({ version: 2, poolsize: 1 });
  });

  test('refuse an unknown field by its path', async () => {
    const namespace = await newNamespace();
    const { code, stderr } = await tryKubectl(
      ['apply', '-n', namespace, '-f', '-'],
      'apiVersion: fission.io/v1\nkind: TimeTrigger\nmetadata: {name: a}\nspec: {cron: "0 0 * * *", functionref: {name: a}, crom: x}\n',
    );
    expect(code).toBe(1);
    expect(stderr).toContain('unknown field "spec.crom"');
  });
});
