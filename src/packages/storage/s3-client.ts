/** The few calls of S3 that a storage service needs, streamed both ways. */
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { AwsV4Signer } from 'aws4fetch';
import { Agent, type Dispatcher, request } from 'undici';

import { FissiumError } from '../../errors.ts';
import { parseListing, parseS3Error, type S3Object } from './s3-xml.ts';

export interface S3Options {
  /** `https://s3.eu-central-1.amazonaws.com`, `http://minio.storage:9000`; may have a path. */
  readonly endpoint: string;
  readonly bucket: string;
  /** @default 'us-east-1' */
  readonly region?: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
  /**
   * Whether the bucket is part of the host's name (`BUCKET.s3.amazonaws.com`) instead of the path.
   * @default false
   */
  readonly virtualHost?: boolean;
  /** Longest wait for the head of an answer, milliseconds. @default 60000 */
  readonly timeoutMs?: number;
  /** How often a call that the server could not take is made in all. @default 4 */
  readonly attempts?: number;
  /** Objects asked for in one list, 1000 at most. @default the server's, 1000 */
  readonly pageSize?: number;
}

/** sha256 of nothing. */
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const RETRY_BASE_MS = 100;

interface Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Makes the body anew for each attempt. */
  readonly body?: () => Readable;
  /** sha256 of the body, hex: signed, so that the server refuses any other content. */
  readonly bodyDigest?: string;
}

export class S3Client {
  readonly bucket: string;
  readonly #options: S3Options;
  readonly #base: URL;
  readonly #agent: Agent;

  /** @throws FissiumError BAD_OPTION */
  constructor(options: S3Options) {
    const { endpoint, bucket, timeoutMs = 60_000 } = options;
    const base = URL.parse(endpoint);
    if (base === null || !/^https?:$/.test(base.protocol)) {
      throw new FissiumError(
        'BAD_OPTION',
        `The S3 endpoint ${JSON.stringify(endpoint)} is not an http or https URL.`,
      );
    }
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
      throw new FissiumError('BAD_OPTION', `The S3 bucket ${JSON.stringify(bucket)} is no bucket's name.`);
    }
    if (options.virtualHost === true) base.hostname = `${bucket}.${base.hostname}`;
    else base.pathname = `${base.pathname.replace(/\/+$/, '')}/${bucket}`;
    this.bucket = bucket;
    this.#options = options;
    this.#base = base;
    this.#agent = new Agent({ headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** @throws FissiumError STORAGE_UNREACHABLE */
  async put(key: string, content: () => Readable, sizeBytes: number, digest: string): Promise<void> {
    const headers = { 'content-length': String(sizeBytes), 'content-type': 'application/octet-stream' };
    const answer = await this.#call({ method: 'PUT', key, headers, body: content, bodyDigest: digest });
    await answer.body.dump();
  }

  /** Length and time, or undefined where there is none. */
  async head(key: string): Promise<{ sizeBytes: number; modifiedMs: number } | undefined> {
    const answer = await this.#call({ method: 'HEAD', key });
    await answer.body.dump();
    if (answer.statusCode === 404) return undefined;
    const { 'content-length': length, 'last-modified': modified } = answer.headers;
    return { sizeBytes: Number(length), modifiedMs: Date.parse(String(modified)) };
  }

  async get(key: string): Promise<Readable | undefined> {
    const answer = await this.#call({ method: 'GET', key });
    if (answer.statusCode !== 404) return answer.body;
    await answer.body.dump();
    return undefined;
  }

  /** Also where there is none. */
  async remove(key: string): Promise<void> {
    const answer = await this.#call({ method: 'DELETE', key });
    await answer.body.dump();
  }

  async *list(prefix: string): AsyncIterable<S3Object> {
    const { pageSize } = this.#options;
    let token: string | undefined;
    do {
      const answer = await this.#call({
        method: 'GET',
        key: '',
        query: {
          'list-type': '2',
          'encoding-type': 'url',
          prefix,
          ...(pageSize === undefined ? {} : { 'max-keys': String(pageSize) }),
          ...(token === undefined ? {} : { 'continuation-token': token }),
        },
      });
      const page = parseListing(await answer.body.text());
      yield* page.objects;
      token = page.next;
    } while (token !== undefined);
  }

  /** 404 of an object is an answer; of a bucket, and anything else that is no success, a failure. */
  async #call(call: Call): Promise<Dispatcher.ResponseData> {
    const { attempts = 4 } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.#send(call);
        if (answer.statusCode < 300) return answer;
        if (answer.statusCode === 404 && call.key !== '' && call.method === 'HEAD') return answer;
        const text = await answer.body.text();
        const { code, message } = parseS3Error(text);
        if (answer.statusCode === 404 && (code === 'NoSuchKey' || (code === '' && call.key !== ''))) {
          return answer;
        }
        const isPassing = answer.statusCode >= 500 || answer.statusCode === 429;
        if (!isPassing || attempt >= attempts) {
          throw this.#failure(`${answer.statusCode} ${code} ${message}`.trim());
        }
      } catch (error) {
        if (error instanceof FissiumError) throw error;
        if (attempt >= attempts) throw this.#failure(reasonOf(error), error);
      }
      await delay(RETRY_BASE_MS * 4 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }

  async #send({
    method,
    key,
    query = {},
    headers = {},
    body,
    bodyDigest = EMPTY,
  }: Call): Promise<Dispatcher.ResponseData> {
    const { region = 'us-east-1', accessKeyId, secretAccessKey, sessionToken } = this.#options;
    const url = new URL(this.#base);
    if (key !== '') url.pathname = `${url.pathname.replace(/\/+$/, '')}/${encodeKey(key)}`;
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const signer = new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers, 'x-amz-content-sha256': bodyDigest },
      service: 's3',
      region,
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    });
    const signed = await signer.sign();
    return request(signed.url, {
      method,
      // The length is none of the signed headers, and fetch's Headers would not give it back.
      headers: { ...Object.fromEntries(signed.headers), ...headers },
      body: body?.() ?? null,
      dispatcher: this.#agent,
    });
  }

  #failure(why: string, cause?: unknown): FissiumError {
    return new FissiumError(
      'STORAGE_UNREACHABLE',
      `The bucket ${this.bucket} at ${this.#base.origin} does not do what it was asked: ${why}.`,
      cause === undefined ? {} : { cause },
    );
  }
}

function encodeKey(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/');
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === '' ? ((error as NodeJS.ErrnoException).code ?? error.name) : error.message;
}
