import { badRequest, ApiError, expired } from '../status.ts';
import type { Revision } from '../store/revision.ts';
import type { Reader } from '../views/reader.ts';
import type { Selection } from './selection.ts';

export interface ListPage {
  readonly items: readonly Revision[];
  /** The state that all pages show. */
  readonly rv: number;
  /** For the next page; absent on the last. */
  readonly continueToken?: string;
  /** How many come after this page, where it costs nothing to know. */
  readonly remaining?: number;
}

interface Position {
  readonly rv: number;
  readonly namespace: string;
  readonly name: string;
}

/** How many objects are looked at before the limit is checked again. */
const CHUNK = 500;

/**
 * One page of the selected objects, sorted by namespace and name. Later pages show the state of the first.
 * Fails with 400 for bad parameters, 410 once that state is forgotten, 504 for a resourceVersion of the future.
 */
export function listObjects(store: Reader, selection: Selection, query: URLSearchParams): ListPage {
  const limit = parseLimit(query.get('limit'));
  const token = query.get('continue') ?? '';
  const start = token === '' ? undefined : decodeToken(token);
  const rv = start?.rv ?? requestedRv(store, query);
  if (rv < store.compactedRv) {
    throw expired(
      start === undefined
        ? `the resourceVersion ${rv} is too old: the oldest that is kept is ${store.compactedRv}`
        : 'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
    );
  }
  const { items, more } = collect(store, selection, { rv, after: start, limit });
  const last = items.at(-1);
  if (!more || last === undefined) return { items, rv };
  const continueToken = encodeToken({ rv, namespace: last.key.namespace, name: last.key.name });
  const countable = selection.matches === undefined && start === undefined && rv === store.rv;
  if (!countable) return { items, rv, continueToken };
  const remaining = store.count(selection.kind.id, selection.namespace) - items.length;
  return { items, rv, continueToken, remaining };
}

interface Range {
  readonly rv: number;
  readonly after: Position | undefined;
  readonly limit: number;
}

function collect(store: Reader, selection: Selection, range: Range): { items: Revision[]; more: boolean } {
  const { kind, namespace, matches, name } = selection;
  if (name !== undefined && namespace !== undefined && range.rv === store.rv) {
    const found = store.get({ resource: kind.id, namespace, name });
    const selected = found !== undefined && matches?.(found.object) !== false;
    return { items: selected && range.after === undefined ? [found] : [], more: false };
  }
  const items: Revision[] = [];
  let after: { namespace: string; name: string } | undefined = range.after;
  for (;;) {
    // One more than wanted tells whether there is a next page.
    const size = Math.min(CHUNK, range.limit - items.length + 1);
    const chunk = store.list({ resource: kind.id, namespace, after, limit: size, atRv: range.rv });
    for (const revision of chunk) {
      if (matches?.(revision.object) === false) continue;
      if (items.length === range.limit) return { items, more: true };
      items.push(revision);
    }
    if (chunk.length < size) return { items, more: false };
    after = chunk.at(-1)?.key;
  }
}

function parseLimit(text: string | null): number {
  if (text === null || text === '' || text === '0') return Number.MAX_SAFE_INTEGER;
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 0)
    throw badRequest(`limit must be a whole number, not ${JSON.stringify(text)}`);
  return limit;
}

/** A resourceVersion from a query; undefined where it is empty or `0`: any state will do. */
export function parseResourceVersion(text: string | null): number | undefined {
  if (text === null || text === '' || text === '0') return undefined;
  const rv = Number(text);
  if (!Number.isSafeInteger(rv) || rv < 0)
    throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(text)}`);
  return rv;
}

/** Fails with 504 as Kubernetes does: clients then list anew without a resourceVersion. */
export function refuseFuture(store: Reader, rv: number): void {
  if (rv <= store.rv) return;
  throw new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${rv}, current: ${store.rv}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

function requestedRv(store: Reader, query: URLSearchParams): number {
  const rv = parseResourceVersion(query.get('resourceVersion'));
  const match = query.get('resourceVersionMatch') ?? '';
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    throw badRequest(`resourceVersionMatch must be Exact or NotOlderThan, not ${JSON.stringify(match)}`);
  }
  if (match === 'Exact' && rv === undefined) {
    throw badRequest('resourceVersionMatch: Forbidden: Exact needs a resourceVersion other than 0');
  }
  if (rv === undefined) return store.rv;
  refuseFuture(store, rv);
  // Without a match, a limited list of a resourceVersion is exact, and one without a limit not older.
  const exact = match === 'Exact' || (match === '' && (query.get('limit') ?? '0') !== '0');
  return exact ? rv : store.rv;
}

function encodeToken(position: Position): string {
  return Buffer.from(JSON.stringify([position.rv, position.namespace, position.name])).toString('base64url');
}

function decodeToken(token: string): Position {
  try {
    const [rv, namespace, name] = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as unknown[];
    if (Number.isSafeInteger(rv) && typeof namespace === 'string' && typeof name === 'string') {
      return { rv: Number(rv), namespace, name };
    }
  } catch {
    // Told below, as any other token that is not ours.
  }
  throw badRequest('continue key is not valid: it must be the metadata.continue of an earlier list');
}
