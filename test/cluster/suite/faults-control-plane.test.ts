/** What happens to functions while parts of the control plane are away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { ownCluster, without } from '../support/components.ts';
import { deployWasm, wasmEnvironment, wasmFunction } from '../support/functions.ts';
import { controlPlaneReady, INSTALLED_IN, installFissium } from '../support/install.ts';
import { apply, kubectl, list } from '../support/kubectl.ts';
import { leader, leaderOtherThan } from '../support/leader.ts';
import { startLoad } from '../support/load.ts';
import { newNamespace } from '../support/namespace.ts';
import { signalPod } from '../support/processes.ts';
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

test('200 functions applied at once are all served', { timeout: 10 * MINUTE_MS }, async () => {
  const namespace = await newNamespace();
  const url = await deployWasm({ name: 'first', namespace });
  const base = url.replace(/\/first$/, '');
  const startedAt = Date.now();
  const names = await applyMany(namespace, 200);
  await allReady(namespace, 201, 5 * MINUTE_MS);
  process.stdout.write(`200 functions applied and ready after ${Date.now() - startedAt} ms\n`);
  for (const name of names) {
    const answer = await fetch(`${base}/${name}`);
    expect(`${name}: ${answer.status} ${await answer.text()}`).toBe(`${name}: 200 Hello, world!\n`);
  }
});

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

test('a namespace that is deleted takes its functions along', { timeout: 3 * MINUTE_MS }, async () => {
  const namespace = await newNamespace();
  const url = await deployWasm({ name: 'gone', namespace });
  await kubectl('delete', 'namespace', namespace, '--timeout=120s');
  await expect.poll(async () => (await fetch(url)).status, { timeout: MINUTE_MS }).toBe(404);
  const after = await newNamespace();
  await deployWasm({ name: 'next', namespace: after });
});

describe.skipIf(ownCluster === undefined)('on a cluster of our own', () => {
  test('functions go on while the API server is away for a minute', { timeout: 5 * MINUTE_MS }, async () => {
    const namespace = await newNamespace();
    const url = await deployWasm({ name: 'known', namespace });
    const load = startLoad(url, 4);
    await without('kube-apiserver', () => sleep(MINUTE_MS));
    // What comes after it is served as ever, by whoever leads then.
    await deployWasm({ name: 'later', namespace });
    const { answered, failures } = await load.stop();
    expect(failures).toEqual({});
    expect(answered).toBeGreaterThan(100);
    await controlPlaneReady();
  });

  test(
    'a leader that stands still is followed by another and writes no more',
    { timeout: 3 * MINUTE_MS },
    async () => {
      const namespace = await newNamespace();
      const still = await leader();
      await signalPod(still, 'SIGSTOP');
      try {
        expect(await leaderOtherThan(still)).not.toBe(still);
        await deployWasm({ name: 'meanwhile', namespace });
      } finally {
        await signalPod(still, 'SIGCONT');
      }
      await deployWasm({ name: 'afterwards', namespace });
      expect(await leader()).not.toBe(still);
      await controlPlaneReady();
    },
  );
});
