/** One call of a function over HTTP, from its match to the last byte of its answer. */
import { Readable } from 'node:stream';
import { FissiumError } from '../errors.ts';
import { CallAbort } from '../executors/call-abort.ts';
import type { AnswerReceiver, HeaderList, InvokeRequest, InvokeResponse } from '../executors/executor.ts';
import type { Release } from './admission.ts';
import { toFissiumError } from './answers.ts';
import type { FinishedCall } from './call-observer.ts';
import { type DeadlineLimits, Deadlines, type Timed } from './deadlines.ts';
import { answerFailure } from './call-failure.ts';
import type { CallPlan, CallServices } from './call-plan.ts';
import { notCallable, notFound, notUpgraded, refuseLongBody } from './call-refusals.ts';
import { CallRequest } from './call-request.ts';
import type { CloseListener, Exchange } from './exchange.ts';
import type { FunctionEntry } from './function-table.ts';
import {
  isFieldValue,
  isOwnResponseField,
  REQUEST_ID_HEADER,
  responseHead,
  type ResponseHead,
} from './headers.ts';
import { callReceipt, formatReceipt, PendingReceipt, RECEIPT_HEADER, type CallReceipt } from './receipt.ts';
import { discardRest, RequestBody } from './request-body.ts';
import { UPGRADED_IDLE_MS, UpgradeExchange } from './upgrade.ts';
import { addLength, sendBody, sendWhole, skipBody } from './send-response.ts';

const NO_BODY_STATUS: ReadonlySet<number> = new Set([204, 304]);

/** Whether nothing follows the body. */
function isPlain({ trailers }: InvokeResponse): boolean {
  return !(trailers instanceof Promise) && trailers.length === 0;
}

/**
 * Goes from its start to its end in one piece where nothing has to be waited for: a function that answers at once is
 * answered before `start` returns.
 */
export class Call implements AnswerReceiver, CloseListener, Timed {
  readonly #services: CallServices;
  readonly #exchange: Exchange;
  readonly #plan: CallPlan;
  readonly #abort = new CallAbort();
  /** The function as it was when the request came, or when it was settled. */
  #entry: FunctionEntry | undefined;
  #deadlines: Deadlines | null = null;
  #requestBody: RequestBody | null = null;
  #response: InvokeResponse | null = null;
  #failure: FissiumError | null = null;
  /** Whether that is because the function was refused when it was deployed. */
  #refused = false;
  #invokedMs: number | null = null;
  #continued = false;
  /** Whether the client asked for a receipt. */
  readonly #asked: boolean;
  #receipt: PendingReceipt | null = null;
  #waited = false;
  #release: Release | null = null;
  /** Whether the rest of a body that is not sent is still awaited. */
  #skips = false;
  #over = false;

  constructor(services: CallServices, exchange: Exchange, plan: CallPlan) {
    this.#services = services;
    this.#exchange = exchange;
    this.#plan = plan;
    this.#asked = exchange.header('x-fissium-receipt') !== undefined;
  }

