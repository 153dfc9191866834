/** Functions made through the Kubernetes API, as a GitOps tool would: for thousands, a CLI process each is too slow. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpTrigger } from '../../src/api/index.ts';
import { KubeClient, loadKubeConfig, RESOURCES } from '../../src/kube/index.ts';

const NAMESPACE = 'default';
/** Written at once. */
const AT_ONCE = 8;
const READY_WITHIN_MS = 120_000;
/** A package's archive is in the object itself, which ends here. */
const LITERAL_LIMIT_BYTES = 256 * 1024;

interface Wanted {
  readonly name: string;
  readonly wasm: () => Uint8Array;
}

/** Creates Package, Function and HTTPTrigger of each. @throws Error where one is not ready in time, with its conditions */
export async function createAll(kubeconfig: string, wanted: readonly Wanted[]): Promise<void> {
  const client = new KubeClient(await loadKubeConfig(kubeconfig));
  try {
    const left = [...wanted];
    const work = async (): Promise<void> => {
      for (let next = left.shift(); next; next = left.shift()) await create(client, next);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    client.close();
  }
}

async function create(client: KubeClient, { name, wasm: make }: Wanted): Promise<void> {
  const wasm = make();
  if (wasm.length > LITERAL_LIMIT_BYTES) {
    throw new Error(
      `the program is larger than ${LITERAL_LIMIT_BYTES / 1024} KiB: many of it are not deployed here`,
    );
  }
  const api = { apiVersion: 'fission.io/v1', metadata: { name, namespace: NAMESPACE } };
  const environment = { name: 'wasm', namespace: NAMESPACE };
  const sum = createHash('sha256').update(wasm).digest('hex');
  const literal = Buffer.from(wasm).toString('base64');
  const deployment = { type: 'literal', literal, checksum: { type: 'sha256', sum } };
  const packageref = { name, namespace: NAMESPACE };
  const functionref = { type: 'name', name };
  const objects = [
    [RESOURCES.packages, { ...api, kind: 'Package', spec: { environment, deployment } }],
    [RESOURCES.functions, { ...api, kind: 'Function', spec: { environment, package: { packageref } } }],
    [
      RESOURCES.httptriggers,
      {
        ...api,
        kind: 'HTTPTrigger',
        spec: { prefix: `/${name}`, relativeurl: '', methods: ['GET', 'POST'], functionref },
      },
    ],
  ] as const;
  for (const [type, object] of objects) await client.create(type, object);
  const until = performance.now() + READY_WITHIN_MS;
  for (;;) {
    const trigger = await client.get<HttpTrigger>(RESOURCES.httptriggers, NAMESPACE, name);
    if (trigger.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')) return;
    if (performance.now() > until)
      throw new Error(`${name} is not ready: ${JSON.stringify(trigger.status?.conditions)}`);
    await sleep(20);
  }
}
