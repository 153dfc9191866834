/** What the hosts say of their functions, read from each of them. */
import type { Logger } from 'pino';
import { Agent, request } from 'undici';

import type { DeployedFunctionReport, DeployedReport } from '../../control/host/deployed.ts';
import type { HostCallSigner } from '../../auth/host-calls.ts';
import { type KubeClient, splitKey } from '../../kube/index.ts';
import { SliceWatch } from '../../router/cluster/endpoint-slices.ts';

export interface HostReportsOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Empty for all. */
  readonly namespaces: readonly string[];
  /** Headers for what is asked of the hosts of a namespace; undefined where they ask for none. */
  readonly signerOf: (namespace: string) => HostCallSigner | undefined;
  /** Called with a Service's `namespace/name` when its ready hosts changed. */
  readonly onChange: (service: string) => void;
}

const TIMEOUT_MS = 3_000;
const DEPLOYED = '/v1/deployed';

export class HostReports {
  readonly #watch: SliceWatch;
  readonly #signerOf: HostReportsOptions['signerOf'];
  readonly #agent = new Agent({ connections: 2, keepAliveTimeout: 3_000 });
  /** Origins of ready hosts' internal listeners, by Service. */
  readonly #hosts = new Map<string, readonly string[]>();

  constructor({ client, logger, namespaces, signerOf, onChange }: HostReportsOptions) {
    this.#signerOf = signerOf;
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
    const sign = this.#signerOf(splitKey(service).namespace);
    return Promise.all(
      hosts.map(async (origin) => {
        const report = await this.#ask(origin, sign?.() ?? {});
        return report?.functions.find((fn) => fn.uid === uid) ?? null;
      }),
    );
  }

  async #ask(origin: string, headers: Readonly<Record<string, string>>): Promise<DeployedReport | null> {
    try {
      const { body, statusCode } = await request(`${origin}${DEPLOYED}`, {
        headers,
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
