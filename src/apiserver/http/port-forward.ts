/**
 * `pods/{name}/portforward` over SPDY/3.1, the way in which Fission's CLI reaches the router and the storage
 * service, and kubectl any Pod. A connection is two streams: one for its bytes, one to say what went wrong.
 */
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { pipeline, type Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { ApiError, badRequest } from '../status.ts';
import { SpdySession, type SpdyStream } from './spdy/session.ts';

const PROTOCOL = 'portforward.k8s.io';

export interface PortForwardOptions {
  readonly pod: string;
  /** The base URL behind a port of the Pod; undefined where it has no such port. */
  readonly upstreamOf: (port: number) => string | undefined;
  readonly logger: Logger;
}

/** Fails with 400 where the client wants another protocol: clients that can then fall back to this one. */
export function checkPortForward(request: IncomingMessage): void {
  const upgrade = request.headers.upgrade?.toLowerCase() ?? '';
  if (upgrade !== 'spdy/3.1') {
    throw badRequest(`port forwarding upgrades to SPDY/3.1 here, not to ${JSON.stringify(upgrade)}`);
  }
  const versions = String(request.headers['x-stream-protocol-version'] ?? '').split(',');
  if (!versions.some((version) => version.trim() === PROTOCOL)) {
    throw new ApiError(403, 'Forbidden', `of the stream protocols only ${PROTOCOL} is served`);
  }
}

/** Takes the connection over and serves it until it ends. Returns the way to end it. */
export function servePortForward(socket: Duplex, head: Buffer, options: PortForwardOptions): () => void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${PROTOCOL}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  const errors = new Map<string, SpdyStream>();
  const session = new SpdySession(socket, (stream) => {
    const request = stream.headers.get('requestid') ?? '';
    if (stream.headers.get('streamtype') === 'error') {
      errors.set(request, stream);
      stream.once('close', () => errors.delete(request));
      stream.resume();
      return;
    }
    const errorStream = errors.get(request);
    if (stream.headers.get('streamtype') !== 'data' || errorStream === undefined) {
      stream.destroy(new Error('a data stream comes behind its error stream'));
      return;
    }
    forward(stream, errorStream, options);
  });
  void session.run();
  return () => session.close();
}

function forward(
  data: SpdyStream,
  errors: SpdyStream,
  { pod, upstreamOf, logger }: PortForwardOptions,
): void {
  const port = Number(data.headers.get('port'));
  const upstream = upstreamOf(port);
  const fail = (why: string): void => {
    errors.end(`error forwarding port ${port} to pod ${pod}: ${why}`);
    data.end();
  };
  if (upstream === undefined) {
    fail('the pod has no such port');
    return;
  }
  const { hostname, port: upstreamPort } = new URL(upstream);
  const target = connect({
    host: hostname.replaceAll(/^\[|\]$/g, ''),
    port: Number(upstreamPort),
    allowHalfOpen: true,
    noDelay: true,
  });
  target.once('error', (error) => {
    logger.debug({ err: error, pod, port }, 'a forwarded connection failed');
    if (!errors.writableEnded) fail(error.message);
  });
  target.once('connect', () => {
    // Each way ends by itself; when both have, the client is told by the end of the error stream.
    pipeline(data, target, () => {});
    pipeline(target, data, () => {});
  });
  data.once('close', () => target.destroy());
  target.once('close', () => {
    if (!errors.writableEnded) errors.end();
    if (!data.writableEnded) data.end();
  });
}
