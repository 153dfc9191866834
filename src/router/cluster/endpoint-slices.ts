/** EndpointSlices (discovery.k8s.io/v1), read for the addresses that are ready. */
import { Informers, type KubeClient, keyOf, type KubeObject, RESOURCES } from '../../kube/index.ts';
import type { Logger } from 'pino';

export interface EndpointSlice extends KubeObject {
  addressType?: 'IPv4' | 'IPv6' | 'FQDN';
  /** null where the Service has no pods, as Go writes an empty list. */
  endpoints?:
    | readonly {
        readonly addresses: readonly string[];
        readonly conditions?: { readonly ready?: boolean };
        readonly targetRef?: {
          readonly kind?: string;
          readonly namespace?: string;
          readonly name?: string;
        };
      }[]
    | null;
  ports?: readonly { readonly name?: string; readonly port?: number }[] | null;
}

/** One ready address of a service. */
export interface ReadyAddress {
  /** `namespace/pod`; the address itself where it is no pod's. */
  readonly key: string;
  /** `http://address:port` */
  readonly origin: string;
}

export interface SliceWatchOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Empty for all. */
  readonly namespaces: readonly string[];
  readonly labelSelector: string;
  /** The port's name; where there is none of it, the first is taken. @default 'http' */
  readonly port?: string;
  /** Which service a slice belongs to, in the watcher's terms; null for one that does not matter. */
  readonly groupOf: (slice: EndpointSlice) => string | null;
  /** Called with all ready addresses of a group whenever they may have changed. */
  readonly onChange: (group: string, ready: readonly ReadyAddress[]) => void;
}

/** Watches slices; a service's addresses may be spread over several of them. */
export class SliceWatch {
  readonly #informers: Informers<EndpointSlice>;
  readonly #options: SliceWatchOptions;

  constructor(options: SliceWatchOptions) {
    this.#options = options;
    const { client, logger, namespaces, labelSelector, groupOf } = options;
    this.#informers = new Informers<EndpointSlice>({
      client,
      logger,
      type: RESOURCES.endpointslices,
      labelSelector,
      namespaces,
      indexes: {
        group: (slice) => {
          const group = groupOf(slice);
          return group === null ? [] : [group];
        },
      },
    });
    const changed = (slice: EndpointSlice): void => {
      const group = groupOf(slice);
      if (group !== null) this.#tell(group);
    };
    this.#informers.onChange({ add: changed, update: changed, delete: changed });
  }

  start(): void {
    this.#informers.start();
  }

  synced(): Promise<void> {
    return this.#informers.synced();
  }

  close(): Promise<void> {
    return this.#informers.close();
  }

  #tell(group: string): void {
    const ready = this.#informers
      .byIndex('group', group)
      .toSorted((a, b) => keyOf(a).localeCompare(keyOf(b)))
      .flatMap((slice) => readyAddresses(slice, this.#options.port));
    this.#options.onChange(group, ready);
  }
}

/** The addresses of a slice that take requests. Where a slice says nothing about readiness, they are ready. */
export function readyAddresses(
  { endpoints, ports, addressType }: EndpointSlice,
  portName = 'http',
): ReadyAddress[] {
  const port = (ports?.find(({ name }) => name === portName) ?? ports?.[0])?.port;
  if (port === undefined) return [];
  return (endpoints ?? []).flatMap(({ addresses, conditions, targetRef }) => {
    const [address] = addresses;
    if (address === undefined || conditions?.ready === false) return [];
    const host = addressType === 'IPv6' ? `[${address}]` : address;
    const key = targetRef?.kind === 'Pod' ? `${targetRef.namespace ?? ''}/${targetRef.name ?? ''}` : address;
    return [{ key, origin: `http://${host}:${port}` }];
  });
}
