/** The platform that the CLI talks to: its Kubernetes API and, through it, its services. */
import type { InternalService } from '../auth/internal-auth.ts';
import { digestOf, requestSigner } from '../auth/request-signer.ts';
import {
  isConflict,
  isNotFound,
  KubeClient,
  loadKubeConfig,
  RESOURCES,
  serviceAddressesFrom,
  type KubeConnection,
  type KubeObject,
  type ProxyAnswer,
  type ProxyInit,
  type ResourceType,
} from '../kube/index.ts';
import type { CliIo, GlobalOptions } from './command.ts';
import { CliError } from './errors.ts';
import { nearest } from './nearest.ts';

export { RESOURCES } from '../kube/index.ts';
export type { ResourceType } from '../kube/index.ts';

/** A service of the platform that commands call. */
export type ServiceName = 'router' | 'router-internal' | 'storagesvc';

/** The channels of Fission's internal authentication that services ask for. */
const CHANNELS: Readonly<Record<ServiceName, InternalService | undefined>> = {
  router: undefined,
  'router-internal': 'router-internal',
  storagesvc: 'storagesvc',
};

export interface ServiceInit extends ProxyInit {
  /** sha256 of a body that streams, hex; asked for where requests are signed. */
  readonly bodyDigest?: () => Promise<string>;
}

/** Reads the kubeconfig; nothing is sent yet. Fails where there is none that can be used. */
export async function connect(io: CliIo, globals: GlobalOptions): Promise<Cluster> {
  const connection = await loadKubeConfig(globals.kubeconfig, {
    env: io.env,
    cwd: io.cwd,
    ...(globals.context === undefined ? {} : { context: globals.context }),
    ...(io.env.HOME === undefined ? {} : { home: io.env.HOME }),
  });
  return new Cluster(connection, io.env, globals.namespace);
}

export class Cluster {
  readonly client: KubeClient;
  readonly connection: KubeConnection;
  /** The namespace that commands work in: -n, $FISSION_DEFAULT_NAMESPACE, the context's, `default`. */
  readonly namespace: string;
  /** Where the platform itself lives. */
  readonly controlNamespace: string;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #secret: Promise<string | null> | null = null;

  constructor(
    connection: KubeConnection,
    env: Readonly<Record<string, string | undefined>>,
    namespace: string | undefined,
  ) {
    this.connection = connection;
    this.#env = env;
    this.controlNamespace = nonEmpty(env.FISSION_NAMESPACE) ?? 'fission';
    this.namespace =
      nonEmpty(namespace) ??
      nonEmpty(env.FISSION_DEFAULT_NAMESPACE) ??
      nonEmpty(connection.namespace) ??
      'default';
    this.client = new KubeClient(connection, {
      controlNamespace: this.controlNamespace,
      services: serviceAddressesFrom(env),
      userAgent: 'fissium-cli',
    });
  }

  /** The object, or a failure that says what there is instead. */
  async get<T extends KubeObject>(type: ResourceType, name: string, namespace = this.namespace): Promise<T> {
    const found = await this.find<T>(type, name, namespace);
    if (found === undefined) throw await this.#notFound(type, name, namespace);
    return found;
  }

