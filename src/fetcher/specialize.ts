import { setTimeout as delay } from 'node:timers/promises';

import { readText, send } from '../kube/transport.ts';
import type { LoadRequest } from './contract.ts';
import { RequestError } from './request-error.ts';

/** Fission's: the runtime's image may have to be pulled first. */
const WAIT_MS = 7 * 60_000;
const FIRST_DELAY_MS = 10;
const DELAY_LIMIT_MS = 250;

/**
 * Has the runtime load a function: with a JSON body, or without one for environments of version 1. Waits for the
 * runtime to listen; what it has begun to answer is never asked for again.
 * @throws RequestError with the runtime's status and what it said
 */
export async function loadInto(runtimeUrl: string, request: LoadRequest, signal: AbortSignal): Promise<void> {
  const isV1 = request.envVersion < 2;
  const url = new URL(isV1 ? '/specialize' : '/v2/specialize', runtimeUrl);
  const deadline = performance.now() + WAIT_MS;
  for (let waitMs = FIRST_DELAY_MS; ; waitMs = Math.min(waitMs * 2, DELAY_LIMIT_MS)) {
    try {
      const answer = await send({
        method: 'POST',
        url,
        headers: { 'content-type': isV1 ? 'text/plain' : 'application/json' },
        body: isV1 ? '' : JSON.stringify(request),
        signal,
      });
      const status = answer.statusCode ?? 500;
      const said = (await readText(answer, 1024 * 1024)).trim();
      if (status < 300) return;
      throw new RequestError(
        status >= 400 ? status : 500,
        `The runtime could not load the function: ${said.slice(0, 4000)}`,
      );
    } catch (error) {
      if (error instanceof RequestError) throw error;
      signal.throwIfAborted();
      const isRefused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
      if (!isRefused || performance.now() > deadline) {
        const why = error instanceof Error ? error.message : String(error);
        throw new RequestError(500, `The runtime at ${url.host} did not answer: ${why}`, { cause: error });
      }
      await delay(waitMs, undefined, { signal });
    }
  }
}
