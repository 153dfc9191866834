/** Wasm functions on the cluster, from their manifests to an answer. */
import { beforeAll, expect, test } from 'vitest';
import { deployWasm, wasmEnvironment, wasmFunction } from '../support/functions.ts';
import { installFissium } from '../support/install.ts';
import { apply, kubectl, list } from '../support/kubectl.ts';
import { startLoad } from '../support/load.ts';
import { newNamespace } from '../support/namespace.ts';
import { condition, eventually, readyPods } from '../support/wait.ts';

beforeAll(installFissium);

test('a function that is applied answers through the router', async () => {
  const namespace = await newNamespace();
  const url = await deployWasm({ name: 'hello', namespace });
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toBe('Hello, world!\n');
  expect(await kubectl('get', 'fn', '-n', namespace)).toMatch(/hello\s+wasm\s+hello\s+True/);
});

test('a host that starts when a new version is refused does not answer for those that serve the old one', async () => {
  const namespace = await newNamespace();
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const urls = await Promise.all(names.map((name) => deployWasm({ name, namespace })));
  const broken = { literal: Buffer.from('no Wasm').toString('base64'), checksum: {} };
  for (const name of names) await apply(await wasmFunction({ name, namespace, deployment: broken }));
  const refused = { type: 'Ready', status: 'False', reason: 'PackageFailed' } as const;
  for (const name of names) await condition('function', name, namespace, refused);
  const loads = urls.map((url) => startLoad(url, 1, 20));
  await apply([wasmEnvironment(namespace, { poolsize: 3 })]);
  await readyPods(namespace, 'fissium.io/part=wasm-host', 3);
  // Routers hear of the hosts a moment later; by its own uid half of these functions' calls are for a new one.
  const endMs = performance.now() + 3_000;
  await eventually('a while of calls', () => Promise.resolve(performance.now() > endMs));
  const results = await Promise.all(loads.map((load) => load.stop()));
  expect(results.map(({ failures }) => failures)).toEqual(names.map(() => ({})));
});

test('500 callers at once are two hosts at most, and none of them is refused', async () => {
  const namespace = await newNamespace();
  const url = await deployWasm({ name: 'hello', namespace });
  const hosts = async (): Promise<number> => {
    const [deployment] = await list('deployments', namespace, 'fissium.io/part=wasm-host');
    return (deployment?.spec as { replicas?: number } | undefined)?.replicas ?? 0;
  };
  const load = startLoad(url, 500, 0);
  let most = 0;
  const endMs = performance.now() + 15_000;
  await eventually('a while of load', async () => {
    most = Math.max(most, await hosts());
    return performance.now() > endMs;
  });
  const { failures } = await load.stop();
  expect(failures).toEqual({});
  expect(most).toBeGreaterThanOrEqual(1);
  expect(most).toBeLessThanOrEqual(2);
});
