/** Signs requests to one channel of the platform (see `internal-auth.ts`). */
import { createHash } from 'node:crypto';
import { FissiumError } from '../errors.ts';
import { deriveServiceKey, type InternalService, signedHeaders } from './internal-auth.ts';

/** What the parts on a cluster, and whoever calls them, know of Fission's internal authentication. */
export interface AuthSecrets {
  /** Signs; null where authentication is off. */
  readonly current: string | null;
  /** Is taken as well, while the secret is exchanged. */
  readonly previous: string | null;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Fission's variables. One that is set but empty would silently let everybody in.
 * @throws FissiumError BAD_OPTION
 */
export function authSecrets(env: Env): AuthSecrets {
  const current = env['FISSION_INTERNAL_AUTH_SECRET'];
  if (current === '') {
    throw new FissiumError(
      'BAD_OPTION',
      'FISSION_INTERNAL_AUTH_SECRET is set but empty: unset it to have requests not checked, or give it the secret.',
    );
  }
  return {
    current: current ?? null,
    previous: env['FISSION_INTERNAL_AUTH_SECRET_OLD'] || null,
  };
}

/** The secrets whose signatures are taken; empty where nothing is asked for. */
export function acceptedSecrets({ current, previous }: AuthSecrets): string[] {
  if (current === null) return [];
  return previous === null ? [current] : [current, previous];
}

/** Headers for a request of that method and URI (path and query, as they will stand in the request line). */
export type RequestSigner = (
  method: string,
  uri: string,
  /** sha256 of the body, hex. @default that of no body */
  bodyDigest?: string,
) => Readonly<Record<string, string>>;

/** A signer with the installation's key of a channel; one that adds nothing where there is no secret. */
export function requestSigner(service: InternalService, secret: string | null): RequestSigner {
  if (secret === null) return () => ({});
  const key = deriveServiceKey(secret, service);
  return (method, uri, bodyDigest) =>
    signedHeaders(key, bodyDigest === undefined ? { method, uri } : { method, uri, bodyDigest });
}

/** sha256, hex. */
export function digestOf(body: string | Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}
