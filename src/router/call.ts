/** One call of a function over HTTP, from its match to the last byte of its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { FissiumError } from '../errors.ts';
import { CallAbort } from '../executors/call-abort.ts';
import type { HeaderList, InvokeRequest, InvokeResponse } from '../executors/executor.ts';
import type { Admission, Release } from './admission.ts';
import { answerError, toFissiumError } from './answers.ts';
import type { CallObserver, FinishedCall } from './call-observer.ts';
import { Deadlines } from './deadlines.ts';
import type { FunctionEntry, FunctionTable } from './function-table.ts';
import { addFissionHeaders, REQUEST_ID_HEADER, requestHeaders, responseHead } from './headers.ts';
import { callReceipt, formatReceipt, PendingReceipt, RECEIPT_HEADER } from './receipt.ts';
import { discardRest, hasBody, RequestBody } from './request-body.ts';
import { endsWithConnection, sendBody, sendWhole, skipBody, wholeLength } from './send-response.ts';

/** What every call needs of the platform. */
export interface CallServices {
  readonly functions: FunctionTable;
  readonly admission: Admission;
  readonly observer: CallObserver;
  /**
   * Whether requests come from the platform's own routers: then their headers are for the function as they are.
   * @default false
   */
  readonly fromRouters?: boolean;
}

/** One request on its connection. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  /** `performance.now()` at its arrival. */
  readonly arrivedMs: number;
  /** Whether the listener is being closed, so that the connection may not be used again. */
  readonly closing: () => boolean;
}

/** Which function is called, and as what. */
export interface CallPlan {
  readonly namespace: string;
  readonly name: string;
  /** Path and query as the function sees them. */
  readonly pathWithQuery: string;
  readonly fullUrl: string;
  readonly authority: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
  /** The trigger's path, for metrics; '' for a call by name. */
  readonly pattern: string;
  /** Fields to add to whatever is answered. */
  readonly responseFields: readonly (readonly [name: string, value: string])[];
  /** Names (lower case) of the function's own fields to leave out. */
  readonly dropsResponseField: (name: string) => boolean;
}

const NO_BODY_STATUS: ReadonlySet<number> = new Set([204, 304]);

export class Call {
  readonly #services: CallServices;
  readonly #exchange: Exchange;
  readonly #plan: CallPlan;
  readonly #abort = new CallAbort();
  #deadlines: Deadlines | null = null;
  #requestBody: RequestBody | null = null;
  #response: InvokeResponse | null = null;
  #failure: FissiumError | null = null;
  #invokedMs: number | null = null;
  #continued = false;
  /** Whether the client asked for a receipt. */
  readonly #asked: boolean;
  #receipt: PendingReceipt | null = null;
  #waited = false;
  #release: Release | undefined;
  /** Told when the connection is closed. */
  #closed: () => void = () => {};

  constructor(services: CallServices, exchange: Exchange, plan: CallPlan) {
    this.#services = services;
    this.#exchange = exchange;
    this.#plan = plan;
    this.#asked = exchange.req.headers['x-fissium-receipt'] !== undefined;
  }

