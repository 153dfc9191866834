/** What a builder pod is asked, by Fission's contract: its fetcher at 8000, its builder at 8001. */
import { createHash } from 'node:crypto';

import { type Agent, request } from 'undici';

import { deriveServiceKey, signedHeaders } from '../../auth/internal-auth.ts';
import { FissiumError, type ErrorCode } from '../../errors.ts';
import { FETCHER_PORT } from '../../executors/pods/containers.ts';
import {
  type Archive,
  FETCH_TYPES,
  type FetchRequest,
  type UploadRequest,
  type UploadResponse,
} from '../../fetcher/contract.ts';
import { BuildError } from '../builder.ts';
import { BuildLog } from '../build-log.ts';
import { BUILDER_PORT } from './builder-objects.ts';

export interface BuilderClientOptions {
  readonly agent: Agent;
  /** Of Fission's internal authentication; null where it is off. */
  readonly authSecret: string | null;
  /** @default Fission's: 8000 and 8001 */
  readonly ports?: { readonly fetcher: number; readonly builder: number };
}

export interface BuilderAddress {
  readonly ip: string;
  readonly namespace: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

type Service = 'fetcher' | 'builder';

/** A log may be long; more than this is no answer of a builder. */
const READ_LIMIT_BYTES = 64 * 1024 * 1024;
const CLEAN_TIMEOUT_MS = 30_000;
const SHOWN_CHARACTERS = 1000;

/** The pod did not answer, or not to the end: another one may. */
export class BuilderGoneError extends Error {}

export class BuilderClient {
  readonly #options: BuilderClientOptions;

  constructor(options: BuilderClientOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the archive lies in the pod's volume under the name.
   * @throws FissiumError ARCHIVE_*, BODY_TOO_LARGE, BUILDER_UNREACHABLE; BuilderGoneError
   */
  async fetch(
    pod: BuilderAddress,
    source: { readonly namespace: string; readonly name: string; readonly archive: Archive },
    filename: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace, name, archive } = source;
    const body: FetchRequest = {
      fetchType: FETCH_TYPES.source,
      package: { namespace, name },
      archive,
      filename,
    };
    const { status, text } = await this.#ask(pod, 'fetcher', 'POST', '/fetch', body, signal);
    if (status < 300) return;
    throw new FissiumError(fetchCode(status), `The source cannot be brought to the builder: ${shown(text)}`);
  }

  /**
   * @returns the name of what was built, in the volume, and what the build said
   * @throws BuildError BUILD_FAILED with the log; FissiumError BUILDER_UNREACHABLE; BuilderGoneError
   */
  async build(
    pod: BuilderAddress,
    filename: string,
    command: string,
    signal: AbortSignal,
  ): Promise<{ artifact: string; log: string }> {
    const body = { srcPkgFilename: filename, command };
    const { status, text } = await this.#ask(pod, 'builder', 'POST', '/', body, signal);
    const { artifactFilename, buildLogs } = readBuilt(text);
    if (typeof artifactFilename !== 'string' || typeof buildLogs !== 'string') {
      throw new FissiumError(
        'BUILDER_UNREACHABLE',
        `What answers in place of the builder (${status}) is none: ${shown(text)}`,
      );
    }
    const kept = new BuildLog();
    kept.add(buildLogs);
    const log = kept.text();
    if (status < 300) return { artifact: artifactFilename, log };
    if (status === 401 || status === 403) throw notSigned('builder', status, log);
    throw new BuildError('BUILD_FAILED', whyFailed(log), log);
  }

  /**
   * Has what was built taken to the storage service.
   * @throws FissiumError BUILD_FAILED (nothing was built, or no archive can be made of it), STORAGE_FULL,
   *   STORAGE_UNREACHABLE; BuilderGoneError
   */
  async upload(pod: BuilderAddress, body: UploadRequest, signal: AbortSignal): Promise<UploadResponse> {
    const { status, text } = await this.#ask(pod, 'fetcher', 'POST', '/upload', body, signal);
    if (status >= 300) throw new FissiumError(uploadCode(status, text), shown(text));
    const { archiveDownloadUrl, checksum } = JSON.parse(text) as UploadResponse;
    return { archiveDownloadUrl, checksum };
  }

  /** Has names of the volume removed, by the builder: it may have made them as root. */
  async clean(pod: BuilderAddress, filename: string): Promise<void> {
    const uri = `/clean?name=${encodeURIComponent(filename)}`;
    await this.#ask(pod, 'builder', 'DELETE', uri, undefined, AbortSignal.timeout(CLEAN_TIMEOUT_MS));
  }

  async #ask(
    { ip, namespace }: BuilderAddress,
    service: Service,
    method: 'POST' | 'DELETE',
    uri: string,
    body: object | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { agent, authSecret, ports = { fetcher: FETCHER_PORT, builder: BUILDER_PORT } } = this.#options;
    const text = body === undefined ? '' : JSON.stringify(body);
    const bodyDigest = createHash('sha256').update(text).digest('hex');
    const signature =
      authSecret === null
        ? {}
        : signedHeaders(deriveServiceKey(authSecret, service, namespace), { method, uri, bodyDigest });
    const host = ip.includes(':') ? `[${ip}]` : ip;
    try {
      const answer = await request(`http://${host}:${ports[service]}${uri}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...signature },
        ...(body === undefined ? {} : { body: text }),
        dispatcher: agent,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const given = { status: answer.statusCode, text: await readText(answer.body) };
      if (service === 'fetcher' && (given.status === 401 || given.status === 403)) {
        throw notSigned(service, given.status, given.text);
      }
      return given;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof FissiumError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new BuilderGoneError(`its ${service} does not answer: ${why}`, { cause: error });
    }
  }
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > READ_LIMIT_BYTES) {
      throw new FissiumError('BUILD_FAILED', 'The build said more than 64 MiB: have its command say less.');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readBuilt(text: string): { readonly artifactFilename?: unknown; readonly buildLogs?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as object;
  } catch {
    return {};
  }
}

/** Our own builder ends its log with why; of others, the last line is most often it. */
function whyFailed(log: string): string {
  const line = log.trim().split('\n').at(-1)?.trim() ?? '';
  if (line.startsWith('The build ')) return line;
  return line === '' ? 'The build failed and said nothing.' : `The build failed: ${line.slice(0, 300)}`;
}

/** The fetcher's statuses are those of the codes that it failed with. */
function fetchCode(status: number): ErrorCode {
  if (status === 404) return 'ARCHIVE_NOT_FOUND';
  if (status === 413) return 'BODY_TOO_LARGE';
  return status < 500 ? 'ARCHIVE_REFUSED' : 'ARCHIVE_UNREACHABLE';
}

function uploadCode(status: number, text: string): ErrorCode {
  if (status < 500) return 'BUILD_FAILED';
  return /answered 507/.test(text) ? 'STORAGE_FULL' : 'STORAGE_UNREACHABLE';
}

function notSigned(service: Service, status: number, text: string): FissiumError {
  return new FissiumError(
    'BUILDER_UNREACHABLE',
    `The ${service} of the builder's pod does not take the request for the platform's own (${status}): ${shown(text)} Do both have the same FISSION_INTERNAL_AUTH_SECRET?`,
  );
}

function shown(text: string): string {
  const words = text.trim();
  return words === '' ? 'no reason is given.' : words.slice(0, SHOWN_CHARACTERS);
}
