/** A call's request as its executor gets it. */
import type {
  CallSignal,
  HeaderList,
  InvokeReceipt,
  InvokeRequest,
  StartClock,
} from '../executors/executor.ts';
import type { CallPlan } from './call-plan.ts';
import type { Exchange } from './exchange.ts';
import type { FunctionEntry } from './function-table.ts';
import { addFissionHeaders, requestHeaders } from './headers.ts';
import type { PendingReceipt } from './receipt.ts';
import { freeChunk, RequestBody } from './request-body.ts';

/** A request's headers are worked out when somebody asks for them; many functions never do. */
export class CallRequest implements InvokeRequest {
  readonly id: string;
  readonly method: string;
  readonly scheme = 'http';
  readonly authority: string;
  readonly pathWithQuery: string;
  readonly body: RequestBody | Uint8Array | null;
  readonly signal: CallSignal;
  readonly release = freeChunk;
  readonly onReceipt: ((receipt: InvokeReceipt | null) => void) | undefined;
  readonly upgrade: string | undefined;
  readonly clock: StartClock | undefined;
  readonly #exchange: Exchange;
  readonly #plan: CallPlan;
  readonly #entry: FunctionEntry;
  readonly #fromRouters: boolean;
  #headers: HeaderList | null = null;

  constructor(
    exchange: Exchange,
    plan: CallPlan,
    entry: FunctionEntry,
    body: RequestBody | Uint8Array | null,
    signal: CallSignal,
    receipt: PendingReceipt | null,
    fromRouters: boolean,
    clock: StartClock | null,
  ) {
    this.clock = clock ?? undefined;
    this.#fromRouters = fromRouters;
    this.id = exchange.requestId;
    this.method = exchange.method;
    this.authority = plan.authority;
    this.pathWithQuery = plan.pathWithQuery;
    this.body = body;
    this.signal = signal;
    this.onReceipt = receipt?.receive;
    this.upgrade = exchange.upgrade;
    this.#exchange = exchange;
    this.#plan = plan;
    this.#entry = entry;
  }

  get trailers(): Promise<HeaderList> | undefined {
    return this.body instanceof RequestBody ? this.body.trailers : undefined;
  }

  get headers(): HeaderList {
    if (this.#headers === null) {
      const { rawHeaders, requestId, clientAddress } = this.#exchange;
      const { fullUrl, authority, parameters } = this.#plan;
      const headers = requestHeaders(rawHeaders, this.#fromRouters);
      if (!this.#fromRouters) {
        addFissionHeaders(headers, {
          requestId,
          fullUrl,
          authority,
          clientAddress,
          function: this.#entry,
          parameters,
        });
      }
      this.#headers = headers;
    }
    return this.#headers;
  }
}
