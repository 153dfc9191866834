import type { Archive } from '../api/index.ts';
import { FissiumError } from '../errors.ts';
import { ARCHIVE_LIMIT_BYTES, type ArchiveStore, type StoredArchive } from './archives.ts';
import { archiveIdOf, isDigest } from './storage/archive-id.ts';

export interface ArchiveFetcherOptions {
  readonly archives: ArchiveStore;
  /**
   * Hosts of our own storage service: what they are asked for is read from the store, and is not there if it is
   * not in the store.
   * @default ['storagesvc.fission', 'storage.fission']
   */
  readonly ownHosts?: readonly string[];
  /** Headers by which a storage service knows who asks; for its URLs alone. @default none */
  readonly sign?: (request: { readonly method: string; readonly url: URL }) => Record<string, string>;
  /** @default 256 MiB */
  readonly limitBytes?: number;
  /** Longest whole download. @default 300000 */
  readonly timeoutMs?: number;
  /** Longest silence. @default 30000 */
  readonly idleTimeoutMs?: number;
}

/** The URL under which a Package names an archive in our storage service. */
export function archiveUrl(id: string, controlNamespace = 'fission'): string {
  return `http://storagesvc.${controlNamespace}/v1/archive?id=${encodeURIComponent(id)}`;
}

/** The name under which the store remembers what a URL gave. */
export function pinNameOf(pin: string, url: string): string {
  return `${pin} ${URL.parse(url)?.href ?? url}`;
}

/** Brings archives into the store. */
export class ArchiveFetcher {
  readonly #archives: ArchiveStore;
  readonly #ownHosts: ReadonlySet<string>;
  readonly #sign: NonNullable<ArchiveFetcherOptions['sign']>;
  readonly #limitBytes: number;
  readonly #timeoutMs: number;
  readonly #idleTimeoutMs: number;

  constructor(options: ArchiveFetcherOptions) {
    this.#archives = options.archives;
    this.#ownHosts = new Set(options.ownHosts ?? ['storagesvc.fission', 'storage.fission']);
    this.#sign = options.sign ?? (() => ({}));
    this.#limitBytes = options.limitBytes ?? ARCHIVE_LIMIT_BYTES;
    this.#timeoutMs = options.timeoutMs ?? 300_000;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 30_000;
  }

  /**
   * The archive as a local file whose content has the archive's checksum.
   * @param pin names what is fetched: the same URL without a checksum, fetched under the same pin, is the same
   *   content for ever
   * @throws FissiumError ARCHIVE_REFUSED (will not do as it is), ARCHIVE_NOT_FOUND and ARCHIVE_UNREACHABLE (may
   *   work later), STORAGE_FULL
   */
  async fetch(archive: Archive, pin: string, signal?: AbortSignal): Promise<StoredArchive> {
    switch (archive.type) {
      case 'literal':
        return this.#archives.put(archive.literal ?? new Uint8Array(), {
          limitBytes: this.#limitBytes,
          what: 'the literal archive',
          ...(archive.checksum?.sum ? { digest: archive.checksum.sum } : {}),
        });
      case 'url':
        return this.#fetchUrl(archive, pin, signal);
      case 'oci':
        throw new FissiumError(
          'ARCHIVE_REFUSED',
          `Archives of type oci (${archive.oci?.image ?? ''}) are not served yet: give a url or a literal.`,
        );
    }
  }

  async #fetchUrl(archive: Archive, pin: string, signal: AbortSignal | undefined): Promise<StoredArchive> {
    const url = parseUrl(archive.url ?? '');
    const sum = archive.checksum?.sum;
    if (sum !== undefined) {
      const stored = await this.#archives.findIntact(sum);
      if (stored !== undefined) return stored;
    }
    const id = storageId(url);
    if (id !== undefined) {
      const stored = await this.#archives.findIntact(id);
      if (stored !== undefined) {
        if (sum !== undefined && sum !== id) throw checksumMismatch(archive.url ?? '', id, sum);
        return stored;
      }
      if (this.#ownHosts.has(url.hostname)) {
        throw new FissiumError(
          'ARCHIVE_NOT_FOUND',
          `There is no archive ${id} in the storage of this platform. Upload it again, for example with \`fissium package update\`.`,
        );
      }
    }
    const pinName = pinNameOf(pin, url.href);
    const pinned = await this.#archives.pinned(pinName);
    if (pinned !== undefined) {
      const stored = await this.#archives.findIntact(pinned);
      if (stored !== undefined) return stored;
    }
    const stored = await this.#download(url, sum, signal);
    if (sum === undefined) await this.#archives.pin(pinName, stored.digest);
    return stored;
  }

  async #download(
    url: URL,
    digest: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<StoredArchive> {
    // Credentials in a URL are not for messages.
    const shown = `${url.origin}${url.pathname}`;
    const idle = new AbortController();
    const timer = setTimeout(() => {
      idle.abort(new Error(`nothing arrived for ${this.#idleTimeoutMs / 1000} s`));
    }, this.#idleTimeoutMs);
    const deadline = AbortSignal.timeout(this.#timeoutMs);
    const signals = signal === undefined ? [idle.signal, deadline] : [idle.signal, deadline, signal];
    try {
      const answer = await fetch(url, {
        signal: AbortSignal.any(signals),
        redirect: 'follow',
        headers: this.#sign({ method: 'GET', url }),
      });
      if (!answer.ok || answer.body === null) {
        await answer.body?.cancel();
        const code =
          answer.status === 404 || answer.status === 410 ? 'ARCHIVE_NOT_FOUND' : 'ARCHIVE_UNREACHABLE';
        throw new FissiumError(code, `${shown} answered ${answer.status} instead of the archive.`);
      }
      const body = refreshing(answer.body, timer);
      return await this.#archives.put(body, {
        limitBytes: this.#limitBytes,
        what: shown,
        ...(digest === undefined ? {} : { digest }),
      });
    } catch (error) {
      if (error instanceof FissiumError) throw error;
      throw new FissiumError('ARCHIVE_UNREACHABLE', `${shown} could not be fetched: ${reasonOf(error)}.`, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
    }
  }
}

async function* refreshing(
  body: ReadableStream<Uint8Array>,
  timer: NodeJS.Timeout,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    timer.refresh();
    yield chunk;
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new FissiumError(
      'ARCHIVE_REFUSED',
      `The archive's url ${JSON.stringify(text)} is not an http or https URL.`,
    );
  }
  return url;
}

/**
 * The digest that a URL of a storage service names. The host does not matter: what is in the store under a digest
 * is that content wherever else it lies.
 */
function storageId(url: URL): string | undefined {
  const name = archiveIdOf(url.href)?.name ?? '';
  return isDigest(name) ? name : undefined;
}

function checksumMismatch(url: string, actual: string, wanted: string): FissiumError {
  return new FissiumError(
    'ARCHIVE_REFUSED',
    `${url} has the sha256 ${actual}, but its checksum is ${wanted}.`,
  );
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch() hides the reason: "fetch failed".
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  if (cause.message !== '') return cause.message;
  return (cause as NodeJS.ErrnoException).code ?? error.message;
}
