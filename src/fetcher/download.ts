/** Brings what a URL names into a file, checked. */
import type { IncomingMessage } from 'node:http';

import { decodeKey, deriveServiceKey, signedHeaders } from '../auth/internal-auth.ts';
import { FissiumError } from '../errors.ts';
import { send } from '../kube/transport.ts';
import { type SpooledArchive, spoolArchive } from '../packages/archives.ts';

/** How requests to the storage service are signed: with a tenant's own key, or with the installation's secret. */
export type StorageSigner = (request: {
  readonly method: string;
  readonly url: URL;
  readonly bodyDigest?: string;
}) => Record<string, string>;

/** Fission's variables: `FISSION_STORAGE_KEY` (a tenant's key, hex), else `FISSION_INTERNAL_AUTH_SECRET`. */
export function storageSigner(
  env: Readonly<Record<string, string | undefined>>,
  namespace: string,
): StorageSigner {
  const own = decodeKey(env['FISSION_STORAGE_KEY']);
  const secret = env['FISSION_INTERNAL_AUTH_SECRET'] ?? '';
  const key = own ?? (secret === '' ? null : deriveServiceKey(secret, 'storagesvc'));
  if (key === null) return () => ({});
  return ({ method, url, bodyDigest }) => {
    const uri = url.pathname + url.search;
    const request = bodyDigest === undefined ? { method, uri } : { method, uri, bodyDigest };
    return isStorage(url) ? signedHeaders(key, request, own === null ? undefined : namespace) : {};
  };
}

/** A signature is for the installation's own storage service, not for whatever has the same path elsewhere. */
function isStorage({ hostname, pathname }: URL): boolean {
  return /^storage(?:svc)?(?:\.|$)/.test(hostname) && /^\/v1\/archives?$/.test(pathname);
}

export interface DownloadOptions {
  readonly folder: string;
  readonly signer: StorageSigner;
  readonly limitBytes: number;
  /** sha256 that the content must have, hex; undefined for any. */
  readonly digest: string | undefined;
  readonly signal: AbortSignal;
}

const REDIRECTS = 5;
const HEAD_TIMEOUT_MS = 30_000;
const IDLE_TIMEOUT_MS = 30_000;

/** @throws FissiumError ARCHIVE_REFUSED, ARCHIVE_NOT_FOUND, ARCHIVE_UNREACHABLE (may pass), BODY_TOO_LARGE */
export async function download(address: string, options: DownloadOptions): Promise<SpooledArchive> {
  const { folder, limitBytes, digest } = options;
  let url = parse(address);
  for (let hops = 0; ; hops++) {
    const answer = await request(url, options);
    const status = answer.statusCode ?? 0;
    const { location } = answer.headers;
    // Credentials in a URL are not for messages.
    const shown = `${url.origin}${url.pathname}`;
    if (status >= 300 && status < 400 && location !== undefined && hops < REDIRECTS) {
      answer.resume();
      url = parse(new URL(location, url).href);
      continue;
    }
    if (status !== 200) {
      answer.resume();
      throw new FissiumError(codeOf(status), `${shown} answered ${status} instead of the archive.`);
    }
    answer.setTimeout(IDLE_TIMEOUT_MS, () => answer.destroy(new Error('nothing arrived for 30 s')));
    try {
      const checks = digest === undefined ? {} : { digest };
      return await spoolArchive(folder, answer, { limitBytes, what: shown, ...checks });
    } catch (error) {
      answer.destroy();
      throw error instanceof FissiumError ? error : unreachable(url, error);
    }
  }
}

async function request(url: URL, { signer, signal }: DownloadOptions): Promise<IncomingMessage> {
  const headers = signer({ method: 'GET', url });
  try {
    return await send({ method: 'GET', url, headers, signal, headTimeoutMs: HEAD_TIMEOUT_MS });
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(url, error);
  }
}

function codeOf(status: number): 'ARCHIVE_NOT_FOUND' | 'ARCHIVE_REFUSED' | 'ARCHIVE_UNREACHABLE' {
  if (status === 404 || status === 410) return 'ARCHIVE_NOT_FOUND';
  return status >= 500 || status === 429 ? 'ARCHIVE_UNREACHABLE' : 'ARCHIVE_REFUSED';
}

function parse(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new FissiumError(
    'ARCHIVE_REFUSED',
    `The archive's url ${JSON.stringify(text)} is not an http or https URL.`,
  );
}

function unreachable(url: URL, cause: unknown): FissiumError {
  const { message, code } = cause as NodeJS.ErrnoException;
  return new FissiumError(
    'ARCHIVE_UNREACHABLE',
    `${url.origin}${url.pathname} could not be fetched: ${message === '' ? (code ?? 'no reason') : message}.`,
    { cause },
  );
}
