/** What is told about calls: metrics, the platform's log, and the function's own log. */
import type { Logger } from 'pino';
import type { ErrorCode, FissiumError } from '../errors.ts';
import type { LogStore } from '../observe/log-store.ts';
import type { FunctionName, PlatformMetrics } from '../observe/measurements.ts';
import type { CallPlan } from './call-plan.ts';
import { ReceiptSampler, type CallReceipt } from './receipt.ts';

export interface FinishedCall {
  readonly plan: Pick<CallPlan, 'namespace' | 'name' | 'pattern'>;
  readonly requestId: string;
  readonly method: string;
  /** 499 where the client went first. */
  readonly status: number;
  readonly durationMs: number;
  /** From the arrival until the executor was asked: matching, waiting for a turn, waiting for a package. */
  readonly overheadMs: number;
  readonly coldStart: boolean;
  readonly failure: FissiumError | null;
}

export interface CallObserverOptions {
  readonly logger: Logger;
  readonly metrics?: PlatformMetrics | undefined;
  /** Where a function's failures are written beside its own output. */
  readonly logs?: Pick<LogStore, 'append'> | undefined;
}

/** Not the function's doing, though counted as its fault: nothing that its log should say each time. */
const NOT_IN_FUNCTION_LOG: ReadonlySet<ErrorCode> = new Set([
  'FUNCTION_BUSY',
  'FUNCTION_NOT_READY',
  'FUNCTION_FAILED',
]);

export class CallObserver {
  readonly #logger: Logger;
  readonly #metrics: PlatformMetrics | undefined;
  readonly #logs: Pick<LogStore, 'append'> | undefined;
  readonly #sampler = new ReceiptSampler();

  constructor({ logger, metrics, logs }: CallObserverOptions) {
    this.#logger = logger;
    this.#metrics = metrics;
    this.#logs = logs;
  }

  started({ namespace, name }: Pick<CallPlan, 'namespace' | 'name'>): void {
    this.#metrics?.callStarted({ namespace, name });
  }

  /** Whether the next call is to be measured. */
  samples(): boolean {
    return this.#metrics !== undefined && this.#sampler.next();
  }

  measured(name: FunctionName, receipt: CallReceipt): void {
    this.#metrics?.stages(name, receipt);
  }

  unrouted(kind: 'not found' | 'method not allowed', method: string): void {
    this.#metrics?.unrouted(kind, method);
  }

  finished(call: FinishedCall): void {
    const { plan, failure, requestId, method, status } = call;
    const { namespace, name, pattern } = plan;
    this.#metrics?.callFinished({
      namespace,
      name,
      path: pattern,
      method,
      status,
      durationMs: call.durationMs,
      overheadMs: call.overheadMs,
      coldStart: call.coldStart,
      failure: failure === null ? null : { code: failure.code, fault: failure.fault },
    });
    if (failure === null) return;
    const fields = { namespace, function: name, requestId, method, status, code: failure.code, err: failure };
    if (failure.fault === 'caller') this.#logger.debug(fields, 'Request refused');
    else if (failure.fault === 'function') this.#logger.warn(fields, 'Function failed on a request');
    else this.#logger.error(fields, 'Platform failed on a request');
    if (failure.fault === 'function' && !NOT_IN_FUNCTION_LOG.has(failure.code))
      this.#writeDown(call, failure);
  }

  #writeDown({ plan, requestId }: FinishedCall, failure: FissiumError): void {
    const stack = failure.guestStack === undefined ? [] : failure.guestStack.split('\n');
    const timeMs = Date.now();
    for (const line of [`${failure.code}: ${failure.message}`, ...stack]) {
      if (line.trim() === '') continue;
      this.#logs?.append({
        namespace: plan.namespace,
        function: plan.name,
        requestId,
        stream: 'platform',
        line,
        timeMs,
      });
    }
  }
}
