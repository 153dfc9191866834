/** Asks the fetcher of a pod to specialise it. */
import { type Agent, request } from 'undici';

import type { SpecializeRequest } from '../../fetcher/contract.ts';
import { FETCHER_PORT } from '../pods/containers.ts';

/**
 * Why a pod was not specialised.
 * - `gone`: the pod does not answer; another one may
 * - `refused`: the code cannot be had or does not load, as `message` says
 */
export class SpecialiseFailure extends Error {
  readonly kind: 'gone' | 'refused';
  /** One CamelCase word. */
  readonly reason: string;

  constructor(kind: SpecialiseFailure['kind'], reason: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SpecialiseFailure';
    this.kind = kind;
    this.reason = reason;
  }
}

export interface FetcherClientOptions {
  readonly agent: Agent;
  /** @default Fission's, 8000 */
  readonly port?: number;
  /** Headers by which the fetcher knows that the platform asks. */
  readonly sign?: (request: {
    method: string;
    uri: string;
    body: string;
    namespace: string;
  }) => Record<string, string>;
}

const PATH = '/specialize';
/** Answers are shown to people: their beginning and, since a trace ends with what went wrong, their end. */
const SHOWN_BEGINNING = 240;
const SHOWN_END = 600;
const READ_LIMIT_BYTES = 64 * 1024;

export class FetcherClient {
  readonly #options: FetcherClientOptions;

  constructor(options: FetcherClientOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the runtime has loaded the function.
   * @throws SpecialiseFailure
   */
  async specialise(
    pod: { readonly ip: string; readonly namespace: string },
    what: SpecializeRequest,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { agent, port = FETCHER_PORT, sign } = this.#options;
    const host = pod.ip.includes(':') ? `[${pod.ip}]` : pod.ip;
    const body = JSON.stringify(what);
    const { signal, timeoutMs } = options;
    const ends = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const headers = sign?.({ method: 'POST', uri: PATH, body, namespace: pod.namespace }) ?? {};
    let status: number;
    let text: string;
    try {
      const answer = await request(`http://${host}:${port}${PATH}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
        dispatcher: agent,
        signal: ends,
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      status = answer.statusCode;
      text = await readSome(answer.body);
    } catch (error) {
      signal.throwIfAborted();
      if (ends.aborted) {
        const seconds = Math.round(timeoutMs / 1000);
        throw new SpecialiseFailure(
          'refused',
          'SpecialiseTimeout',
          `The code was not loaded within ${seconds} s (SpecializationTimeout). Does it wait for something when it is loaded?`,
          error,
        );
      }
      const why = error instanceof Error ? error.message : String(error);
      throw new SpecialiseFailure(
        'gone',
        'FetcherUnreachable',
        `The pod's fetcher does not answer: ${why}`,
        error,
      );
    }
    if (status < 300) return;
    throw refusal(status, text);
  }
}

async function readSome(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size <= READ_LIMIT_BYTES) chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** How ours, and Fission's, begin where it was the runtime that refused. */
const RUNTIME_REFUSED = /^(The runtime could not load the function|error specializing function pod): */i;

/** What a fetcher says of its failure, in words. */
export function refusal(status: number, text: string): SpecialiseFailure {
  if (status === 401 || status === 403) {
    return new SpecialiseFailure(
      'refused',
      'FetcherRefused',
      `The fetcher does not take the request for the platform's own (${status}): ${shorten(text)}. Do both have the same FISSION_INTERNAL_AUTH_SECRET?`,
    );
  }
  const isRuntime = RUNTIME_REFUSED.test(text);
  const words = shorten(text.replace(RUNTIME_REFUSED, ''));
  if (isRuntime)
    return new SpecialiseFailure(
      'refused',
      'SpecialiseFailed',
      `Its code does not load (${status}): ${words}`,
    );
  return new SpecialiseFailure(
    'refused',
    'FetchFailed',
    `Its package, or a secret or config map that it names, cannot be brought to its pod (${status}): ${words}`,
  );
}

function shorten(message: string): string {
  const text = message.trim();
  if (text === '') return 'no reason is given';
  if (text.length <= SHOWN_BEGINNING + SHOWN_END) return text;
  return `${text.slice(0, SHOWN_BEGINNING)} … ${text.slice(-SHOWN_END)}`;
}
