/** What happens to functions while parts of the control plane are away. */
import { beforeAll, expect, test } from 'vitest';
import { wasmEnvironment, wasmFunction } from '../support/functions.ts';
import { controlPlaneReady, INSTALLED_IN, installFissium } from '../support/install.ts';
import { apply, kubectl, list } from '../support/kubectl.ts';
import { leader, leaderOtherThan } from '../support/leader.ts';
import { newNamespace } from '../support/namespace.ts';
import { condition } from '../support/wait.ts';

const READY = { type: 'Ready', status: 'True' } as const;
const MINUTE_MS = 60_000;

beforeAll(installFissium);

/** Applies this many functions of one environment in one go. */
async function applyMany(namespace: string, count: number): Promise<readonly string[]> {
  const names = Array.from({ length: count }, (_, index) => `many-${index}`);
  const objects = await Promise.all(names.map((name) => wasmFunction({ name, namespace })));
  await apply([wasmEnvironment(namespace), ...objects.flat()]);
  return names;
}

async function allReady(namespace: string, count: number, timeoutMs: number): Promise<void> {
  const names = (await list('functions', namespace)).map(({ metadata }) => metadata.name);
  expect(names).toHaveLength(count);
  const end = Date.now() + timeoutMs;
  for (const name of names) {
    await condition('function', name, namespace, READY, Math.max(1000, end - Date.now()));
  }
}

test(
  'a controller that is killed while it reconciles loses nothing',
  { timeout: 5 * MINUTE_MS },
  async () => {
    const namespace = await newNamespace();
    const killed = await leader();
    await applyMany(namespace, 30);
    await kubectl('delete', 'pod', killed, '-n', INSTALLED_IN, '--grace-period=0', '--force');
    await allReady(namespace, 30, 3 * MINUTE_MS);
    expect(await leaderOtherThan(killed)).not.toBe(killed);
    await controlPlaneReady();
  },
);
