/** A whole invocation in memory, for tests: a request, a sink that remembers, a log, and turns that are checked. */
import type { HeaderList } from '../../../../src/executors/executor.ts';
import type {
  GuestBodySource,
  GuestGrants,
  GuestLimits,
  GuestRequest,
  GuestResponseSink,
  InvocationContext,
  Turn,
} from '../../engine.ts';
import { Egress } from '../egress.ts';
import { createWasiHost, type WasiHost } from '../host.ts';
import { GuestState } from '../state.ts';

export const LIMITS: GuestLimits = { memoryBytes: 1 << 27, cpuTimeMs: 10_000, bodyLimitBytes: 1 << 28 };

export interface MemoryInvocationOptions {
  readonly request?: Partial<Omit<GuestRequest, 'body'>>;
  /** Chunks of the request body; none: no body. */
  readonly body?: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;
  readonly trailers?: HeaderList;
  readonly grants?: Partial<GuestGrants>;
}

/** A body source that counts what was asked of it. */
export class MemoryBody implements GuestBodySource {
  reads = 0;
  readonly released: Uint8Array[] = [];
  cancelled = false;
  readonly #chunks: AsyncIterator<string | Uint8Array> | Iterator<string | Uint8Array>;
  readonly #trailers: HeaderList;

  constructor(
    chunks: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>,
    trailers: HeaderList = [],
  ) {
    this.#chunks =
      Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
    this.#trailers = trailers;
  }

  async read(): Promise<Uint8Array | null> {
    this.reads += 1;
    const next = await this.#chunks.next();
    if (next.done) return null;
    return typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
  }

  release(chunk: Uint8Array): void {
    this.released.push(chunk);
  }

  async trailers(): Promise<HeaderList> {
    return Promise.resolve(this.#trailers);
  }

  cancel(): void {
    this.cancelled = true;
  }
}

/** Remembers an answer. `stall` makes writes wait, as those to a slow client do. */
export class MemorySink implements GuestResponseSink {
  status: number | null = null;
  headers: HeaderList = [];
  readonly chunks: Uint8Array[] = [];
  trailers: HeaderList | null = null;
  #stalled: PromiseWithResolvers<void> | null = null;

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  }

  head(status: number, headers: HeaderList): void {
    if (this.status !== null) throw new Error('a second head');
    this.status = status;
    this.headers = headers;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.status === null || this.trailers) throw new Error('a chunk outside of the body');
    this.chunks.push(chunk.slice());
    return this.#stalled?.promise;
  }

  end(trailers: HeaderList): void {
    if (this.status === null || this.trailers) throw new Error('an end outside of the body');
    this.trailers = trailers;
  }

  stall(): void {
    this.#stalled = Promise.withResolvers();
  }

  resume(): void {
    this.#stalled?.resolve();
    this.#stalled = null;
  }
}

/** Says whether the guest holds its turn; throws where it is taken or given twice. */
export class CheckedTurn implements Turn {
  readonly life = 1;
  suspendable = (): boolean => false;
  held = true;
  /** How often it was given back. */
  released = 0;

  async take(): Promise<void> {
    await Promise.resolve();
    if (this.held) throw new Error('the turn was taken twice');
    this.held = true;
  }

  release(): void {
    if (!this.held) throw new Error('the turn was given back twice');
    this.held = false;
    this.released += 1;
  }
}

export class MemoryInvocation {
  readonly context: InvocationContext;
  readonly body: MemoryBody | null;
  readonly sink = new MemorySink();
  readonly turn = new CheckedTurn();
  readonly abort = new AbortController();
  readonly grants: GuestGrants;
  stdout = '';
  stderr = '';
  #state: GuestState | null = null;

  constructor(options: MemoryInvocationOptions = {}) {
    this.body = options.body ? new MemoryBody(options.body, options.trailers) : null;
    this.grants = { env: [], args: [], allowedOutboundHosts: [], ...options.grants };
    this.context = {
      request: {
        id: 'test',
        method: 'GET',
        scheme: 'http',
        authority: 'example.test',
        pathWithQuery: '/',
        headers: [],
        ...options.request,
        body: this.body,
      },
      response: this.sink,
      log: (stream, chunk) => (this[stream] += Buffer.from(chunk).toString()),
      signal: this.abort.signal,
      turn: this.turn,
      receipt: null,
    };
  }

  /** The state alone, for tests of one interface. */
  get state(): GuestState {
    this.#state ??= new GuestState({
      context: this.context,
      grants: this.grants,
      limits: LIMITS,
      egress: new Egress(this.grants.allowedOutboundHosts),
    });
    return this.#state;
  }

  host(): WasiHost {
    return createWasiHost({ context: this.context, grants: this.grants, limits: LIMITS });
  }
}
