/** One call by HTTP, streaming both ways. */
import { PassThrough, Readable } from 'node:stream';

import type { Dispatcher } from 'undici';

import { FissiumError } from '../errors.ts';
import type { HeaderList, InvokeRequest, InvokeResponse } from './executor.ts';
import { headersFor, pairs, type ProxiedCall, type ProxyOptions, type ProxyTarget } from './http-target.ts';
import { proxyUpgrade } from './http-upgrade.ts';

export type { ProxyTarget } from './http-target.ts';

/** Bodies that say they are no longer are read whole before the head goes on. */
const WHOLE_BODY_BYTES = 32 * 1024;

export function proxy(target: ProxyTarget, request: InvokeRequest, options: ProxyOptions): ProxiedCall {
  if (request.upgrade !== undefined) return proxyUpgrade(target, request, request.upgrade, options);
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  const controller = new AbortController();
  return {
    done,
    cancel: () => controller.abort(),
    goAway: () => undefined,
    response: begin(target, request, controller.signal, options, finish),
  };
}

async function begin(
  target: ProxyTarget,
  request: InvokeRequest,
  cancelled: AbortSignal,
  options: ProxyOptions,
  finish: () => void,
): Promise<InvokeResponse> {
  const { signal } = request;
  const { promise: gone, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  const answer = exchange(target, request, cancelled, options, finish);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([answer, gone]);
  } catch (error) {
    // Nobody reads what still comes.
    answer.then(discard, () => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function exchange(
  target: ProxyTarget,
  request: InvokeRequest,
  cancelled: AbortSignal,
  options: ProxyOptions,
  finish: () => void,
): Promise<InvokeResponse> {
  try {
    const path = (options.pathPrefix ?? '') + request.pathWithQuery;
    const answer = await target.pool.request({
      path,
      method: request.method as Dispatcher.HttpMethod,
      headers: headersFor(target, request, path),
      body: request.body instanceof Readable ? untilSent(request.body) : request.body,
      signal: cancelled,
      responseHeaders: 'raw',
    });
    const headers = pairs(answer.headers as unknown as readonly string[]);
    const length = Number(
      headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1] ?? Number.NaN,
    );
    const head = { status: answer.statusCode, headers, coldStart: options.coldStart };
    if (length <= WHOLE_BODY_BYTES) {
      const body = request.method === 'HEAD' ? new Uint8Array() : await answer.body.bytes();
      if (request.method === 'HEAD') await answer.body.dump();
      finish();
      return { ...head, body, trailers: trailersOf(answer.trailers) };
    }
    const { promise: trailers, resolve } = Promise.withResolvers<HeaderList>();
    answer.body.once('end', () => resolve(trailersOf(answer.trailers)));
    answer.body.once('close', finish);
    return { ...head, body: failingWith(answer.body, target), trailers };
  } catch (error) {
    finish();
    const { body } = request;
    if (body instanceof Readable && body.errored instanceof FissiumError) throw body.errored;
    if (cancelled.aborted) throw new FissiumError('CLIENT_GONE', 'The call was broken off.');
    throw Object.assign(await target.failure(error), { cause: error });
  }
}

/**
 * The body, untouched until the first of it is sent: undici destroys a stream whose connection could not be made,
 * and the call may still go elsewhere.
 */
function untilSent(body: Readable): Readable {
  async function* read(): AsyncGenerator<Uint8Array> {
    // Who has answered early wants no more of it: that is no failure, and the rest is the caller's to deal with.
    yield* body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  }
  return Readable.from(read(), { objectMode: false });
}

/** The body, ending with a FissiumError where the target's does not end well. */
export function failingWith(source: Readable, target: ProxyTarget): Readable {
  const body = new PassThrough();
  source.once('error', (cause) => {
    if (body.destroyed) return;
    target.failure(cause).then(
      (failure) => body.destroy(Object.assign(failure, { cause })),
      () => body.destroy(cause),
    );
  });
  body.once('close', () => source.destroy());
  return source.pipe(body);
}

function discard({ body }: InvokeResponse): void {
  if (body instanceof Uint8Array) return;
  body.on('error', () => {});
  body.resume();
}

function trailersOf(trailers: Readonly<Record<string, string>>): HeaderList {
  return Object.entries(trailers);
}
