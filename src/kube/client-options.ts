/** What the client and its calls can be told. */
import type { ServiceAddresses } from './service-proxy.ts';

export interface KubeClientOptions {
  /**
   * Namespace of the control plane, for `serviceProxy`.
   * @default 'fission'
   */
  readonly controlNamespace?: string;
  /** Where services are reached directly, instead of through the API server. */
  readonly services?: ServiceAddresses;
  /** @default 'fissium' */
  readonly userAgent?: string;
  /**
   * Longest wait for the head of an answer.
   * @default 60000
   */
  readonly headTimeoutMs?: number;
  /** Called with each `Warning` that the server sends. */
  readonly onWarning?: (message: string) => void;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  /** What the server does about fields that it does not know. @default the server's ('Warn') */
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
  readonly dryRun?: boolean;
}

export interface ApplyOptions extends WriteOptions {
  /** Who owns the fields that are applied. */
  readonly fieldManager: string;
}

export interface ListOptions extends CallOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
}

export interface RemoveOptions extends CallOptions {
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  /** Fails with 409 where the object is another one by now. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Of a pod, the longest that it takes to end. @default its own */
  readonly gracePeriodSeconds?: number;
}
