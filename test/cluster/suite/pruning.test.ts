/** The storage service removes what no Package names, with the rights that the chart gives it. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyChart } from '../support/chart.ts';
import { INSTALLED_IN, installFissium } from '../support/install.ts';
import { apply, kubectl } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';
import { serviceUrl } from '../support/reach.ts';
import { eventually } from '../support/wait.ts';

const GRACE_MS = 4_000;

beforeAll(async () => {
  await installFissium();
  await applyChart('storage.prune.interval=1s', `storage.prune.grace=${GRACE_MS / 1000}s`);
});
// The other files of the suite have it as `fissium install` makes it.
afterAll(() => applyChart());

interface Archive {
  /** Path and query at the storage service. */
  readonly path: string;
  readonly url: string;
  readonly sum: string;
}

async function upload(storage: string): Promise<Archive> {
  const content = randomBytes(64);
  const form = new FormData();
  form.set('uploadfile', new Blob([content]), 'archive');
  const answer = await fetch(`${storage}/v1/archive`, {
    method: 'POST',
    headers: { 'x-file-size': String(content.length) },
    body: form,
  });
  if (!answer.ok) throw new Error(`the upload was answered ${answer.status}: ${await answer.text()}`);
  const { id } = (await answer.json()) as { id: string };
  const path = `/v1/archive?id=${encodeURIComponent(id)}`;
  const sum = createHash('sha256').update(content).digest('hex');
  return { path, url: `http://storagesvc.${INSTALLED_IN}${path}`, sum };
}

/** Nothing but what it names counts: there is no such environment. */
function packageOf(
  namespace: string,
  name: string,
  { url, sum }: Archive,
  which: 'deployment' | 'source',
): object {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { name, namespace },
    spec: {
      environment: { name: 'none', namespace },
      [which]: { type: 'url', url, checksum: { type: 'sha256', sum } },
    },
  };
}

test('what no Package names is removed after the grace, and what one names stays', async () => {
  const namespace = await newNamespace();
  const storage = await serviceUrl(INSTALLED_IN, 'storagesvc', 80);
  const beganMs = performance.now();
  const unnamed = await upload(storage);
  const deployed = await upload(storage);
  const source = await upload(storage);
  const late = await upload(storage);
  const isThere = async ({ path }: Archive): Promise<boolean> => {
    const { status, body } = await fetch(storage + path);
    await body?.cancel();
    if (status !== 200 && status !== 404) throw new Error(`${path} answers ${status}`);
    return status === 200;
  };
  await apply([
    packageOf(namespace, 'deployed', deployed, 'deployment'),
    packageOf(namespace, 'source', source, 'source'),
  ]);
  // As somebody does who uploads an archive and is slow to name it.
  await eventually('half of the grace', () => Promise.resolve(performance.now() > beganMs + GRACE_MS / 2));
  await apply([packageOf(namespace, 'late', late, 'deployment')]);

  await eventually('the one that nothing names is gone', async () => !(await isThere(unnamed)));
  // Once in the storage for so long, and then unnamed for so long.
  expect(performance.now() - beganMs).toBeGreaterThan(2 * GRACE_MS - 100);
  expect(await Promise.all([deployed, source, late].map(isThere))).toEqual([true, true, true]);

  // Who goes is not named any more; who stays is through further looks.
  await kubectl('delete', 'package', 'deployed', '-n', namespace);
  const deletedMs = performance.now();
  await eventually('what the Package named is gone', async () => !(await isThere(deployed)));
  expect(performance.now() - deletedMs).toBeGreaterThan(GRACE_MS - 1_100);
  expect(await Promise.all([source, late].map(isThere))).toEqual([true, true]);
});
