/**
 * What Fission's executor and builder manager ask a fetcher (its `pkg/fetcher/types.go`), as plain data: executors
 * make these requests, the fetcher reads them.
 */
import { RequestError } from './request-error.ts';
import type { FissionFunction, Package } from '../api/index.ts';

/** Which archive is wanted: the package's source, its deployment, or a URL. */
export const FETCH_TYPES = { source: 0, deployment: 1, url: 2 } as const;

export interface ObjectReference {
  readonly namespace: string;
  readonly name: string;
  /** Folder below `/secrets` or `/configs`, instead of `NAMESPACE/NAME`. */
  readonly mountPath?: string;
}

export type Archive = NonNullable<Package['spec']['deployment']>;
type EnvVars = NonNullable<FissionFunction['spec']['env']>;
type EnvFrom = NonNullable<FissionFunction['spec']['envFrom']>;

export interface FetchRequest {
  readonly fetchType: number;
  readonly package: { readonly namespace: string; readonly name: string; readonly resourceVersion?: string };
  /**
   * Ours: the archive itself, as the Package's spec has it. Then the package is not read, and a fetcher that is given
   * no secrets and config maps needs no access to the API.
   */
  readonly archive?: Archive;
  /** Where `fetchType` is that of a URL. */
  readonly url?: string;
  /** Name in the shared volume. */
  readonly filename: string;
  readonly secretList?: readonly ObjectReference[] | null;
  readonly configMapList?: readonly ObjectReference[] | null;
  readonly keeparchive?: boolean;
  /**
   * Ours: a function's `spec.env` and `spec.envFrom`. The fetcher reads the secrets and config maps that they name
   * and hands the values to the runtime as `env`, which our own runtimes take.
   */
  readonly env?: EnvVars;
  readonly envFrom?: EnvFrom;
}

/** What the runtime is told (`/v2/specialize`). Fields that are not here reach it as well. */
export interface LoadRequest {
  readonly filepath: string;
  readonly functionName: string;
  readonly url?: string;
  readonly FunctionMetadata?: object;
  readonly envVersion: number;
  /** Ours: whether an entry point that is not there stands for none. */
  readonly functionNameOptional?: boolean;
  /** Ours: environment variables, beside those of the fetch request. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface SpecializeRequest {
  readonly FetchReq: FetchRequest;
  readonly LoadReq: LoadRequest;
}

export interface UploadRequest {
  /** Name in the shared volume. */
  readonly filename: string;
  readonly storagesvcurl: string;
  /** Whether to make a zip of it; else it is taken as it is (Fission's `keeparchive`). */
  readonly archivepackage: boolean;
}

export interface UploadResponse {
  readonly archiveDownloadUrl: string;
  readonly checksum: { readonly type: 'sha256'; readonly sum: string };
}

export function readSpecializeRequest(body: unknown): SpecializeRequest {
  const { FetchReq, LoadReq } = objectOf(body, 'the body');
  return { FetchReq: readFetchRequest(FetchReq, 'FetchReq'), LoadReq: readLoadRequest(LoadReq) };
}

export function readFetchRequest(value: unknown, at = 'the body'): FetchRequest {
  const request = objectOf(value, at);
  const pkg = objectOf(request['package'], `${at}: package`);
  const fetchType = request['fetchType'] ?? FETCH_TYPES.source;
  if (!Object.values<unknown>(FETCH_TYPES).includes(fetchType)) {
    throw new RequestError(400, `${at}: fetchType must be 0, 1 or 2, but is ${JSON.stringify(fetchType)}`);
  }
  return {
    ...(request as unknown as FetchRequest),
    fetchType: fetchType as number,
    package: {
      namespace: textOf(pkg, 'namespace', `${at}: package`),
      name: textOf(pkg, 'name', `${at}: package`),
      resourceVersion: textOf(pkg, 'resourceVersion', `${at}: package`),
    },
    ...(request['archive'] === undefined
      ? {}
      : { archive: objectOf(request['archive'], `${at}: archive`) as Archive }),
    filename: textOf(request, 'filename', at),
    url: textOf(request, 'url', at),
    secretList: listOf(request['secretList'], `${at}: secretList`),
    configMapList: listOf(request['configMapList'], `${at}: configMapList`),
    keeparchive: request['keeparchive'] === true,
  };
}

function readLoadRequest(value: unknown): LoadRequest {
  const request = objectOf(value, 'LoadReq');
  const { envVersion = 1, env } = request;
  if (typeof envVersion !== 'number') throw new RequestError(400, 'LoadReq: envVersion must be a number');
  if (env !== undefined) {
    const isText = Object.values(objectOf(env, 'LoadReq: env')).every((one) => typeof one === 'string');
    if (!isText) throw new RequestError(400, 'LoadReq: env must be an object of strings');
  }
  return {
    ...(request as unknown as LoadRequest),
    filepath: textOf(request, 'filepath', 'LoadReq'),
    functionName: textOf(request, 'functionName', 'LoadReq'),
    envVersion,
  };
}

export function readUploadRequest(body: unknown): UploadRequest {
  const request = objectOf(body, 'the body');
  const storagesvcurl = textOf(request, 'storagesvcurl', 'the body');
  if (!/^https?:\/\//.test(storagesvcurl)) {
    throw new RequestError(400, `storagesvcurl must be an http URL, but is "${storagesvcurl}"`);
  }
  return {
    filename: textOf(request, 'filename', 'the body'),
    storagesvcurl,
    archivepackage: request['archivepackage'] === true,
  };
}

function listOf(value: unknown, at: string): readonly ObjectReference[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new RequestError(400, `${at} must be a list`);
  return value.map((item: unknown) => {
    const reference = objectOf(item, at);
    const mountPath = textOf(reference, 'mountPath', at);
    return {
      namespace: textOf(reference, 'namespace', at),
      name: textOf(reference, 'name', at),
      ...(mountPath === '' ? {} : { mountPath }),
    };
  });
}

function objectOf(value: unknown, at: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new RequestError(400, `${at} must be an object`);
}

/** '' where there is none, as Go has it. */
function textOf(object: Record<string, unknown>, field: string, at: string): string {
  const value = object[field] ?? '';
  if (typeof value === 'string') return value;
  throw new RequestError(400, `${at}: ${field} must be a text`);
}

const PIECE = 'FISSIUM_SPECIALIZE_REQUEST_';
/** Linux takes no longer variable or argument: 128 KiB, name and end included. */
const PIECE_LENGTH = 96 * 1024;

/** A request as environment variables, of which none is too long: an archive may be in it. */
export function requestVariables(request: object): { name: string; value: string }[] {
  // JSON of ASCII characters alone, so that lengths are bytes and no character is cut.
  const text = JSON.stringify(request).replace(
    /[\u0080-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const pieces: { name: string; value: string }[] = [];
  for (let at = 0; at < text.length; at += PIECE_LENGTH) {
    pieces.push({ name: `${PIECE}${pieces.length}`, value: text.slice(at, at + PIECE_LENGTH) });
  }
  return pieces;
}

/** The JSON that {@link requestVariables} took apart; '' where there is none. */
export function requestFromVariables(env: Readonly<Record<string, string | undefined>>): string {
  let text = '';
  for (let index = 0; ; index += 1) {
    const piece = env[`${PIECE}${index}`];
    if (piece === undefined) return text;
    text += piece;
  }
}
