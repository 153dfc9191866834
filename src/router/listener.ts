/** An HTTP/1.1 server that can be closed without failing anybody's request. */
import {
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import {
  createServer as createNetServer,
  type AddressInfo,
  Server as NetServer,
  type Socket,
} from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { FissiumError } from '../errors.ts';
import { answerError, rawAnswer, toFissiumError } from './answers.ts';
import { NodeExchange, type Exchange } from './exchange.ts';
import { requestId } from './headers.ts';
import { UpgradeExchange, wantedProtocol } from './upgrade.ts';
import { QuickConnection, type QuickHooks } from './quick/connection.ts';

export interface ListenerOptions {
  /** Handles one request; what it throws or rejects with is answered, or ends the connection. */
  readonly handle: (exchange: Exchange) => Promise<void> | void;
  readonly logger: Logger;
  /** Whether simple requests are read without node:http (see `quick/connection.ts`). @default true */
  readonly quick?: boolean;
}

/** Cookies and tokens fit; node's default is 16 KiB. */
const HEADER_BYTES = 32 * 1024;
/** Longer than the 60 s for which common load balancers keep a connection that they may still use. */
const KEEP_ALIVE_MS = 75_000;
const HEADERS_TIMEOUT_MS = 30_000;
/** How often connections are looked at for how long they have been idle. */
const TICK_MS = 5_000;
/** How long connections kept by clients may still send a request, with whose answer they are told to go elsewhere. */
const LINGER_MS = 250;

export class HttpListener {
  readonly #server: HttpServer;
  /** Only where simple requests are read here: accepts connections in `#server`'s place. */
  readonly #acceptor: NetServer | null;
  readonly #logger: Logger;
  readonly #handle: ListenerOptions['handle'];
  /** Those that node:http read. */
  readonly #exchanges = new Set<Exchange>();
  readonly #quick = new Set<QuickConnection>();
  /** Connections whose request asked for another protocol. */
  readonly #upgraded = new Set<Socket>();
  /** Requests of all connections. */
  #inFlight = 0;
  readonly #hooks: QuickHooks;
  #ends = false;
  /** Nothing more is served. */
  #closing = false;
  /** The answer to a connection's next request is its last. */
  #retiring = false;
  #tracking = false;
  #ticks: NodeJS.Timeout | null = null;
  #whenIdle: (() => void) | null = null;

  constructor({ handle, logger, quick = true }: ListenerOptions) {
    this.#handle = handle;
    this.#logger = logger;
    this.#server = createServer({
      insecureHTTPParser: false,
      maxHeaderSize: HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // Bodies may stream for as long as their function's idle deadline allows.
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: TICK_MS,
      // An upgrade that may be ignored (h2c, as some clients offer it each time) is.
      shouldUpgradeCallback: (req: IncomingMessage) => wantedProtocol(req) !== null,
    });
    // Node drops what is over the limit without a word; the size of the head is limited already.
    this.#server.maxHeadersCount = 0;
    this.#server.on('request', this.#onRequest);
    // The one who reads the body says when to go on.
    this.#server.on('checkContinue', this.#onRequest);
    this.#server.on('upgrade', (req, socket, head) => this.#onUpgrade(req, socket as Socket, head));
    this.#server.on('connect', (req, socket) => this.#refuseConnect(req, socket));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
      this.#onClientError(error, socket),
    );
    this.#acceptor = quick ? createNetServer({ noDelay: true }, (socket) => this.accept(socket)) : null;
    this.#hooks = {
      handle: (exchange) => this.#run(exchange),
      closing: this.#isClosing,
      handOver: (connection, socket, bytes) => {
        this.#quick.delete(connection);
        this.#serve(socket);
        socket.emit('data', bytes);
        // Not where it was an upgrade's: that is read when the function is there to read it.
        if (!this.#upgraded.has(socket)) socket.resume();
      },
      began: () => void this.#inFlight++,
      ended: this.#ended,
      closed: (connection) => this.#quick.delete(connection),
      alone: () => this.#quick.size === 1,
    };
  }

  /** Listens; resolves with the port taken. Rejects with BAD_OPTION where another process has it. */
  async listen(host: string, port: number): Promise<number> {
    const server = this.#listening;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen({ host, port }, resolve);
    await promise;
    server.removeAllListeners('error');
    server.on('error', (err) => this.#logger.error({ err }, 'Listener failed'));
    return (server.address() as AddressInfo).port;
  }

  /** Serves a connection that somebody else accepted, and has not read from. */
  accept(socket: Socket): void {
    if (this.#acceptor) {
      this.#quick.add(new QuickConnection(socket, this.#hooks));
      this.#ticks ??= setInterval(this.#tick, TICK_MS).unref();
    } else this.#serve(socket);
    socket.resume();
  }

  /** Serves on, and closes each connection with its next answer, so that clients go elsewhere before `close`. */
  retire(): void {
    this.#retiring = true;
    this.#sendUpgradedAway();
  }

  /**
   * Stops accepting connections at once. What comes within the next moment on connections that clients kept is
   * served, and the connection closed behind it. Those that are idle then are closed, and a request that has begun and
   * whose head is complete only later is answered 503; behind a request in flight none is read any more. Requests in
   * flight have `graceMs` to finish, and are failed with SHUTTING_DOWN after that. Resolves when no connection is left.
   */
  async close({ graceMs }: { graceMs: number }): Promise<void> {
    if (this.#ends) return;
    this.#ends = true;
    this.retire();
    const closed = Promise.withResolvers<void>();
    // http.Server's own close would cut connections on which a request may be on its way.
    if (this.#listening.listening) NetServer.prototype.close.call(this.#listening, () => closed.resolve());
    else closed.resolve();
    const endMs = performance.now() + graceMs;
    await this.#idle(Math.min(LINGER_MS, graceMs), false);
    this.#closing = true;
    this.#closeIdle();
    await this.#idle(Math.max(0, endMs - performance.now()), true);
    const over = new FissiumError(
      'SHUTTING_DOWN',
      'The platform is shutting down, and its time for open requests is over.',
    );
    for (const { call } of this.#exchanges) call?.fail(over);
    for (const { exchange } of this.#quick) exchange?.call?.fail(over);
    this.#closeIdle();
    if (this.#inFlight > 0) await this.#idle(500, true);
    for (const connection of this.#quick) connection.destroy();
    for (const socket of this.#upgraded) socket.destroy();
    this.#server.closeAllConnections();
    // Ends its watch over connections; that it does not listen any more is no news.
    this.#server.close(() => undefined);
    if (this.#ticks) clearInterval(this.#ticks);
    await closed.promise;
  }

  /** The one that has the port. */
  get #listening(): NetServer {
    return this.#acceptor ?? this.#server;
  }

  /** Such a connection goes on for as long as its client likes: nobody would wait for that. */
  #sendUpgradedAway(): void {
    for (const { call, upgrade } of this.#exchanges) if (upgrade !== undefined) call?.goAway();
  }

  #serve(socket: Socket): void {
    if (!this.#tracking) {
      this.#tracking = true;
      // Node begins to watch connections (for clients that are too slow, and idle ones at the end) when it listens.
      if (!this.#server.listening) this.#server.emit('listening');
    }
    this.#server.emit('connection', socket);
  }

  readonly #tick = (): void => {
    for (const connection of this.#quick)
      connection.tick(KEEP_ALIVE_MS / TICK_MS, HEADERS_TIMEOUT_MS / TICK_MS);
  };

  #closeIdle(): void {
    for (const connection of this.#quick) connection.closeIfIdle();
    this.#server.closeIdleConnections();
  }

  /** Waits; for no longer than until nothing is in flight where `orIdle`. */
  async #idle(waitMs: number, orIdle: boolean): Promise<void> {
    if (waitMs <= 0 || (orIdle && this.#inFlight === 0)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    if (orIdle) this.#whenIdle = resolve;
    await promise;
    this.#whenIdle = null;
    clearTimeout(timer);
  }

  readonly #onRequest = (req: IncomingMessage, res: ServerResponse): void => {
    const id = requestId(req.headers['x-fission-request-id']);
    const exchange = new NodeExchange(req, res, id, this.#isClosing);
    this.#exchanges.add(exchange);
    this.#inFlight++;
    res.once('close', () => {
      if (this.#ends) req.socket.destroySoon();
      this.#exchanges.delete(exchange);
      this.#ended();
    });
    // Without a listener an error on a connection that is already dead would end the process.
    res.on('error', () => undefined);
    if (this.#closing) {
      res.shouldKeepAlive = false;
      answerError(req, res, new FissiumError('SHUTTING_DOWN', 'The platform is shutting down.'), id);
      return;
    }
    if (this.#retiring) res.shouldKeepAlive = false;
    // RFC 9112 section 3.2; Node refuses a request without one, and takes the first of several.
    if (countHosts(req.rawHeaders) > 1) {
      res.shouldKeepAlive = false;
      answerError(req, res, new FissiumError('BAD_REQUEST', 'The request has more than one Host.'), id);
      return;
    }
    this.#run(exchange);
  };

  readonly #ended = (): void => {
    this.#inFlight--;
    if (this.#inFlight === 0) this.#whenIdle?.();
  };

  readonly #isClosing = (): boolean => this.#retiring;

  #run(exchange: Exchange): void {
    try {
      const handling = this.#handle(exchange);
      if (handling) handling.catch((thrown: unknown) => this.#failed(exchange, thrown));
    } catch (thrown) {
      this.#failed(exchange, thrown);
    }
  }

  #failed(exchange: Exchange, thrown: unknown): void {
    const error = toFissiumError(thrown);
    const { req, res, requestId: id } = exchange;
    if (error.fault === 'platform')
      this.#logger.error({ err: error, requestId: id }, 'Request handler failed');
    if (exchange.headersSent) res.destroy();
    else answerError(req, res, error, id);
  }

  #onUpgrade(req: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    // node:http has let go of it, and of what goes wrong with it.
    socket.on('error', () => undefined);
    socket.pause();
    socket.on('drain', () => answerOn(socket)?.emit('drain'));
    this.#upgrade(req, socket, head);
  }

  /** When the requests that came before it on the connection are answered. */
  #upgrade(req: IncomingMessage, socket: Socket, head: Buffer): void {
    if (socket.destroyed) return;
    const before = answerOn(socket);
    if (before !== null) {
      before.once('close', () => this.#upgrade(req, socket, head));
      return;
    }
    const id = requestId(req.headers['x-fission-request-id']);
    const exchange = new UpgradeExchange(req, socket, head, id, this.#isClosing, wantedProtocol(req) ?? '');
    this.#exchanges.add(exchange);
    this.#inFlight++;
    socket.once('close', () => {
      this.#exchanges.delete(exchange);
      this.#ended();
    });
    const refusal = this.#refusalOf(req);
    if (refusal === null) this.#run(exchange);
    else answerError(req, exchange.res, refusal, id);
  }

  #refusalOf({ rawHeaders, headers }: IncomingMessage): FissiumError | null {
    if (this.#ends) return new FissiumError('SHUTTING_DOWN', 'The platform is shutting down.');
    if (countHosts(rawHeaders) > 1)
      return new FissiumError('BAD_REQUEST', 'The request has more than one Host.');
    const { 'content-length': length = '0', 'transfer-encoding': coding } = headers;
    if (length === '0' && coding === undefined) return null;
    return new FissiumError('BAD_REQUEST', 'A request that asks for another protocol has no body here.');
  }

  #refuseConnect(req: IncomingMessage, socket: Duplex): void {
    const error = new FissiumError(
      'BAD_REQUEST',
      'CONNECT is not served: functions are called with plain HTTP requests, whose bodies stream both ways.',
    );
    socket.on('error', () => undefined);
    socket.end(rawAnswer(501, error, requestId(req.headers['x-fission-request-id'])));
  }

  #onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    const answered = answerOn(socket);
    if (error.code === 'ECONNRESET' || !socket.writable || answered?.headersSent === true) {
      socket.destroy();
      return;
    }
    const [status, message] = CLIENT_ERRORS[error.code ?? ''] ?? [400, 'The request is no valid HTTP/1.1.'];
    socket.end(rawAnswer(status, new FissiumError('BAD_REQUEST', message), requestId(undefined)));
  }
}

/** The answer that is being sent on a connection. */
function answerOn(socket: Duplex): ServerResponse | null {
  return (socket as Duplex & { readonly _httpMessage?: ServerResponse | null })._httpMessage ?? null;
}

/** `req.headersDistinct` would make lists of all fields for this. */
function countHosts(raw: readonly string[]): number {
  let hosts = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  return hosts;
}

/** What a failure to listen means to the one who chose the address. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code !== 'EADDRINUSE') return error;
  const message = `${host}:${port} is taken by another process: choose another port`;
  return new FissiumError('BAD_OPTION', message, { cause: error });
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, `The request's headers are larger than ${HEADER_BYTES} bytes.`],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunk extensions of the request body are too long.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, `The request's headers did not arrive within ${HEADERS_TIMEOUT_MS} ms.`],
};
