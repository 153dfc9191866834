/** What a controller listens for: health, metrics, and what routers want. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';

import type { AuthSecrets } from '../../auth/request-signer.ts';
import { type SignatureGate, signatureGate } from '../../auth/signature-gate.ts';
import { errorBody, toFissiumError } from '../../router/answers.ts';
import { listenError } from '../../router/listener.ts';
import type { PlatformMetrics } from '../../observe/index.ts';
import type { DemandReport } from '../../router/cluster/demand.ts';

export interface ControllerListenerOptions {
  readonly logger: Logger;
  readonly metrics: PlatformMetrics;
  /** For `/readyz`. */
  readonly ready: () => boolean;
  /** By which routers sign what they want, on the channel `executor`. @default nobody does */
  readonly auth?: AuthSecrets;
  /** Takes what a router wants; null while another controller leads. */
  readonly demand: () => ((report: DemandReport) => Promise<void>) | null;
}

/** Thousands of functions fit. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;

export class ControllerListener {
  readonly #options: ControllerListenerOptions;
  readonly #server: Server;
  readonly #gate: SignatureGate | null;

  constructor(options: ControllerListenerOptions) {
    this.#options = options;
    const { auth } = options;
    this.#gate =
      auth === undefined
        ? null
        : signatureGate('executor', auth, "the controller's port", { bodyBytes: BODY_LIMIT_BYTES });
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((err: unknown) => {
        options.logger.warn({ err }, 'a request to the controller failed');
        if (response.headersSent) {
          response.destroy();
          return;
        }
        const error = toFissiumError(err);
        response
          .writeHead(error.status, { 'content-type': 'application/json', connection: 'close' })
          .end(errorBody(error, ''));
      });
    });
  }

  async listen(host: string, port: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    this.#server.listen({ host, port }, resolve);
    await promise;
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeIdleConnections();
    setTimeout(() => this.#server.closeAllConnections(), 1_000).unref();
    await promise;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metrics, ready, demand } = this.#options;
    switch (`${request.method} ${request.url}`) {
      case 'GET /healthz':
        response.writeHead(200).end();
        return;
      case 'GET /readyz':
        response.writeHead(ready() ? 200 : 503).end();
        return;
      case 'GET /metrics': {
        const { contentType, body } = await metrics.page();
        response.writeHead(200, { 'content-type': contentType }).end(body);
        return;
      }
      case 'POST /v1/demand': {
        const held = await this.#gate?.admit(request, response);
        held?.release();
        const take = demand();
        const report = await readReport(held?.chunks ?? (request as AsyncIterable<Buffer>));
        if (take === null || report === null) {
          response.writeHead(take === null ? 409 : 400).end();
          return;
        }
        // Not waited for: the router asks again for as long as somebody waits.
        take(report).catch((err: unknown) => this.#options.logger.warn({ err }, 'a demand could not be met'));
        response.writeHead(202).end();
        return;
      }
      default:
        response.writeHead(404).end();
    }
  }
}

/** Null where the body is no report. */
async function readReport(body: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<DemandReport | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > BODY_LIMIT_BYTES) return null;
    chunks.push(chunk);
  }
  try {
    const report = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Partial<DemandReport> | null;
    const functions = report?.functions;
    if (!Array.isArray(functions)) return null;
    const isEach = functions.every(
      (fn: Record<string, unknown> | null) =>
        typeof fn?.['namespace'] === 'string' &&
        typeof fn['name'] === 'string' &&
        typeof fn['uid'] === 'string' &&
        Number.isSafeInteger(fn['running']) &&
        Number.isSafeInteger(fn['queued']),
    );
    return isEach ? (report as DemandReport) : null;
  } catch {
    return null;
  }
}
