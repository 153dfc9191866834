/** Wasm functions on the cluster, from their manifests to an answer. */
import { beforeAll, expect, test } from 'vitest';
import { deployWasm } from '../support/functions.ts';
import { installFissium } from '../support/install.ts';
import { kubectl } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';

beforeAll(installFissium);

test('a function that is applied answers through the router', async () => {
  const namespace = await newNamespace();
  const url = await deployWasm({ name: 'hello', namespace });
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toBe('Hello, world!\n');
  expect(await kubectl('get', 'fn', '-n', namespace)).toMatch(/hello\s+wasm\s+hello\s+True/);
});