  /** Begins; whatever becomes of it is answered. Never throws. */
  start(): void {
    const { functions, observer, admission } = this.#services;
    const exchange = this.#exchange;
    const { namespace, name } = this.#plan;
    const entry = functions.get(namespace, name);
    this.#entry = entry;
    exchange.call = this;
    exchange.listener = this;
    if (entry === undefined) {
      this.fail(notFound(namespace, name));
      return;
    }
    observer.started(this.#plan);
    try {
      refuseLongBody(exchange, entry);
      this.#deadlines = new Deadlines(this, this.#limitsOf(entry), exchange.arrivedMs);
      this.#release = admission.tryAcquire(namespace, name, entry.limits);
      if (this.#release !== null && entry.state.phase !== 'preparing') this.#invoke(entry);
      else void this.#wait(entry);
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  answered(response: InvokeResponse): void {
    if (this.#over || this.#failure !== null) {
      if (!(response.body instanceof Readable)) return;
      response.body.on('error', () => undefined);
      response.body.destroy();
      return;
    }
    this.#response = response;
    this.#deadlines?.headArrived();
    try {
      this.#respond(response);
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  failed(thrown: unknown): void {
    this.fail(toFissiumError(thrown));
  }

  /** Ends the call: answers with the failure, or destroys the connection where an answer has begun. */
  fail(error: FissiumError): void {
    const exchange = this.#exchange;
    if (this.#over || this.#failure !== null || exchange.finished) return;
    this.#failure = error;
    this.#abort.abort(error);
    this.#requestBody?.destroy();
    const body = this.#response?.body;
    if (body instanceof Readable) {
      // Perhaps nobody reads it yet.
      body.on('error', () => undefined);
      body.destroy(error);
    }
    const isTold = this.#refused && this.#services.fromRouters === true;
    if (!exchange.gone) answerFailure(exchange, this.#plan, error, isTold);
    this.#finish();
  }

  /** For the exchange: the answer is with the kernel, or the client is gone. */
  closed(): void {
    if (this.#exchange.finished) {
      if (this.#response !== null && !this.#skips) this.#finish();
      return;
    }
    this.fail(
      new FissiumError('CLIENT_GONE', 'The client closed its connection before the answer had ended.'),
    );
  }

  timed(): string {
    return `Function ${this.#plan.namespace}/${this.#plan.name}`;
  }

  silenceCounts(): boolean {
    return this.#response !== null || this.#requestBody?.starved === true;
  }

  expired(error: FissiumError): void {
    this.fail(error);
  }

  goAway(): void {
    if (this.#exchange instanceof UpgradeExchange) this.#exchange.goAway();
  }

  #limitsOf({ limits }: FunctionEntry): DeadlineLimits {
    if (this.#exchange.upgrade === undefined) return limits;
    return { ...limits, idleTimeoutMs: Math.max(limits.idleTimeoutMs, UPGRADED_IDLE_MS) };
  }

  /** For its turn, or for a function that is being prepared. */
  async #wait(entry: FunctionEntry): Promise<void> {
    const { functions, admission } = this.#services;
    const { namespace, name } = entry;
    try {
      if (this.#release === null) {
        const release = await admission.acquire(namespace, name, entry.limits, this.#abort);
        this.#release = release;
        if (this.#over) {
          release();
          return;
        }
      }
      // It may have changed while the request waited for its turn.
      let settled = functions.get(namespace, name);
      if (settled?.state.phase === 'preparing') {
        this.#waited = true;
        const { startTimeoutMs } = settled;
        if (startTimeoutMs !== undefined) this.#deadlines?.starting(startTimeoutMs);
        settled = await functions.whenSettled(namespace, name, this.#abort);
        if (startTimeoutMs !== undefined) this.#deadlines?.started();
      }
      if (this.#over) return;
      if (settled === undefined) throw notFound(namespace, name);
      this.#invoke(settled);
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  /** Once: the request is over, however it ended. */
  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    const exchange = this.#exchange;
    const entry = this.#entry;
    exchange.listener = null;
    exchange.call = null;
    this.#deadlines?.stop();
    this.#requestBody?.destroy();
    // Of a connection that the client has closed before the function did.
    if (exchange.upgrade !== undefined && this.#response?.body instanceof Readable)
      this.#response.body.destroy();
    this.#release?.();
    if (!exchange.complete && exchange.headersSent) {
      const { req, res } = exchange;
      if (exchange.finished) discardRest(req);
      else res.once('finish', () => discardRest(req));
    }
    // Names that nobody deployed must not become series of metrics.
    if (entry === undefined) return;
    // A sample that no client waits for.
    if (this.#receipt !== null && !this.#asked) void this.#receiptOf();
    this.#services.observer.finished(this.#summary());
  }

  #summary(): FinishedCall {
    const { requestId, arrivedMs, method, status } = this.#exchange;
    const now = performance.now();
    return {
      plan: this.#plan,
      requestId,
      method,
      status: this.#failure?.code === 'CLIENT_GONE' ? this.#failure.status : status,
      durationMs: now - arrivedMs,
      overheadMs: (this.#invokedMs ?? now) - arrivedMs,
      coldStart: this.#response?.coldStart === true,
      failure: this.#failure,
    };
  }

  #invoke(entry: FunctionEntry): void {
    const { state } = entry;
    if (state.phase === 'refused') {
      this.#refused = true;
      throw notCallable(entry, state.error);
    }
    if (state.phase === 'preparing')
      throw new FissiumError('INTERNAL', 'A settled function is still being prepared.');
    this.#entry = entry;
    if (this.#asked || this.#services.observer.samples()) this.#receipt = new PendingReceipt();
    const request = this.#makeRequest(entry);
    this.#invokedMs = performance.now();
    const { invoker } = state;
    if (request.upgrade !== undefined && invoker.upgrades !== true) throw notUpgraded(entry, request.upgrade);
    if (invoker.start) invoker.start(request, this);
    else {
      invoker.invoke(request).then(
        (response) => this.answered(response),
        (thrown: unknown) => this.failed(thrown),
      );
    }
  }

  #respond(response: InvokeResponse): void {
    const exchange = this.#exchange;
    const switches = exchange instanceof UpgradeExchange && response.status === 101;
    // Checked like any other head: its status is the router's own here.
    const head = responseHead(switches ? 200 : response.status, response.headers, this.#dropsField);
    if (typeof head === 'string') {
      throw new FissiumError(
        'GUEST_BAD_RESPONSE',
        `The answer of function ${this.#plan.namespace}/${this.#plan.name} cannot be sent: ${head}.`,
      );
    }
    const { body } = response;
    const isWhole = !(body instanceof Readable);
    const bodiless = exchange.method === 'HEAD' || NO_BODY_STATUS.has(head.status);
    const { headers } = head;
    if (!bodiless) addLength(headers, response, head);
    for (const [name, value] of this.#plan.responseFields) {
      // Partly as somebody wrote them in a trigger; what is written at once nobody else checks.
      if (!isFieldValue(value))
        throw new FissiumError('INTERNAL', `The trigger's field ${name} holds what no header may have.`);
      headers.push(name, value);
    }
    headers.push(REQUEST_ID_HEADER, exchange.requestId);
    if (switches) {
      this.#switch(exchange, response, headers);
      return;
    }
    if (isWhole && (bodiless || isPlain(response)) && !this.#asked && !this.#continues) {
      exchange.sendWhole(head.status, headers, head.hasDate, bodiless ? null : body, response.release);
      return;
    }
    void this.#send(response, head, bodiless).catch((thrown: unknown) => this.failed(thrown));
  }

  #switch(exchange: UpgradeExchange, { headers, body }: InvokeResponse, fields: readonly string[]): void {
    if (!(body instanceof Readable)) throw new TypeError('an upgraded connection streams');
    const [, chosen = exchange.upgrade] = headers.find(([name]) => name.toLowerCase() === 'upgrade') ?? [];
    if (!isFieldValue(chosen))
      throw new FissiumError('GUEST_BAD_RESPONSE', 'The function switched to a protocol without a name.');
    exchange.switchTo(chosen, fields, body, () => this.#deadlines?.progress());
  }

  /** Whether the client has its body back, and may or may not send it after this answer. */
  get #continues(): boolean {
    return this.#exchange.hasBody && this.#exchange.header('expect') !== undefined && !this.#continued;
  }

  /** What is not there as a whole, or carries more than a head and a body. */
  async #send(response: InvokeResponse, head: ResponseHead, bodiless: boolean): Promise<void> {
    const exchange = this.#exchange;
    const { body } = response;
    const isWhole = !(body instanceof Readable);
    const { headers } = head;
    if (this.#asked && isWhole) {
      const receipt = await this.#receiptOf();
      if (this.#over) return;
      if (receipt !== null) headers.push(RECEIPT_HEADER, formatReceipt(receipt));
      if ((bodiless || isPlain(response)) && !this.#continues) {
        exchange.sendWhole(head.status, headers, head.hasDate, bodiless ? null : body, response.release);
        return;
      }
    }
    const { res } = exchange;
    if (exchange.closing() || this.#continues) res.shouldKeepAlive = false;
    res.writeHead(head.status, headers);
    if (bodiless) {
      res.end();
      if (isWhole) return;
      this.#skips = true;
      await skipBody(body);
      this.#finish();
    } else if (isWhole) await sendWhole(res, response);
    else {
      await sendBody(res, response, head, {
        onProgress: () => this.#deadlines?.progress(),
        trailers: this.#asked ? () => this.#receiptTrailer() : null,
      });
    }
  }

  /** Measured with it; null where there is none. */
  async #receiptOf(): Promise<CallReceipt | null> {
    const made = await this.#receipt?.wait();
    if (!made || this.#entry === undefined) return null;
    const overheadMs = (this.#invokedMs ?? 0) - this.#exchange.arrivedMs;
    const receipt = callReceipt(made, overheadMs, this.#waited);
    this.#services.observer.measured(this.#entry, receipt);
    return receipt;
  }

  async #receiptTrailer(): Promise<HeaderList> {
    const receipt = await this.#receiptOf();
    return receipt === null ? [] : [[RECEIPT_HEADER, formatReceipt(receipt)]];
  }

  readonly #dropsField = (name: string): boolean =>
    isOwnResponseField(name) || this.#plan.dropsResponseField(name);

  #makeRequest(entry: FunctionEntry): InvokeRequest {
    const exchange = this.#exchange;
    const body = exchange.body ?? (exchange.hasBody ? this.#streamBody(entry) : null);
    const fromRouters = this.#services.fromRouters === true;
    return new CallRequest(
      exchange,
      this.#plan,
      entry,
      body,
      this.#abort,
      this.#receipt,
      fromRouters,
      this.#deadlines,
    );
  }

  #streamBody(entry: FunctionEntry): RequestBody {
    const exchange = this.#exchange;
    const body = new RequestBody(exchange.source ?? exchange.req, {
      // A connection has no length.
      limitBytes: exchange.upgrade === undefined ? entry.limits.bodyLimitBytes : Infinity,
      onWanted: () => {
        if (exchange.header('expect') === undefined || exchange.headersSent) return;
        this.#continued = true;
        exchange.res.writeContinue();
      },
      onProgress: () => this.#deadlines?.progress(),
    });
    // Destroyed by its reader without an error it says nothing; with one, of ours, it ends the call.
    body.on('error', (thrown) => this.fail(toFissiumError(thrown)));
    this.#requestBody = body;
    return body;
  }
}
