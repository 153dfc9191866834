/** The control loops over a small API server, real tables and a real archive store, with a host that only keeps count. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';

import type { Condition, Environment, FissionFunction, HttpTrigger, Package } from '../../api/index.ts';
import type { Builder } from '../../builders/index.ts';
import { FissiumError } from '../../errors.ts';
import {
  isNotFound,
  type KubeClient,
  type KubeObject,
  RESOURCES,
  type ResourceType,
} from '../../kube/index.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { SmallApi } from '../../kube/testing/small-api.ts';
import { ArchiveStore } from '../../packages/index.ts';
import { FunctionTable, RouteTable } from '../../router/index.ts';
import { type Control, startControl } from '../control.ts';
import type { DeployedFunction, DeploySpec, HostPort, PreparedPackage, PreparerPort } from '../ports.ts';

export type WithConditions = KubeObject & { status?: { conditions?: Condition[] } };

/** Counts deployments; `refuse` makes the next ones fail. */
export class CountingHost implements HostPort {
  readonly deployed: DeploySpec[] = [];
  closed = 0;
  refuse: Error | undefined;
  /** While set, deployments wait for it. */
  gate: Promise<void> | undefined;

  async deploy(spec: DeploySpec): Promise<DeployedFunction> {
    await this.gate;
    if (this.refuse !== undefined) throw this.refuse;
    this.deployed.push(spec);
    return {
      invoke: () => Promise.reject(new Error('nothing runs here')),
      close: () => {
        this.closed += 1;
        return Promise.resolve();
      },
    };
  }
}

export class CountingPreparer implements PreparerPort {
  readonly prepared: string[] = [];
  gate: Promise<void> | undefined;
  /** Digests that are refused, with the reason. */
  readonly refused = new Map<string, string>();

  async prepare(_wasm: Uint8Array | string, digest: string): Promise<PreparedPackage> {
    this.prepared.push(digest);
    await this.gate;
    const reason = this.refused.get(digest);
    if (reason !== undefined) throw new FissiumError('PACKAGE_REFUSED', reason);
    return {
      folder: `/cache/${digest}`,
      manifest: {
        prepareVersion: 1,
        engine: 'jco',
        reason: 'a component',
        digest,
        entry: 'x',
        imports: [],
        modules: [],
      },
    };
  }
}

export class TestPlatform {
  readonly api: SmallApi;
  readonly client: KubeClient;
  readonly archives: ArchiveStore;
  readonly host = new CountingHost();
  readonly preparer = new CountingPreparer();
  readonly functions = new FunctionTable();
  readonly routes = new RouteTable();
  /** Builds packages where it is set before the start. */
  builder: Builder | undefined;
  readonly folder: string;
  #control: Control | undefined;

  private constructor(api: SmallApi, folder: string, archives: ArchiveStore) {
    this.api = api;
    this.client = api.client();
    this.folder = folder;
    this.archives = archives;
  }

  static async make(): Promise<TestPlatform> {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-control-'));
    return new TestPlatform(
      await SmallApi.start(),
      folder,
      await ArchiveStore.open(join(folder, 'archives')),
    );
  }

  async start(namespaces?: string[], first: readonly string[] = []): Promise<Control> {
    const { client, functions, routes, host, preparer, archives, builder } = this;
    const logger = pino({ level: 'silent' });
    const options = { client, functions, routes, host, preparer, archives, logger, builder, first };
    this.#control = await startControl(namespaces === undefined ? options : { ...options, namespaces });
    return this.#control;
  }

  /** Ends the control loops as a stop of the process would. */
  async stop(): Promise<void> {
    await this.#control?.close();
    this.#control = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    this.client.close();
    await this.api.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  async create(
    ...objects: (Environment | FissionFunction | HttpTrigger | Package | KubeObject)[]
  ): Promise<void> {
    for (const object of objects) await this.client.create(typeOf(object), object as KubeObject);
  }

  async patch(type: ResourceType, name: string, patch: object): Promise<void> {
    await this.client.patchMerge(type, 'default', name, patch);
  }

  async get<T extends KubeObject = WithConditions>(type: ResourceType, name: string): Promise<T> {
    return this.client.get<T>(type, 'default', name);
  }

  /** Waits until an object's `Ready` has the reason, speaking of its current generation. */
  async ready(type: ResourceType, name: string, reason: string): Promise<Condition> {
    let last = '';
    return eventually(`${type.kind} ${name} ready: ${reason}`, async () => {
      const object = await this.get(type, name).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (object === undefined) return undefined;
      const { metadata, status } = object;
      const ready = status?.conditions?.find((condition) => condition.type === 'Ready');
      last = JSON.stringify(ready);
      return ready?.reason === reason && ready.observedGeneration === metadata.generation ? ready : undefined;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; last seen ${last}`, { cause: error });
    });
  }

  condition(object: WithConditions, type: string): Condition | undefined {
    return object.status?.conditions?.find((condition) => condition.type === type);
  }

  phase(name: string): string | undefined {
    return this.functions.get('default', name)?.state.phase;
  }
}

function typeOf({ kind }: { kind?: string }): ResourceType {
  const type = Object.values<ResourceType>(RESOURCES).find((candidate) => candidate.kind === kind);
  if (type === undefined) throw new Error(`no kind ${kind}`);
  return type;
}

const API = { apiVersion: 'fission.io/v1' } as const;
const meta = (name: string): { namespace: string; name: string } => ({ namespace: 'default', name });

/** A tiny .wasm; each text another digest. */
export const wasm = (text = ''): Buffer =>
  Buffer.concat([Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), Buffer.from(text)]);

export const environment = (name: string, image: string): Environment =>
  ({
    ...API,
    kind: 'Environment',
    metadata: meta(name),
    spec: { version: 3, runtime: { image } },
  }) as Environment;

export const pkg = (name: string, code: Uint8Array = wasm(), env = 'wasm'): Package =>
  ({
    ...API,
    kind: 'Package',
    metadata: meta(name),
    spec: {
      environment: { name: env, namespace: 'default' },
      deployment: { type: 'literal', literal: Buffer.from(code).toString('base64') },
    },
  }) as Package;

export const fn = (name: string, spec: Partial<FissionFunction['spec']> = {}): FissionFunction =>
  ({
    ...API,
    kind: 'Function',
    metadata: meta(name),
    spec: {
      environment: { name: 'wasm', namespace: 'default' },
      package: { packageref: { name: `${name}-pkg`, namespace: 'default' } },
      ...spec,
    },
  }) as FissionFunction;

export const trigger = (name: string, functionName: string, relativeurl = `/${name}`): HttpTrigger =>
  ({
    ...API,
    kind: 'HTTPTrigger',
    metadata: meta(name),
    spec: { relativeurl, methods: ['GET'], functionref: { type: 'name', name: functionName } },
  }) as HttpTrigger;
