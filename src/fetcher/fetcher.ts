/** Brings a function's code and objects into a pod's volumes, and has the runtime load them. */
import { access, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Logger } from 'pino';

import type { Package } from '../api/index.ts';
import { FissiumError } from '../errors.ts';
import { ApiError } from '../kube/api-error.ts';
import type { KubeClient } from '../kube/client.ts';
import { RESOURCES } from '../kube/resources.ts';
import { ARCHIVE_LIMIT_BYTES, type SpooledArchive, spoolArchive } from '../packages/archives.ts';
import { extractArchive } from '../packages/extract.ts';
import {
  type Archive,
  FETCH_TYPES,
  type FetchRequest,
  type SpecializeRequest,
  type UploadRequest,
  type UploadResponse,
} from './contract.ts';
import { download, type StorageSigner } from './download.ts';
import { FunctionObjects } from './objects.ts';
import { RequestError } from './request-error.ts';
import { SHORT_WAITS_MS, withRetries } from './retry.ts';
import { below } from './shared-path.ts';
import { loadInto } from './specialize.ts';
import { uploadArtifact } from './upload.ts';

export interface FetcherOptions {
  /** Asked for when something of the API is needed for the first time. */
  readonly client: () => Promise<KubeClient>;
  readonly logger: Logger;
  /** Shared with the runtime or the builder. */
  readonly sharedFolder: string;
  readonly secretFolder: string;
  readonly configFolder: string;
  /** Where the runtime listens. @default 'http://127.0.0.1:8888' */
  readonly runtimeUrl?: string;
  readonly signer: StorageSigner;
}

/** In the shared folder, so that what is complete is renamed into its place. */
const SPOOL = '.fissium-fetcher';

