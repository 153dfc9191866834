/**
 * Lets requests in that are signed for one channel. A signature covers the body, so that of each request is held until
 * it is known who sent it, up to a bound.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FissiumError } from '../errors.ts';
import { type InternalService, type RequestVerifier, serviceVerifier } from './internal-auth.ts';
import { acceptedSecrets, type AuthSecrets } from './request-signer.ts';

/** Bytes of one body, as in Fission's router. */
const BODY_BYTES = 64 * 1024 * 1024;
/** Bytes of all bodies that are held at once. */
const HELD_BYTES = 256 * 1024 * 1024;
/** How long a body that is held may be silent. */
const IDLE_MS = 60_000;

export interface SignatureGateOptions {
  readonly verifier: RequestVerifier;
  /** What requests are for, in messages: `the router's internal listener`. */
  readonly what: string;
  /** Of one body. @default 64 MiB */
  readonly bodyBytes?: number;
  /** Of all that are held at once. @default 256 MiB */
  readonly heldBytes?: number;
  /** @default 60000 */
  readonly idleMs?: number;
}

/** A gate for a channel; null where authentication is off. */
export function signatureGate(
  service: InternalService,
  secrets: AuthSecrets,
  what: string,
  limits: Pick<SignatureGateOptions, 'bodyBytes' | 'heldBytes'> = {},
): SignatureGate | null {
  const verifier = serviceVerifier(service, acceptedSecrets(secrets));
  return verifier === null ? null : new SignatureGate({ verifier, what, ...limits });
}

export class SignatureGate {
  readonly #verifier: RequestVerifier;
  readonly #what: string;
  readonly #bodyBytes: number;
  readonly #heldBytes: number;
  readonly #idleMs: number;
  #held = 0;

  constructor({
    verifier,
    what,
    bodyBytes = BODY_BYTES,
    heldBytes = HELD_BYTES,
    idleMs = IDLE_MS,
  }: SignatureGateOptions) {
    this.#verifier = verifier;
    this.#what = what;
    this.#bodyBytes = bodyBytes;
    this.#heldBytes = heldBytes;
    this.#idleMs = idleMs;
  }

  /**
   * Resolves with the request's body, empty where it has none, when its signature is right; whoever gets it calls
   * {@link HeldBody.release} when it is done with it. Nothing is read of a body whose headers refuse it already.
   * @throws FissiumError NOT_SIGNED, BODY_TOO_LARGE, PLATFORM_BUSY, IDLE_TIMEOUT, CLIENT_GONE
   */
  async admit(req: IncomingMessage, res: ServerResponse): Promise<HeldBody> {
    const pending = this.#verifier.begin(req);
    if (pending === null) throw this.#refused(this.#verifier.refusal(req.headers) ?? '');
    const body = await this.#hold(req, res);
    if (pending.finish(body.digest) !== null) return body;
    body.release();
    throw this.#mismatch();
  }

  /**
   * The same for requests whose bodies the signature does not cover, at once.
   * @param digest what stands in the place of the body's
   * @throws FissiumError NOT_SIGNED
   */
  check(request: Parameters<RequestVerifier['begin']>[0], digest?: string): void {
    const pending = this.#verifier.begin(request);
    if (pending === null) throw this.#refused(this.#verifier.refusal(request.headers) ?? '');
    if (pending.finish(digest) === null) throw this.#mismatch();
  }

  #refused(why: string): FissiumError {
    return new FissiumError(
      'NOT_SIGNED',
      `The request is not taken, because requests to ${this.#what} are signed (FISSION_INTERNAL_AUTH_SECRET is set there): ${why}.`,
    );
  }

  #mismatch(): FissiumError {
    return this.#refused(
      'its signature does not fit: the sender has another FISSION_INTERNAL_AUTH_SECRET, or signed another method, path, query or body',
    );
  }

  async #hold(req: IncomingMessage, res: ServerResponse): Promise<HeldBody> {
    const announced = Number(req.headers['content-length'] ?? 0);
    if (announced > this.#bodyBytes) throw this.#tooLarge(`has ${announced} bytes`);
    if (req.headers.expect !== undefined) {
      res.writeContinue();
      // Whoever reads the body next must not answer it again.
      delete req.headers.expect;
    }
    const chunks: Buffer[] = [];
    const hash = createHash('sha256');
    let bytes = 0;
    const release = (): void => {
      this.#held -= bytes;
      bytes = 0;
    };
    try {
      await this.#read(req, (chunk) => {
        bytes += chunk.length;
        this.#held += chunk.length;
        if (bytes > this.#bodyBytes) throw this.#tooLarge('is longer');
        if (this.#held > this.#heldBytes) {
          throw new FissiumError(
            'PLATFORM_BUSY',
            `Bodies of signed requests are held until they are checked, and ${this.#heldBytes} bytes of others are held now.`,
          );
        }
        hash.update(chunk);
        chunks.push(chunk);
      });
    } catch (error) {
      release();
      throw error;
    }
    return { chunks, digest: hash.digest('hex'), release };
  }

  async #read(req: IncomingMessage, take: (chunk: Buffer) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      reject(
        new FissiumError('IDLE_TIMEOUT', `Nothing of the request's body came for ${this.#idleMs / 1000} s.`),
      );
    }, this.#idleMs);
    const onData = (chunk: Buffer): void => {
      timer.refresh();
      try {
        take(chunk);
      } catch (error) {
        reject(error as FissiumError);
      }
    };
    const onClose = (): void => {
      if (!req.complete)
        reject(new FissiumError('CLIENT_GONE', 'The client closed its connection within its body.'));
    };
    req.on('data', onData);
    req.once('end', resolve);
    req.once('close', onClose);
    req.once('error', onClose);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      req.off('data', onData);
      req.off('end', resolve);
      req.off('close', onClose);
      req.pause();
    }
  }

  #tooLarge(what: string): FissiumError {
    return new FissiumError(
      'BODY_TOO_LARGE',
      `The body of a request to ${this.#what} is held until its signature is checked, ${this.#bodyBytes} bytes at most; this one ${what}.`,
    );
  }
}

/** A body whose signature was right. */
export interface HeldBody {
  readonly chunks: readonly Buffer[];
  /** sha256, hex. */
  readonly digest: string;
  /** Its bytes do not count any more among those that are held. */
  readonly release: () => void;
}
