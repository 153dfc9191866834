/** What the hosts say of their functions, read from each of them. */
import type { Logger } from 'pino';
import { Agent, request } from 'undici';

import type { DeployedFunctionReport, DeployedReport } from '../../control/host/deployed.ts';
import type { KubeClient } from '../../kube/index.ts';
import { SliceWatch } from '../../router/cluster/endpoint-slices.ts';

export interface HostReportsOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Empty for all. */
  readonly namespaces: readonly string[];
  /** Called with a Service's `namespace/name` when its ready hosts changed. */
  readonly onChange: (service: string) => void;
}

const TIMEOUT_MS = 3_000;

export class HostReports {
  readonly #watch: SliceWatch;
  readonly #agent = new Agent({ connections: 2, keepAliveTimeout: 3_000 });
  /** Origins of ready hosts' internal listeners, by Service. */
  readonly #hosts = new Map<string, readonly string[]>();

  constructor({ client, logger, namespaces, onChange }: HostReportsOptions) {
    this.#watch = new SliceWatch({
      client,
      logger,
      namespaces,
      labelSelector: 'fissium.io/part=wasm-host',
      port: 'internal',
      groupOf: ({ metadata: { namespace = '', labels = {} } }) =>
        `${namespace}/${labels['kubernetes.io/service-name'] ?? ''}`,
      onChange: (service, ready) => {
        this.#hosts.set(
          service,
          ready.map(({ origin }) => origin),
        );
        onChange(service);
      },
    });
    this.#watch.start();
  }

  async synced(): Promise<void> {
    await this.#watch.synced();
  }

  async close(): Promise<void> {
    await this.#watch.close();
    await this.#agent.destroy();
  }

  /** How many hosts of a Service (`namespace/name`) are ready. */
  ready(service: string): number {
    return this.#hosts.get(service)?.length ?? 0;
  }

  /** What each ready host says of a function; null for one that does not answer. */
  async of(service: string, uid: string): Promise<readonly (DeployedFunctionReport | null)[]> {
    const hosts = this.#hosts.get(service) ?? [];
    return Promise.all(
      hosts.map(async (origin) => {
        const report = await this.#ask(origin);
        return report?.functions.find((fn) => fn.uid === uid) ?? null;
      }),
    );
  }

  async #ask(origin: string): Promise<DeployedReport | null> {
    try {
      const { body, statusCode } = await request(`${origin}/v1/deployed`, {
        dispatcher: this.#agent,
        headersTimeout: TIMEOUT_MS,
        bodyTimeout: TIMEOUT_MS,
      });
      if (statusCode !== 200) {
        await body.dump();
        return null;
      }
      return (await body.json()) as DeployedReport;
    } catch {
      return null;
    }
  }
}
