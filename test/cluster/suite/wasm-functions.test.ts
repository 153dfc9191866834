/** Wasm functions on the cluster, from their manifests to an answer. */
import { beforeAll, expect, test } from 'vitest';
import { deployWasm } from '../support/functions.ts';
import { installFissium } from '../support/install.ts';
import { kubectl, list } from '../support/kubectl.ts';
import { startLoad } from '../support/load.ts';
import { newNamespace } from '../support/namespace.ts';
import { eventually } from '../support/wait.ts';

beforeAll(installFissium);

test('a function that is applied answers through the router', async () => {
  const namespace = await newNamespace();
  const url = await deployWasm({ name: 'hello', namespace });
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toBe('Hello, world!\n');
  expect(await kubectl('get', 'fn', '-n', namespace)).toMatch(/hello\s+wasm\s+hello\s+True/);
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
