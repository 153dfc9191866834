/** `fissium storage`: Fission's storage service by itself, over a folder or an S3 bucket. */
import { join } from 'node:path';

import { pino } from 'pino';

import { serviceVerifier } from '../auth/internal-auth.ts';
import { KubeClient, loadKubeConfig } from '../kube/index.ts';
import {
  ArchivePruner,
  type ArchiveStorage,
  ArchiveStore,
  createStorageHandler,
  FolderStorage,
  listNamedArchives,
  listUsersOf,
  type S3Options,
  S3Storage,
} from '../packages/index.ts';
import { onStopSignal } from './stop-signal.ts';
import { answerText, startPlainServer } from './plain-server.ts';

export interface StorageOptions {
  readonly host: string;
  readonly port: number;
  /** Holds the archives, or with S3 the uploads while they come. */
  readonly folder: string;
  /** Null for the folder. */
  readonly s3: (S3Options & { readonly prefix: string }) | null;
  readonly limitBytes: number;
  /** The installation's secret, and the one before it while they are exchanged; none: requests are not checked. */
  readonly secrets: readonly string[];
  /** Namespaces whose Packages name archives; undefined for all. */
  readonly namespaces: readonly string[] | undefined;
  /** Null: nothing is pruned, and no API server is asked. */
  readonly prune: { readonly intervalMs: number; readonly graceMs: number } | null;
  readonly verbose: boolean;
}

const DRAIN_MS = 30_000;

/** Serves until it is told to stop. @throws FissiumError BAD_OPTION, STORAGE_UNREACHABLE */
export async function storage(options: StorageOptions): Promise<void> {
  const stopped = onStopSignal();
  process.umask(0o077);
  const logger = pino({ level: options.verbose ? 'debug' : 'info' }, pino.destination({ fd: 2, sync: true }));
  await using parts = new AsyncDisposableStack();
  const archives = await openStorage(options, parts);
  const { prune, namespaces } = options;
  const client = prune === null ? null : new KubeClient(await loadKubeConfig());
  parts.defer(() => client?.close());
  if (client !== null && prune !== null) {
    const named = (): Promise<Set<string>> => listNamedArchives(client, namespaces);
    const pruner = new ArchivePruner({ storage: archives, named, logger, ...prune });
    parts.defer(() => pruner.close());
    pruner.start();
  }
  const handle = createStorageHandler({
    storage: archives,
    logger,
    limitBytes: options.limitBytes,
    verifier: serviceVerifier('storagesvc', options.secrets, { tenants: true }),
    ...(client === null ? {} : { usersOf: (id) => listUsersOf(client, namespaces, id) }),
  });
  const server = await startPlainServer({
    host: options.host,
    port: options.port,
    handler: (request, response) => {
      const path = (request.url ?? '').split('?', 1)[0];
      if (path === '/healthz' || path === '/readyz') return answerText(response, 200, 'ok\n');
      if (path === '/v1/archive' || path === '/v1/archives') return handle(request, response);
      return answerText(response, 404, 'not found\n');
    },
  });
  parts.defer(() => server.close(DRAIN_MS));
  logger.info({ port: server.port, type: archives.type, bucket: archives.bucket }, 'storage listens');
  await stopped;
}

async function openStorage(options: StorageOptions, parts: AsyncDisposableStack): Promise<ArchiveStorage> {
  const { folder, s3 } = options;
  if (s3 === null) return new FolderStorage(await ArchiveStore.open(folder));
  const bucket = await S3Storage.open({ ...s3, spoolFolder: join(folder, 'spool') });
  parts.defer(() => bucket.close());
  return bucket;
}
