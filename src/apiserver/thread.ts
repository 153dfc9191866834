import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { FissiumError, fromErrorData } from '../errors.ts';
import type { Upstreams } from './http/proxy.ts';
import type { ApiServer, ApiServerOptions } from './server.ts';
import type { FromThread, ThreadData, ToThread } from './thread-protocol.ts';

export interface ApiServerThreadOptions extends ApiServerOptions {
  /** Of the lines that the thread writes. @default info */
  readonly logLevel?: string;
  /** Where the thread writes them. @default 2 (stderr) */
  readonly logFd?: number;
  /** Called if the thread ends without having been closed. */
  readonly onFailure?: (error: FissiumError) => void;
}

/** The thread is ended if its server does not close within this. */
const CLOSE_LIMIT_MS = 10_000;

/**
 * MiB, all of it. Threads that run guests want 48 (`runtimes/wasm/v8-flags.ts`, whose flags are the whole process's);
 * here so much is only filled with what nobody needs any more: 35 MiB less were resident after 300 deploys, which took
 * as long (2026-11-28, two busy cores).
 */
const YOUNG_GENERATION_MB = 12;

/** Starts the API server in a worker thread and resolves when it answers. Fails as `startApiServer` does. */
export async function startApiServerThread(
  options: ApiServerThreadOptions,
  logger: Logger,
): Promise<ApiServer> {
  const { logLevel = 'info', logFd = 2, onFailure, ...serverOptions } = options;
  const logBindings = { ...logger.bindings(), component: 'apiserver' };
  const workerData: ThreadData = { ...serverOptions, logLevel, logFd, logBindings };
  const file = new URL(`./api-server.worker${extname(import.meta.filename)}`, import.meta.url);
  const worker = new Worker(file, {
    workerData,
    name: 'apiserver',
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });
  const send = (message: ToThread): void => worker.postMessage(message);
  let state: 'starting' | 'running' | 'closing' = 'starting';
  let failure: FissiumError | undefined;
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));

  const ready = await new Promise<Extract<FromThread, { type: 'ready' }>>((resolve, reject) => {
    worker.on('message', (message: FromThread) => {
      if (message.type === 'ready') {
        resolve(message);
        return;
      }
      failure = fromErrorData(message.error);
      reject(failure);
    });
    worker.on('error', (cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      failure = new FissiumError('INTERNAL', `the API server's thread failed: ${why}`, { cause });
    });
    worker.on('exit', (code) => {
      failure ??= new FissiumError('INTERNAL', `the API server's thread ended with code ${code}`);
      reject(failure);
      if (state === 'running') onFailure?.(failure);
    });
  });

  state = 'running';

  const close = async (): Promise<void> => {
    state = 'closing';
    send({ type: 'close' });
    const limit = setTimeout(() => void worker.terminate(), CLOSE_LIMIT_MS);
    await ended;
    clearTimeout(limit);
  };
  let closed: Promise<void> | undefined;
  return {
    url: ready.url,
    port: ready.port,
    kubeconfigPath: ready.kubeconfigPath,
    access: ready.access,
    setUpstreams: (upstreams: Upstreams) => send({ type: 'upstreams', upstreams }),
    close: () => (closed ??= close()),
  };
}
