/** The functions that the scenario `pools` deploys: what runs them, their code, and their objects. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { RESOURCES, type KubeObject, type ResourceType } from '../src/kube/index.ts';
import { findProgram } from './programs.ts';

export type Executor = 'poolmgr' | 'newdeploy' | 'container';

/** By what functions run. `wasm` is the platform's own; the others are images. */
export type Runtime = 'wasm' | 'python' | 'node';

export interface Variant {
  /** What is said of it, and what `--runs` takes. */
  readonly name: string;
  readonly executor: Executor;
  readonly runtime: Runtime;
}

const RUNS = [
  ['wasm', 'poolmgr'],
  ['wasm', 'newdeploy'],
  ['python', 'poolmgr'],
  ['python', 'newdeploy'],
  ['node', 'poolmgr'],
  ['node', 'container'],
] as const;

export const VARIANTS: readonly Variant[] = RUNS.map(([runtime, executor]) => ({
  name: `${runtime}-${executor}`,
  runtime,
  executor,
}));

/** Images with Fission's environment contract; undefined where the user named none. */
export type Images = Readonly<Record<Exclude<Runtime, 'wasm'>, string | undefined>>;

export const NAMESPACE = 'default';

/** As Fission's own benchmark has them, but that Python reads the body too, as Node does by its type. */
const CODE = {
  python: 'from flask import request\n\ndef main():\n    request.get_data()\n    return "Hello, world!\\n"\n',
  node: 'module.exports = async function (context) {\n    return { status: 200, body: "Hello, world!\\n" };\n};\n',
} as const;
/** The same as a server of its own, for an image that is not asked to load anything. */
const SERVER =
  "require('node:http').createServer((request, response) => { request.resume(); request.on('end', () => response.end('Hello, world!\\n')); }).listen(8888); process.on('SIGTERM', () => process.exit(0));";

/** Of each pool. */
export const POOL_SIZE = 3;

export type Made = readonly [type: ResourceType, object: KubeObject & { readonly spec: unknown }];

const api = (kind: string, name: string) => ({
  apiVersion: 'fission.io/v1',
  kind,
  metadata: { name, namespace: NAMESPACE },
});

/** What a variant's functions run in; undefined where they bring their own image. */
export function environmentObject(
  name: string,
  { runtime, executor }: Variant,
  images: Images,
): Made | undefined {
  if (executor === 'container') return undefined;
  const image = runtime === 'wasm' ? 'wasm' : (images[runtime] ?? '');
  const spec =
    runtime === 'wasm'
      ? { version: 3, poolsize: 1, runtime: { image } }
      : { version: 3, poolsize: POOL_SIZE, runtime: { image }, terminationGracePeriod: 5 };
  return [RESOURCES.environments, { ...api('Environment', name), spec }];
}

export interface FunctionOptions {
  readonly name: string;
  readonly environment: string;
  readonly variant: Variant;
  readonly images: Images;
  /** Calls that one pod is given at once; undefined for the platform's own default, one. */
  readonly callsPerPod?: number;
  /** Pods at first, for newdeploy and container. @default 0 */
  readonly minScale?: number;
  /** What a Wasm function is, of the suite's programs. @default 'hello' */
  readonly program?: 'hello' | 'torture';
}

/** Package (where there is one), Function, and the HTTPTrigger at `/NAME/`, in the order in which they are made. */
export function functionObjects(options: FunctionOptions): Made[] {
  const { name, environment: environmentName, variant, callsPerPod, minScale = 0 } = options;
  const { executor } = variant;
  const scale = executor === 'poolmgr' ? {} : { MinScale: minScale, MaxScale: 3 };
  const common = {
    environment: { name: environmentName, namespace: NAMESPACE },
    InvokeStrategy: { ExecutionStrategy: { ExecutorType: executor, ...scale }, StrategyType: 'execution' },
    ...(callsPerPod === undefined ? {} : { requestsPerPod: callsPerPod }),
  };
  const functionref = { type: 'name', name };
  const spec = { prefix: `/${name}`, methods: ['GET', 'POST'], functionref };
  const trigger: Made = [RESOURCES.httptriggers, { ...api('HTTPTrigger', name), spec }];
  if (executor === 'container') {
    const container = {
      name: 'function',
      image: options.images.node ?? '',
      command: ['node', '-e', SERVER],
      ports: [{ containerPort: 8888 }],
    };
    // The API wants the field, also where there is none.
    const own = { ...common, environment: { namespace: NAMESPACE }, podspec: { containers: [container] } };
    return [[RESOURCES.functions, { ...api('Function', name), spec: own }], trigger];
  }
  const packageref = { name, namespace: NAMESPACE };
  return [
    [RESOURCES.packages, { ...api('Package', name), spec: packageSpec(options) }],
    [RESOURCES.functions, { ...api('Function', name), spec: { ...common, package: { packageref } } }],
    trigger,
  ];
}

function packageSpec({ environment, variant: { runtime }, program = 'hello' }: FunctionOptions): object {
  const bytes = runtime === 'wasm' ? readFileSync(findProgram(program).file) : Buffer.from(CODE[runtime]);
  const deployment = {
    type: 'literal',
    literal: bytes.toString('base64'),
    checksum: { type: 'sha256', sum: createHash('sha256').update(bytes).digest('hex') },
  };
  return { environment: { name: environment, namespace: NAMESPACE }, deployment };
}
