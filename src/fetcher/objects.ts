/** The secrets and config maps of a function, as files and as variables. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { resolveEnv, resolveEnvFrom } from '../api/function-env.ts';
import { variablesOf } from '../control/function/variables.ts';
import type { KubeClient } from '../kube/client.ts';
import { ApiError } from '../kube/api-error.ts';
import { type ConfigMap, objectKey, RESOURCES, type Secret } from '../kube/resources.ts';
import type { FetchRequest, ObjectReference } from './contract.ts';
import { RequestError } from './request-error.ts';
import { below } from './shared-path.ts';

/** Readable by the runtime, which is another user. */
const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;

export class FunctionObjects {
  readonly #client: () => Promise<KubeClient>;
  readonly #secrets = new Map<string, Promise<Secret | undefined>>();
  readonly #configMaps = new Map<string, Promise<ConfigMap | undefined>>();

  /** For one request: what is read twice is asked for once. */
  constructor(client: () => Promise<KubeClient>) {
    this.#client = client;
  }

  /**
   * Writes `FOLDER/NAMESPACE/NAME/KEY`, or `FOLDER/MOUNTPATH/KEY`.
   * @throws RequestError 404 where an object is missing; 500 where two would write the same file
   */
  async write(request: FetchRequest, secretFolder: string, configFolder: string): Promise<void> {
    const written = new Map<string, string>();
    for (const reference of request.secretList ?? []) {
      const secret = await this.#secret(reference);
      if (secret === undefined) throw missing('secret', reference);
      await writeKeys(secretFolder, reference, 'secret', decoded(secret.data), written);
    }
    for (const reference of request.configMapList ?? []) {
      const configMap = await this.#configMap(reference);
      if (configMap === undefined) throw missing('config map', reference);
      await writeKeys(configFolder, reference, 'config map', contentsOf(configMap), written);
    }
  }

  /** The values of `env` and `envFrom`. @throws RequestError 404 where what they name is missing */
  async variables(request: FetchRequest): Promise<Record<string, string>> {
    const { namespace } = request.package;
    const env = resolveEnv(namespace, request.env ?? []);
    const envFrom = resolveEnvFrom(namespace, request.envFrom ?? []);
    const secrets = new Map<string, Secret | undefined>();
    const configMaps = new Map<string, ConfigMap | undefined>();
    for (const source of [...env.filter((variable) => variable.from !== 'value'), ...envFrom]) {
      const key = objectKey(source.object.namespace, source.object.name);
      if (source.from === 'secret') secrets.set(key, await this.#secret(source.object));
      else configMaps.set(key, await this.#configMap(source.object));
    }
    const result = variablesOf(
      { env, envFrom },
      {
        secret: (name) => secrets.get(objectKey(name.namespace, name.name)),
        configMap: (name) => configMaps.get(objectKey(name.namespace, name.name)),
      },
    );
    if (!result.ok) throw new RequestError(404, result.message);
    return Object.fromEntries(result.env);
  }

  #secret({ namespace, name }: ObjectReference): Promise<Secret | undefined> {
    return remembered(this.#secrets, objectKey(namespace, name), async () =>
      (await this.#client()).get<Secret>(RESOURCES.secrets, namespace, name),
    );
  }

  #configMap({ namespace, name }: ObjectReference): Promise<ConfigMap | undefined> {
    return remembered(this.#configMaps, objectKey(namespace, name), async () =>
      (await this.#client()).get<ConfigMap>(RESOURCES.configmaps, namespace, name),
    );
  }
}

function remembered<T>(
  known: Map<string, Promise<T | undefined>>,
  key: string,
  read: () => Promise<T>,
): Promise<T | undefined> {
  let value = known.get(key);
  if (value === undefined) {
    value = read().catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    });
    known.set(key, value);
  }
  return value;
}

function missing(kind: string, { namespace, name }: ObjectReference): RequestError {
  return new RequestError(404, `The ${kind} ${namespace}/${name} that the function names does not exist.`);
}

async function writeKeys(
  root: string,
  reference: ObjectReference,
  kind: string,
  contents: Iterable<readonly [key: string, content: Uint8Array]>,
  written: Map<string, string>,
): Promise<void> {
  const { namespace, name, mountPath = `${namespace}/${name}` } = reference;
  const owner = `${kind} ${namespace}/${name}`;
  const folder = below(root, mountPath, `the mount path of the ${owner}`);
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  for (const [key, content] of contents) {
    if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key) || key === '.' || key === '..') continue;
    const path = join(folder, key);
    const before = written.get(path);
    if (before !== undefined && before !== owner) {
      throw new RequestError(
        500,
        `${owner} would overwrite ${path}, which ${before} has written: give one of them another mountPath`,
      );
    }
    written.set(path, owner);
    await writeFile(path, content, { mode: FILE_MODE });
  }
}

function* contentsOf({ data, binaryData }: ConfigMap): Generator<readonly [string, Uint8Array]> {
  for (const [key, text] of Object.entries(data ?? {})) yield [key, Buffer.from(text)];
  yield* decoded(binaryData);
}

function* decoded(values: Secret['data']): Generator<readonly [string, Uint8Array]> {
  for (const [key, value] of Object.entries(values ?? {})) yield [key, Buffer.from(value, 'base64')];
}