  /** Resolves when the request is over, however it ended; never rejects. */
  async run(): Promise<void> {
    const { functions, observer } = this.#services;
    const { req, res } = this.#exchange;
    const { namespace, name } = this.#plan;
    const entry = functions.get(namespace, name);
    if (entry !== undefined) observer.started(this.#plan);
    res.once('close', this.#onClose);
    try {
      if (entry === undefined) throw notFound(namespace, name);
      await this.#serve(entry);
    } catch (thrown) {
      this.fail(toFissiumError(thrown));
    } finally {
      this.#deadlines?.stop();
      this.#requestBody?.destroy();
      res.off('close', this.#onClose);
      this.#release?.();
    }
    if (!req.complete && res.headersSent) {
      if (res.writableFinished) discardRest(req);
      else res.once('finish', () => discardRest(req));
    }
    // A sample that no client waits for.
    if (entry !== undefined && this.#receipt !== null && !this.#asked) void this.#receiptOf(entry);
    // Names that nobody deployed must not become series of metrics.
    if (entry !== undefined) observer.finished(this.#summary());
  }

  /** Ends the call: answers with the failure, or destroys the connection where an answer has begun. */
  fail(error: FissiumError): void {
    if (this.#failure !== null) return;
    const { req, res, requestId } = this.#exchange;
    if (res.writableFinished) return;
    this.#failure = error;
    this.#abort.abort(error);
    this.#requestBody?.destroy();
    const body = this.#response?.body;
    if (body instanceof Readable) {
      // Perhaps nobody reads it yet.
      body.on('error', () => undefined);
      body.destroy(error);
    }
    if (res.destroyed || res.socket === null) return;
    if (!res.headersSent) {
      if (this.#exchange.closing()) res.shouldKeepAlive = false;
      answerError(req, res, error, requestId, this.#plan.responseFields);
    } else if (endsWithConnection(res)) res.socket.resetAndDestroy();
    else res.destroy();
  }

  async #serve(entry: FunctionEntry): Promise<void> {
    const { functions, admission } = this.#services;
    const { namespace, name } = entry;
    this.#refuseLongBody(entry);
    this.#deadlines = new Deadlines(
      () => `Function ${namespace}/${name}`,
      entry.limits,
      () => this.#response !== null || this.#requestBody?.starved === true,
      (error) => this.fail(error),
    );
    this.#release =
      admission.tryAcquire(namespace, name, entry.limits) ??
      (await admission.acquire(namespace, name, entry.limits, this.#abort));
    // It may have changed while the request waited for its turn.
    let settled = functions.get(namespace, name);
    if (settled?.state.phase === 'preparing') {
      this.#waited = true;
      settled = await functions.whenSettled(namespace, name, this.#abort);
    }
    if (settled === undefined) throw notFound(namespace, name);
    await this.#invoke(settled);
  }

  #summary(): FinishedCall {
    const { req, res, requestId, arrivedMs } = this.#exchange;
    const now = performance.now();
    return {
      plan: this.#plan,
      requestId,
      method: req.method ?? 'GET',
      status: this.#failure?.code === 'CLIENT_GONE' ? this.#failure.status : res.statusCode,
      durationMs: now - arrivedMs,
      overheadMs: (this.#invokedMs ?? now) - arrivedMs,
      coldStart: this.#response?.coldStart === true,
      failure: this.#failure,
    };
  }

  async #invoke(entry: FunctionEntry): Promise<void> {
    const { req, res } = this.#exchange;
    const { state } = entry;
    if (state.phase === 'refused') throw notCallable(entry, state.error);
    if (state.phase === 'preparing')
      throw new FissiumError('INTERNAL', 'A settled function is still being prepared.');
    if (this.#asked || this.#services.observer.samples()) this.#receipt = new PendingReceipt();
    const request = this.#makeRequest(entry);
    this.#invokedMs = performance.now();
    const response = await this.#whileAlive(state.invoker.invoke(request));
    this.#response = response;
    this.#deadlines?.headArrived();
    const head = responseHead(response.status, response.headers, this.#dropsField);
    if (typeof head === 'string') {
      throw new FissiumError(
        'GUEST_BAD_RESPONSE',
        `The answer of function ${entry.namespace}/${entry.name} cannot be sent: ${head}.`,
      );
    }
    const expectsContinue = req.headers.expect !== undefined && !this.#continued;
    if (this.#exchange.closing() || expectsContinue) res.shouldKeepAlive = false;
    const isWhole = !(response.body instanceof Readable);
    const bodiless = req.method === 'HEAD' || NO_BODY_STATUS.has(head.status);
    const { headers } = head;
    if (!bodiless) headers.push(...wholeLength(response, head));
    for (const [name, value] of this.#plan.responseFields) headers.push(name, value);
    headers.push(REQUEST_ID_HEADER, this.#exchange.requestId);
    if (this.#asked && isWhole) {
      const receipt = await this.#receiptOf(entry);
      if (receipt !== null) headers.push(RECEIPT_HEADER, receipt);
    }
    res.writeHead(head.status, headers);
    if (bodiless) {
      res.end();
      if (response.body instanceof Readable) await skipBody(response.body);
      return;
    }
    if (isWhole) await sendWhole(res, response);
    else {
      await sendBody(res, response, head, {
        onProgress: () => this.#deadlines?.progress(),
        trailers: this.#asked ? () => this.#receiptTrailer(entry) : null,
      });
    }
    await this.#sent();
  }

  /** The receipt as the client gets it, or null where there is none. */
  async #receiptOf(entry: FunctionEntry): Promise<string | null> {
    const made = await this.#receipt?.wait();
    if (!made) return null;
    const overheadMs = (this.#invokedMs ?? 0) - this.#exchange.arrivedMs;
    const receipt = callReceipt(made, overheadMs, this.#waited);
    this.#services.observer.measured(entry, receipt);
    return formatReceipt(receipt);
  }

  async #receiptTrailer(entry: FunctionEntry): Promise<HeaderList> {
    const receipt = await this.#receiptOf(entry);
    return receipt === null ? [] : [[RECEIPT_HEADER, receipt]];
  }

  readonly #dropsField = (name: string): boolean =>
    name === 'x-fission-request-id' || this.#plan.dropsResponseField(name);

  #makeRequest(entry: FunctionEntry): InvokeRequest {
    const { req, res, requestId } = this.#exchange;
    const { pathWithQuery, fullUrl, authority, parameters } = this.#plan;
    const fromRouters = this.#services.fromRouters === true;
    const headers = requestHeaders(req.rawHeaders, fromRouters);
    if (!fromRouters) {
      addFissionHeaders(headers, {
        requestId,
        fullUrl,
        authority,
        clientAddress: req.socket.remoteAddress ?? '',
        function: entry,
        parameters,
      });
    }
    const body = hasBody(req)
      ? new RequestBody(req, {
          limitBytes: entry.limits.bodyLimitBytes,
          onWanted: () => {
            if (req.headers.expect === undefined || res.headersSent) return;
            this.#continued = true;
            res.writeContinue();
          },
          onProgress: () => this.#deadlines?.progress(),
        })
      : null;
    // Destroyed by its reader without an error it says nothing; with one, of ours, it ends the call.
    body?.on('error', (thrown) => this.fail(toFissiumError(thrown)));
    this.#requestBody = body;
    return {
      id: requestId,
      method: req.method ?? 'GET',
      scheme: 'http',
      authority,
      pathWithQuery,
      headers,
      body,
      ...(body === null ? {} : { trailers: body.trailers }),
      signal: this.#abort,
      ...(this.#receipt === null ? {} : { onReceipt: this.#receipt.receive }),
    };
  }

  #refuseLongBody({ limits }: FunctionEntry): void {
    const length = Number(this.#exchange.req.headers['content-length'] ?? 0);
    if (length <= limits.bodyLimitBytes) return;
    throw new FissiumError(
      'BODY_TOO_LARGE',
      `The request's body has ${length} bytes; the function takes ${limits.bodyLimitBytes}.`,
    );
  }

  /** The invoker's answer, or the failure that ends the call before it comes. */
  #whileAlive(answer: Promise<InvokeResponse>): Promise<InvokeResponse> {
    const signal = this.#abort;
    return new Promise((resolve, reject) => {
      // Nobody else listens by then: it goes with the call.
      signal.addEventListener('abort', () => reject(signal.reason));
      if (signal.aborted) reject(signal.reason);
      answer.then((response) => {
        if (!signal.aborted) resolve(response);
        else if (response.body instanceof Readable) {
          response.body.on('error', () => undefined);
          response.body.destroy();
        }
      }, reject);
    });
  }

  /** Settles when the last bytes are with the kernel, or the client is gone. */
  #sent(): Promise<void> | undefined {
    const { res } = this.#exchange;
    if (res.writableFinished || res.destroyed) return undefined;
    return new Promise((resolve) => {
      this.#closed = resolve;
      res.once('finish', resolve);
    });
  }

  readonly #onClose = (): void => {
    this.#closed();
    if (this.#exchange.res.writableFinished) return;
    this.fail(
      new FissiumError('CLIENT_GONE', 'The client closed its connection before the answer had ended.'),
    );
  };
}

function notFound(namespace: string, name: string): FissiumError {
  return new FissiumError(
    'FUNCTION_NOT_FOUND',
    `There is no function "${name}" in namespace "${namespace}". See which there are with: ` +
      `fissium function list -n ${namespace}`,
  );
}

/** Why a function that was refused at its deployment answers nothing: never a status about the request itself. */
function notCallable({ namespace, name }: FunctionEntry, error: FissiumError): FissiumError {
  if (error.fault !== 'caller') return error;
  return new FissiumError(
    'FUNCTION_FAILED',
    `Function ${namespace}/${name} cannot be called: ${error.message}`,
    {
      cause: error,
    },
  );
}
