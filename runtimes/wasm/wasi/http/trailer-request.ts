/**
 * Sends a request with trailers (RFC 9112, section 7.1.2), which undici cannot: through node:http, over a connection
 * of undici's, so that the same policy holds for it. The connection serves this one request.
 */
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { buildConnector, Dispatcher } from 'undici';
import type { RequestBody } from './request-body.ts';

export interface TrailerRequest {
  readonly origin: string;
  readonly method: string;
  readonly path: string;
  /** Names and values by turns. */
  readonly headers: readonly string[];
  readonly body: RequestBody;
}

/** Tells the handler what undici would tell it. Failures go to the handler, too. */
export function sendWithTrailers(
  { origin, method, path, headers, body }: TrailerRequest,
  connector: buildConnector.connector,
  handler: Dispatcher.DispatchHandler,
): void {
  const { protocol, host, hostname, port } = new URL(origin);
  const outgoing = request({
    method,
    path,
    setHost: false,
    // Given as a list, they go out as they are.
    headers: ['host', host, 'connection', 'close', 'transfer-encoding', 'chunked', ...headers],
    // In the place of an agent.
    createConnection: (_options, connected) => {
      const target = { protocol, host, hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port };
      connector(target, (error, socket) => {
        if (error) {
          connected(error, undefined as never);
          return;
        }
        connected(null, socket);
        handler.onRequestStart?.(controller, {});
        void sendBody(outgoing, body);
      });
      // Node's declaration leaves out that there may be none yet.
      return undefined as never;
    },
  });
  const controller = new RequestController(outgoing);
  outgoing.on('response', (response) => receive(response, controller, handler));
  outgoing.on('error', (error) => handler.onResponseError?.(controller, error));
}

class RequestController implements Dispatcher.DispatchController {
  rawHeaders: string[] = [];
  rawTrailers: string[] = [];
  response: IncomingMessage | null = null;
  readonly #request: ClientRequest;
  #reason: Error | null = null;

  constructor(outgoing: ClientRequest) {
    this.#request = outgoing;
  }

  get aborted(): boolean {
    return this.#reason !== null;
  }

  get reason(): Error | null {
    return this.#reason;
  }

  get paused(): boolean {
    return this.response?.isPaused() ?? false;
  }

  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#request.destroy(reason);
  }

  pause(): void {
    this.response?.pause();
  }

  resume(): void {
    this.response?.resume();
  }
}

async function sendBody(outgoing: ClientRequest, body: RequestBody): Promise<void> {
  for await (const chunk of body) {
    if (!outgoing.write(chunk)) await drained(outgoing);
  }
  const { trailers } = body;
  if (trailers === null) {
    // Broken off, or no longer wanted: it must not look whole.
    outgoing.destroy();
    return;
  }
  outgoing.addTrailers(trailers.map(([name, value]): [string, string] => [name, value]));
  outgoing.end();
}

function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      outgoing.off('drain', go);
      outgoing.off('close', go);
      resolve();
    };
    outgoing.on('drain', go);
    outgoing.on('close', go);
  });
}

function receive(
  response: IncomingMessage,
  controller: RequestController,
  handler: Dispatcher.DispatchHandler,
): void {
  controller.response = response;
  controller.rawHeaders = response.rawHeaders;
  handler.onResponseStart?.(controller, response.statusCode ?? 0, response.headers, response.statusMessage);
  response.on('data', (chunk: Buffer) => handler.onResponseData?.(controller, chunk));
  response.on('end', () => {
    controller.rawTrailers = response.rawTrailers;
    handler.onResponseEnd?.(controller, {});
  });
  // Also where the connection ends before the body does.
  response.on('error', (error) => handler.onResponseError?.(controller, error));
}
