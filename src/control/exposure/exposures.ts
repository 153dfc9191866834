/** Makes, mends and removes the Ingresses and HTTPRoutes of triggers, in the control plane's namespace. */
import type { Logger } from 'pino';

import type { Condition, ResolvedTrigger } from '../../api/index.ts';
import { ApiError, isNotFound, type KubeClient, type KubeObject, splitKey } from '../../kube/index.ts';
import {
  type Provider,
  ROUTE_SELECTOR,
  ROUTE_TYPES,
  routeName,
  type RouteObject,
  routeObject,
  TRIGGER_ANNOTATION,
} from './objects.ts';

/** What a trigger's status is to say of what is made for it. */
export type ExposureCondition = Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>;

export interface ExposuresOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly controlNamespace: string;
  /** Whether there is such a trigger; null where nobody here knows. */
  readonly exists: (triggerKey: string) => boolean | null;
  /** Has a trigger reconciled again. */
  readonly again: (triggerKey: string) => void;
}

export interface ExposureResult {
  /** null where nothing is asked for. */
  readonly condition: ExposureCondition | null;
  /** What the API failed with for now; to be tried again. */
  readonly failure: Error | null;
}

const PROVIDERS = ['ingress', 'gateway'] as const satisfies readonly Provider[];
const FIELD_MANAGER = 'fissium';
/** What the condition of each provider is called. */
export const CONDITION_TYPES: Readonly<Record<Provider, string>> = {
  ingress: 'IngressCreated',
  gateway: 'HTTPRouteCreated',
};

