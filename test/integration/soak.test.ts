/** Kills the platform at random points while things are deployed and called: what was acknowledged is there. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type KubeObject, KubeClient, loadKubeConfig, RESOURCES } from '../../src/kube/index.ts';
import { guest } from './support/guests.ts';
import { type Platform, startPlatform } from './support/platform.ts';

/** Raise for a real soak: `FISSIUM_SOAK_ROUNDS=200 npx vitest run test/integration/soak.test.ts`. */
const ROUNDS = Number(process.env['FISSIUM_SOAK_ROUNDS'] ?? 4);

type Spec = KubeObject & { spec: unknown };

let dataDir: string;
let wasm: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'fissium-soak-'));
  wasm = (await readFile(guest('hello'))).toString('base64');
});
afterAll(async () => {
  await rm(dataDir, { recursive: true, force: true });
});

function objects(name: string): [(typeof RESOURCES)[keyof typeof RESOURCES], Spec][] {
  const metadata = { name, namespace: 'default' };
  const environment = { name: 'wasm', namespace: 'default' };
  const base = { apiVersion: 'fission.io/v1', metadata };
  return [
    [
      RESOURCES.packages,
      { ...base, kind: 'Package', spec: { environment, deployment: { type: 'literal', literal: wasm } } },
    ],
    [
      RESOURCES.functions,
      {
        ...base,
        kind: 'Function',
        spec: { environment, package: { packageref: { name, namespace: 'default' } } },
      },
    ],
    [
      RESOURCES.httptriggers,
      {
        ...base,
        kind: 'HTTPTrigger',
        spec: { relativeurl: `/${name}`, methods: ['GET'], functionref: { type: 'name', name } },
      },
    ],
  ];
}

/** Deploys until the platform dies; notes what was acknowledged. */
async function deployUntilDeath(
  platform: Platform,
  round: number,
  acknowledged: Map<string, Set<string>>,
): Promise<void> {
  const client = new KubeClient(await loadKubeConfig(platform.kubeconfig));
  try {
    for (let i = 0; ; i++) {
      const name = `soak-${round}-${i}`;
      for (const [type, object] of objects(name)) {
        await client.create(type, object);
        const kinds = acknowledged.get(name) ?? new Set();
        acknowledged.set(name, kinds.add(type.plural));
      }
      // Requests are under way when it dies, too: to what may not be ready yet, so that any answer will do.
      await (await fetch(`${platform.router}/${name}`)).arrayBuffer();
    }
  } catch {
    // The platform was killed: that is the point.
  } finally {
    client.close();
  }
}

test('nothing that was acknowledged is lost to kill -9', { timeout: 60_000 + ROUNDS * 60_000 }, async () => {
  const acknowledged = new Map<string, Set<string>>();
  for (let round = 0; round < ROUNDS; round++) {
    const platform = await startPlatform({ dataDir });
    const deploying = deployUntilDeath(platform, round, acknowledged);
    const delayMs = 50 + Math.random() * 700;
    const timer = setTimeout(() => platform.process.kill('SIGKILL'), delayMs);
    await deploying;
    clearTimeout(timer);
    await platform.stop('SIGKILL');
  }

  const platform = await startPlatform({ dataDir });
  try {
    const client = new KubeClient(await loadKubeConfig(platform.kubeconfig));
    for (const type of [RESOURCES.packages, RESOURCES.functions, RESOURCES.httptriggers]) {
      const { items } = await client.list(type, 'default');
      const names = new Set(items.map(({ metadata }) => metadata.name));
      for (const [name, kinds] of acknowledged) {
        expect(names.has(name) || !kinds.has(type.plural), `${type.plural} ${name} was acknowledged`).toBe(
          true,
        );
      }
    }
    client.close();
    expect(acknowledged.size).toBeGreaterThan(ROUNDS);
    for (const [name, kinds] of acknowledged) {
      if (kinds.size < 3) continue;
      const answer = await fetch(`${platform.router}/${name}`);
      expect(`${name} ${answer.status} ${await answer.text()}`).toBe(`${name} 200 Hello, world!\n`);
    }
  } finally {
    await platform.stop('SIGKILL');
  }
});
