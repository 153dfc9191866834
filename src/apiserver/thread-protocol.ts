/** What the thread of the API server and the one that started it tell each other. */
import type { ErrorData } from '../errors.ts';
import type { Upstreams } from './http/proxy.ts';
import type { ApiServer, ApiServerOptions } from './server.ts';

export interface ThreadData extends ApiServerOptions {
  /** A pino level. */
  readonly logLevel: string;
  /** Fields of every log line. */
  readonly logBindings: Readonly<Record<string, unknown>>;
  readonly logFd: number;
}

export type ToThread =
  | { readonly type: 'upstreams'; readonly upstreams: Upstreams }
  | { readonly type: 'close' };

export type FromThread =
  | ({ readonly type: 'ready' } & Pick<ApiServer, 'url' | 'port' | 'kubeconfigPath' | 'access'>)
  | { readonly type: 'failed'; readonly error: ErrorData };