export class Exposures {
  readonly #options: ExposuresOptions;
  readonly #logger: Logger;
  /** By provider, of each trigger's key the version that was seen last; null while it is not known. */
  readonly #known: Readonly<Record<Provider, Map<string, string | null>>> = {
    ingress: new Map(),
    gateway: new Map(),
  };
  /** Triggers whose object could not be made. */
  readonly #refused = new Set<string>();

  constructor(options: ExposuresOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ component: 'exposures' });
  }

  /** Has the cluster hold what the trigger asks for, and nothing else. */
  async reconcile(trigger: ResolvedTrigger): Promise<ExposureResult> {
    const key = `${trigger.namespace}/${trigger.name}`;
    const { exposure } = trigger;
    this.#refused.delete(key);
    try {
      await this.#removeOthers(key, exposure?.provider ?? null);
      if (exposure === null) return { condition: null, failure: null };
      const { provider } = exposure;
      const wanted = routeObject(trigger, exposure, this.#options.controlNamespace);
      const taken = await this.#takenBy(provider, wanted);
      if (taken !== null) return this.#refuse(key, provider, 'NameTaken', taken);
      const made = await this.#options.client.apply<RouteObject>(ROUTE_TYPES[provider], wanted, {
        fieldManager: FIELD_MANAGER,
      });
      this.#known[provider].set(key, made.metadata.resourceVersion ?? null);
      const { namespace = '', name } = wanted.metadata;
      const hosts = exposure.hosts.length === 0 ? 'any host' : exposure.hosts.join(', ');
      return {
        condition: {
          type: CONDITION_TYPES[provider],
          status: 'True',
          reason: 'Created',
          message: `${ROUTE_TYPES[provider].kind} ${namespace}/${name} sends ${exposure.path} of ${hosts} to the router.`,
        },
        failure: null,
      };
    } catch (error) {
      if (exposure === null) return { condition: null, failure: asError(error) };
      return this.#failed(key, exposure.provider, error);
    }
  }

  /** Removes whatever was made for a trigger that is gone. */
  async remove(triggerKey: string): Promise<void> {
    this.#refused.delete(triggerKey);
    await this.#removeOthers(triggerKey, null);
  }

  /**
   * Compares what there is with what was made: what somebody removed or changed is made again, what is of a trigger
   * that is gone goes, and what was refused is tried again. To be called at the start, and from time to time.
   */
  async sweep(): Promise<void> {
    for (const provider of PROVIDERS) {
      const found = await this.#list(provider);
      const known = this.#known[provider];
      for (const [key, version] of known) {
        const object = found.get(key);
        if (object === undefined) known.delete(key);
        if (object === undefined || object.metadata.resourceVersion !== version) this.#options.again(key);
      }
      for (const [key, object] of found) {
        if (known.has(key)) continue;
        known.set(key, object.metadata.resourceVersion ?? null);
        const exists = this.#options.exists(key);
        if (exists === true) this.#options.again(key);
        if (exists === false) await this.#removeOne(provider, key);
      }
    }
    for (const key of this.#refused) this.#options.again(key);
  }

  async #list(provider: Provider): Promise<Map<string, KubeObject>> {
    const { client, controlNamespace } = this.#options;
    const found = new Map<string, KubeObject>();
    try {
      const pages = client.listPages(ROUTE_TYPES[provider], controlNamespace, {
        labelSelector: ROUTE_SELECTOR,
      });
      for await (const { items } of pages)
        for (const object of items) {
          const key = object.metadata.annotations?.[TRIGGER_ANNOTATION] ?? '';
          if (key.includes('/') && object.metadata.name === routeName(splitKey(key))) found.set(key, object);
        }
    } catch (error) {
      // Without the Gateway API there is nothing of it.
      if (!isNotFound(error)) throw error;
    }
    return found;
  }

  async #removeOthers(triggerKey: string, kept: Provider | null): Promise<void> {
    for (const provider of PROVIDERS)
      if (provider !== kept && this.#known[provider].has(triggerKey))
        await this.#removeOne(provider, triggerKey);
  }

  async #removeOne(provider: Provider, triggerKey: string): Promise<void> {
    const { client, controlNamespace } = this.#options;
    const type = ROUTE_TYPES[provider];
    const name = routeName(splitKey(triggerKey));
    try {
      await client.remove(type, controlNamespace, name);
      this.#logger.info({ trigger: triggerKey, name }, `${type.kind} removed`);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    this.#known[provider].delete(triggerKey);
  }

  /** Who has an object of that name, if it is not the trigger's; one that Fission made for it is taken over. */
  async #takenBy(provider: Provider, wanted: RouteObject): Promise<string | null> {
    const { client } = this.#options;
    const { namespace, name, labels = {} } = wanted.metadata;
    const type = ROUTE_TYPES[provider];
    let found: KubeObject;
    try {
      found = await client.get(type, namespace, name);
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
    const theirs = found.metadata.labels ?? {};
    const isOfTrigger = ['triggerName', 'triggerNamespace'].every((each) => theirs[each] === labels[each]);
    if (isOfTrigger) return null;
    return `There is another ${type.kind} ${namespace}/${name}, which is not of this trigger. Rename one of them.`;
  }

  #failed(key: string, provider: Provider, error: unknown): ExposureResult {
    const what = ROUTE_TYPES[provider].kind;
    if (!(error instanceof ApiError) || error.status >= 500 || [408, 409, 429].includes(error.status)) {
      const failure = asError(error);
      const message = `The ${what} could not be made: ${failure.message}`;
      return { ...this.#refuse(key, provider, 'ApiFailed', message), failure };
    }
    if (error.status === 404 && provider === 'gateway')
      return this.#refuse(
        key,
        provider,
        'GatewayApiMissing',
        'The cluster has no gateway.networking.k8s.io/v1 HTTPRoute: install the Gateway API, or take provider ingress.',
      );
    const reason = error.status === 403 ? 'Forbidden' : 'Refused';
    return this.#refuse(key, provider, reason, `The ${what} was not taken: ${error.message}`);
  }

  #refuse(key: string, provider: Provider, reason: string, message: string): ExposureResult {
    this.#refused.add(key);
    return {
      condition: { type: CONDITION_TYPES[provider], status: 'False', reason, message },
      failure: null,
    };
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
