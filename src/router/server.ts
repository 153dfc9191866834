/** The public listener: routes to functions. */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { FissiumError } from '../errors.ts';
import type { LogStore, PlatformMetrics } from '../observe/index.ts';
import { Admission, type AdmissionSettings } from './admission.ts';
import type { CallServices } from './call-plan.ts';
import type { Exchange } from './exchange.ts';
import { CallObserver } from './call-observer.ts';
import type { FunctionTable } from './function-table.ts';
import { HttpListener } from './listener.ts';
import { PublicHandler } from './public-handler.ts';
import type { RouteTable } from './route-table.ts';
import type { SharedCounts } from './shared-counts.ts';

export interface RouterOptions {
  readonly functions: FunctionTable;
  readonly routes: RouteTable;
  readonly logger: Logger;
  /** @default {@link DEFAULT_ADMISSION} */
  readonly admission?: AdmissionSettings;
  /** Shared with the other threads that take requests. @default this thread's own */
  readonly counts?: SharedCounts;
  /** Each function's slot in the counts. */
  readonly slotOf?: (key: string) => number;
  readonly metrics?: PlatformMetrics;
  /** Where functions' failures are written beside their output. */
  readonly logs?: Pick<LogStore, 'append'>;
  /** For `/_version`. @default '' */
  readonly version?: string;
  /** For `/readyz`. @default () => true */
  readonly ready?: () => boolean;
  /** In [0, 1), for the choice by weight. @default Math.random */
  readonly random?: () => number;
  /** Looks at each request first; what it throws is the answer. */
  readonly guard?: (request: Exchange) => void;
  /** See {@link CallServices.fromRouters}. */
  readonly fromRouters?: boolean;
}

export interface Router {
  /** Resolves with the port taken; rejects where the address cannot be had. */
  listen(host: string, port: number): Promise<number>;
  /** Serves a connection that was accepted elsewhere, unread. */
  accept(socket: Socket): void;
  /** See {@link HttpListener.retire}. */
  retire(): void;
  /** See {@link HttpListener.close}. */
  close(options: { graceMs: number }): Promise<void>;
  /** How calls are made, for other listeners: the same limits hold over all of them. */
  readonly services: CallServices;
}

/** What calls of functions need, whoever makes them. */
export function createCallServices(options: Omit<RouterOptions, 'routes' | 'version' | 'ready' | 'random'>): {
  readonly services: CallServices;
  readonly close: () => void;
} {
  const { functions, metrics, logs } = options;
  const logger = options.logger.child({ component: 'router' });
  const { admission: settings, counts, slotOf } = options;
  const admission = new Admission({
    ...(settings ? { settings } : {}),
    ...(counts ? { counts } : {}),
    ...(slotOf ? { slotOf } : {}),
  });
  const observer = new CallObserver({ logger, metrics, logs });
  const { fromRouters = false } = options;
  const services: CallServices = { functions, admission, observer, fromRouters };
  const unsubscribe = functions.subscribe({
    set: (entry) => {
      admission.update(entry.namespace, entry.name, entry.limits);
      metrics?.functionAdded(entry);
    },
    deleted: (namespace, name) => {
      const gone = `Function ${namespace}/${name} was deleted while the request waited for its turn.`;
      admission.refuseAll(namespace, name, new FissiumError('FUNCTION_NOT_FOUND', gone));
      metrics?.functionRemoved({ namespace, name });
    },
  });
  const removeSource = metrics?.addSource({ queued: () => admission.loads() });
  return {
    services,
    close: () => {
      unsubscribe();
      removeSource?.();
    },
  };
}

export function createRouter(options: RouterOptions): Router {
  const { routes, metrics } = options;
  const logger = options.logger.child({ component: 'router' });
  const { services, close } = createCallServices(options);
  const removeSource = metrics?.addSource({ routes: () => routes.size });
  const handler = new PublicHandler({
    ...services,
    routes,
    version: options.version ?? '',
    ready: options.ready ?? (() => true),
    random: options.random ?? Math.random,
  });
  const { guard } = options;
  const guarded = (exchange: Exchange): void => {
    guard?.(exchange);
    handler.handle(exchange);
  };
  const listener = new HttpListener({ handle: guard ? guarded : handler.handle, logger });
  return {
    services,
    listen: (host, port) => listener.listen(host, port),
    accept: (socket) => listener.accept(socket),
    retire: () => listener.retire(),
    close: async (closing) => {
      await listener.close(closing);
      close();
      removeSource?.();
    },
  };
}
