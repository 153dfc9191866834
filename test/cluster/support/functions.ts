/** Functions as their manifests have them: guests of test/guests in a Wasm environment. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { guest } from '../../integration/support/guests.ts';
import { INSTALLED_IN } from './install.ts';
import { apply } from './kubectl.ts';
import { serviceUrl } from './reach.ts';
import { condition, eventually } from './wait.ts';

interface WasmFunction {
  readonly name: string;
  readonly namespace: string;
  /** Of test/guests. @default 'hello' */
  readonly guest?: string;
  /** Fields of the Function's spec. */
  readonly spec?: object;
  /** Fields of the Package's deployment archive. */
  readonly deployment?: object;
}

/** The Wasm environment that functions of a namespace share. */
export function wasmEnvironment(namespace: string, spec: object = {}): object {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: { name: 'wasm', namespace },
    spec: { version: 3, runtime: { image: 'wasm' }, ...spec },
  };
}

/** Its Package, Function and HTTPTrigger; it answers at `/NAMESPACE/NAME`. */
export async function wasmFunction(options: WasmFunction): Promise<object[]> {
  const { name, namespace, guest: file = 'hello', spec = {}, deployment = {} } = options;
  const code = await readFile(guest(file));
  const metadata = { name, namespace };
  const sum = createHash('sha256').update(code).digest('hex');
  const archive = { type: 'literal', literal: code.toString('base64'), checksum: { type: 'sha256', sum } };
  const environment = { name: 'wasm', namespace };
  return [
    {
      apiVersion: 'fission.io/v1',
      kind: 'Package',
      metadata,
      spec: { environment, deployment: { ...archive, ...deployment } },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata,
      spec: { environment, package: { packageref: { name, namespace } }, ...spec },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'HTTPTrigger',
      metadata,
      spec: {
        relativeurl: pathOf(namespace, name),
        methods: ['GET'],
        functionref: { type: 'name', name },
      },
    },
  ];
}

/** Where the trigger of {@link wasmFunction} has it. */
export function pathOf(namespace: string, name: string): string {
  return `/${namespace}/${name}`;
}

/** Applies the environment and the function, and waits until it is ready and its route is served; gives its URL. */
export async function deployWasm(options: WasmFunction): Promise<string> {
  const { name, namespace } = options;
  await apply([wasmEnvironment(namespace), ...(await wasmFunction(options))]);
  await condition('function', name, namespace, { type: 'Ready', status: 'True' });
  const url = `${await routerUrl()}${pathOf(namespace, name)}`;
  await eventually(`a route at ${url}`, async () => (await fetch(url)).status !== 404);
  return url;
}

/** The routers' public Service. */
export function routerUrl(): Promise<string> {
  return serviceUrl(INSTALLED_IN, 'router', 80);
}