  /** The object, or undefined if there is none of that name. */
  async find<T extends KubeObject>(
    type: ResourceType,
    name: string,
    namespace = this.namespace,
  ): Promise<T | undefined> {
    try {
      return await this.client.get<T>(type, namespace, name);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** All objects of a kind; with `null` those of all namespaces. */
  async list<T extends KubeObject>(
    type: ResourceType,
    namespace: string | null = this.namespace,
    labelSelector?: string,
  ): Promise<T[]> {
    const items: T[] = [];
    const selector = labelSelector === undefined ? {} : { labelSelector };
    for await (const page of this.client.listPages<T>(type, namespace ?? undefined, selector)) {
      items.push(...page.items);
    }
    return items;
  }

  /** Changes an object as it is now; once more where somebody else changed it meanwhile. */
  async change<T extends KubeObject>(
    type: ResourceType,
    name: string,
    change: (current: T) => T,
    namespace = this.namespace,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const current = await this.get<T>(type, name, namespace);
      try {
        return await this.client.replace(type, change(current), { fieldValidation: 'Strict' });
      } catch (error) {
        if (!isConflict(error) || attempt === 5) throw error;
      }
    }
  }

  /** Deletes; false if there was nothing. */
  async remove(type: ResourceType, name: string, namespace = this.namespace): Promise<boolean> {
    try {
      await this.client.remove(type, namespace, name);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Deletes, and fails with what there is instead if there is nothing of that name. */
  async removeExisting(type: ResourceType, name: string, ignoreNotFound: boolean): Promise<boolean> {
    const removed = await this.remove(type, name);
    if (!removed && !ignoreNotFound) throw await this.#notFound(type, name, this.namespace);
    return removed;
  }

  /** Calls a service, signed where the installation's secret is known: from the environment, or its Secret. */
  async service(name: ServiceName, path: string, init: ServiceInit = {}): Promise<ProxyAnswer> {
    const channel = CHANNELS[name];
    const secret = channel === undefined ? null : await this.#authSecret();
    if (channel === undefined || secret === null) return this.client.serviceProxy(name, path, init);
    const { body, bodyDigest, headers, method = 'GET' } = init;
    const digest =
      bodyDigest === undefined
        ? typeof body === 'string' || body instanceof Uint8Array
          ? digestOf(body)
          : undefined
        : await bodyDigest();
    const signed = requestSigner(channel, secret)(method, path, digest);
    return this.client.serviceProxy(name, path, { ...init, headers: { ...headers, ...signed } });
  }

  #authSecret(): Promise<string | null> {
    this.#secret ??= this.#findSecret();
    return this.#secret;
  }

  /** Who may not read it, or has none, sends without a signature, and is told if one is asked for. */
  async #findSecret(): Promise<string | null> {
    const given = nonEmpty(this.#env.FISSION_INTERNAL_AUTH_SECRET);
    if (given !== undefined) return given;
    const name = nonEmpty(this.#env.FISSION_INTERNAL_AUTH_SECRET_NAME) ?? 'fission-internal-auth';
    try {
      const { data } = await this.client.get<
        KubeObject & { readonly data?: Readonly<Record<string, string>> }
      >(RESOURCES.secrets, this.controlNamespace, name);
      return nonEmpty(Buffer.from(data?.['secret'] ?? '', 'base64').toString('utf8')) ?? null;
    } catch {
      return null;
    }
  }

  close(): void {
    this.client.close();
  }

  /** What a missing name is answered with: the names that exist, the nearest of them, other namespaces. */
  async #notFound(type: ResourceType, name: string, namespace: string): Promise<CliError> {
    const noun = type.kind.toLowerCase();
    const all = await this.list(type, null).catch(() => []);
    const here = all
      .filter((item) => item.metadata.namespace === namespace)
      .map((item) => item.metadata.name);
    const elsewhere = all.find((item) => item.metadata.name === name)?.metadata.namespace;
    const close = nearest(name, here);
    const why =
      here.length === 0
        ? `there is no ${noun} in namespace ${namespace}`
        : `there ${here.length === 1 ? 'is' : 'are'}: ${here.slice(0, 10).join(', ')}${here.length > 10 ? `, and ${here.length - 10} more` : ''}`;
    const fix =
      elsewhere !== undefined
        ? `it exists in namespace ${elsewhere}: add -n ${elsewhere}`
        : close !== undefined
          ? `did you mean ${close}?`
          : CREATE_HINT[type.kind];
    return new CliError(`${noun} "${name}" not found in namespace ${namespace}`, {
      why,
      ...(fix === undefined ? {} : { fix }),
    });
  }
}

const CREATE_HINT: Readonly<Record<string, string>> = {
  Environment: 'make one: fissium environment create --name <name> --image wasm',
  Function: 'make one: fissium function create --name <name> --env wasm --code <file.wasm>',
  Package: 'list all: fissium package list -A',
  HTTPTrigger: 'make one: fissium route create --function <function> --url /path',
};

/** The resource types that make up an application, in the order in which they are created. */
export const APP_TYPES: readonly ResourceType[] = [
  RESOURCES.environments,
  RESOURCES.packages,
  RESOURCES.functions,
  RESOURCES.httptriggers,
];

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}
