/** The function that `fissium up --example` deploys: wasm-envs/rust/example, built. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { HttpTrigger } from '../api/index.ts';
import {
  isAlreadyExists,
  RESOURCES,
  type KubeClient,
  type KubeObject,
  type ResourceType,
} from '../kube/index.ts';
import { FissiumError } from '../errors.ts';

export const EXAMPLE_URL = '/example';
const NAME = 'example';
const NAMESPACE = 'default';
const WAIT_MS = 30_000;
const POLL_MS = 50;

/** Creates what is missing of the example; what a user changed of it stays as it is. Returns when it is served. */
export async function deployExample(client: KubeClient, stopped: Promise<void>): Promise<void> {
  const wasm = await readFile(exampleFile());
  const sum = createHash('sha256').update(wasm).digest('hex');
  const metadata = { name: NAME, namespace: NAMESPACE };
  const environment = { name: 'wasm', namespace: NAMESPACE };
  const objects: [ResourceType, KubeObject & { spec: object }][] = [
    [
      RESOURCES.packages,
      {
        apiVersion: 'fission.io/v1',
        kind: 'Package',
        metadata,
        spec: {
          environment,
          deployment: {
            type: 'literal',
            literal: wasm.toString('base64'),
            checksum: { type: 'sha256', sum },
          },
        },
      },
    ],
    [
      RESOURCES.functions,
      {
        apiVersion: 'fission.io/v1',
        kind: 'Function',
        metadata,
        spec: { environment, package: { packageref: { name: NAME, namespace: NAMESPACE } } },
      },
    ],
    [
      RESOURCES.httptriggers,
      {
        apiVersion: 'fission.io/v1',
        kind: 'HTTPTrigger',
        metadata,
        spec: {
          relativeurl: EXAMPLE_URL,
          methods: ['GET'],
          functionref: { type: 'name', name: NAME },
        },
      },
    ],
  ];
  for (const [type, object] of objects) {
    try {
      await client.create(type, object);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }
  await Promise.race([served(client), stopped]);
}

/** Waits for the trigger to be ready, and gives up quietly after a while: `kubectl` then tells why it is not. */
async function served(client: KubeClient): Promise<void> {
  for (const deadline = Date.now() + WAIT_MS; Date.now() < deadline;) {
    const trigger = await client.get<HttpTrigger>(RESOURCES.httptriggers, NAMESPACE, NAME);
    if (trigger.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')) return;
    await setTimeout(POLL_MS, undefined, { ref: false });
  }
}

/** The example lies beside the sources, and at the same place in the published package, one folder higher. */
function exampleFile(): string {
  const places = ['../../wasm-envs/rust/example/hello.wasm', '../../../wasm-envs/rust/example/hello.wasm'];
  for (const place of places) {
    const file = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(file)) return file;
  }
  throw new FissiumError(
    'BAD_OPTION',
    '--example: wasm-envs/rust/example/hello.wasm is missing from this installation',
  );
}
