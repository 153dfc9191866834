/** What `fissium` itself says on a cluster that differs from one process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { guest } from '../../integration/support/guests.ts';
import { tryFissium } from '../support/cli.ts';
import { images, installFissium } from '../support/install.ts';
import { apply, get, type Outcome } from '../support/kubectl.ts';
import { wasmEnvironment } from '../support/functions.ts';
import { newNamespace } from '../support/namespace.ts';
import { condition } from '../support/wait.ts';

let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'fissium-cli-'));
  await installFissium();
});
afterAll(() => rm(home, { recursive: true, force: true }));

function served(object: { readonly status?: unknown }): string | undefined {
  const { conditions = [] } = (object.status ?? {}) as {
    conditions?: readonly { type: string; message: string }[];
  };
  return conditions.find(({ type }) => type === 'Served')?.message;
}

test('no warning and no condition names what the cluster serves', async () => {
  const namespace = await newNamespace();
  const cli = (line: string): Promise<Outcome> =>
    tryFissium([...line.split(' '), '-n', namespace], { HOME: home });
  const code = guest('hello');
  await apply(wasmEnvironment(namespace));

  // A container environment with everything that pods have.
  const environment = await cli(
    `environment create python --image ${images.python} --poolsize 1 --graceperiod 10 --mincpu 10 --maxcpu 500 ` +
      '--minmemory 32 --maxmemory 256 --runtime-env A=1',
  );
  expect(environment.code).toBe(0);
  expect(environment.stderr).not.toContain('warning');
  await condition('environment', 'python', namespace, { type: 'Ready', status: 'True' });
  expect(served(await get('environment', 'python', namespace))).toBeUndefined();

  const own = await cli(
    `function create own --env wasm --code ${code} --executortype newdeploy --minscale 1 --maxscale 2 --targetcpu 70`,
  );
  expect(own.code).toBe(0);
  expect(own.stderr).not.toContain('warning');
  expect(served(await get('function', 'own', namespace))).toBeUndefined();

  // What it does not serve is named all the same: a guest's weight is what it requests, and nothing limits it.
  const pooled = await cli(`function create pooled --env wasm --code ${code} --mincpu 100 --maxcpu 500`);
  expect(pooled.code).toBe(0);
  expect(served(await get('function', 'pooled', namespace))).toContain('spec.resources.limits.cpu');
});