export class Fetcher {
  readonly #options: FetcherOptions;
  #specializing: Promise<void> = Promise.resolve();

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  /** Brings the archive, secrets and config maps; an archive whose name is taken is there already. */
  async fetch(request: FetchRequest, signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#fetchArchive(request, signal),
      this.#writeObjects(request, new FunctionObjects(this.#options.client), signal),
    ]);
  }

  /** Everything of `fetch`, and then the runtime loads the function. One at a time: a runtime takes one. */
  specialize(request: SpecializeRequest, signal: AbortSignal): Promise<void> {
    const result = this.#specializing.then(() => this.#specialize(request, signal));
    this.#specializing = result.catch(() => {});
    return result;
  }

  /** Takes what a builder made to the storage service, and away from the volume. */
  async upload(request: UploadRequest, signal: AbortSignal): Promise<UploadResponse> {
    const { sharedFolder, signer } = this.#options;
    const path = below(sharedFolder, request.filename, 'filename');
    const spool = await this.#spoolFolder();
    const response = await withRetries(
      () => uploadArtifact(request, path, spool, signer, signal),
      mayPass,
      signal,
    );
    // Only now: an upload that fails is asked for again. A builder may have made it as root, and removes it itself then.
    await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
      this.#options.logger.debug({ err: error, path }, 'what was uploaded could not be removed');
    });
    return response;
  }

  async #specialize({ FetchReq, LoadReq }: SpecializeRequest, signal: AbortSignal): Promise<void> {
    const { client, logger, runtimeUrl = 'http://127.0.0.1:8888' } = this.#options;
    const startMs = performance.now();
    const objects = new FunctionObjects(client);
    const [, , variables] = await Promise.all([
      this.#fetchArchive(FetchReq, signal),
      this.#writeObjects(FetchReq, objects, signal),
      withRetries(() => objects.variables(FetchReq), mayPass, signal),
    ]);
    const fetchedMs = performance.now();
    const env = { ...variables, ...LoadReq.env };
    await loadInto(runtimeUrl, { ...LoadReq, ...(Object.keys(env).length === 0 ? {} : { env }) }, signal);
    const { namespace, name } = FetchReq.package;
    logger.info(
      {
        package: `${namespace}/${name}`,
        fetchMs: Math.round(fetchedMs - startMs),
        loadMs: Math.round(performance.now() - fetchedMs),
      },
      'specialized',
    );
  }

  #writeObjects(request: FetchRequest, objects: FunctionObjects, signal: AbortSignal): Promise<void> {
    const { secretFolder, configFolder } = this.#options;
    return withRetries(() => objects.write(request, secretFolder, configFolder), mayPass, signal);
  }

  async #fetchArchive(request: FetchRequest, signal: AbortSignal): Promise<void> {
    const { sharedFolder } = this.#options;
    const target = below(sharedFolder, request.filename, 'filename');
    if (await isThere(target)) return;
    const archive = await this.#archiveOf(request, signal);
    const spooled = await withRetries(() => this.#bring(archive, signal), mayPass, signal);
    try {
      const { keeparchive: keepArchive = false } = request;
      await mkdir(join(target, '..'), { recursive: true, mode: 0o755 });
      await extractArchive(spooled.path, target, { shared: true, keepArchive });
    } finally {
      await rm(spooled.path, { force: true });
    }
  }

  async #archiveOf(request: FetchRequest, signal: AbortSignal): Promise<Archive> {
    if (request.fetchType === FETCH_TYPES.url) return { url: request.url ?? '' };
    if (request.archive !== undefined && hasContent(request.archive)) return request.archive;
    const { namespace, name } = request.package;
    const read = async (): Promise<Package> =>
      (await this.#options.client()).get<Package>(RESOURCES.packages, namespace, name, { signal });
    // One that was just made may not be there for every replica of the API server.
    const soon = (): Promise<Package> => withRetries(read, isNotFound, signal, SHORT_WAITS_MS);
    const pkg = await withRetries(soon, mayPass, signal).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      throw new RequestError(404, `There is no Package ${namespace}/${name}.`, { cause: error });
    });
    const isSource = request.fetchType === FETCH_TYPES.source;
    const archive = isSource ? pkg.spec.source : pkg.spec.deployment;
    if (archive !== undefined && hasContent(archive)) return archive;
    const status = pkg.status?.buildstatus ?? 'pending';
    throw new RequestError(
      500,
      isSource
        ? `Package ${namespace}/${name} has no source archive.`
        : `Package ${namespace}/${name} has no deployment archive: its build status is ${status}.`,
    );
  }

  async #bring(archive: Archive, signal: AbortSignal): Promise<SpooledArchive> {
    const folder = await this.#spoolFolder();
    const { literal = '', url = '', oci, checksum } = archive;
    const sum = checksum?.sum?.toLowerCase() ?? '';
    const digest = sum === '' ? undefined : sum;
    if (oci !== undefined) {
      throw new RequestError(
        500,
        `Archives of type oci (${oci.image}) are not served yet: give a url or a literal.`,
      );
    }
    if (literal !== '') {
      const checks = digest === undefined ? {} : { digest };
      return spoolArchive(folder, Buffer.from(literal, 'base64'), { what: 'the literal archive', ...checks });
    }
    const { signer } = this.#options;
    return download(url, { folder, signer, limitBytes: ARCHIVE_LIMIT_BYTES, digest, signal });
  }

  async #spoolFolder(): Promise<string> {
    const folder = join(this.#options.sharedFolder, SPOOL);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return folder;
  }
}

function hasContent({ literal = '', url = '', oci }: Archive): boolean {
  return literal !== '' || url !== '' || oci !== undefined;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** Whether the same may work in a moment. */
export function mayPass(error: unknown): boolean {
  if (error instanceof RequestError) return error.isPassing;
  if (error instanceof ApiError) return error.status === 429 || error.status >= 500;
  return (
    error instanceof FissiumError &&
    (error.code === 'ARCHIVE_UNREACHABLE' || error.code === 'API_UNREACHABLE')
  );
}
