import type { ObjectForm } from '../formats/index.ts';
import { parseResourceVersion, refuseFuture } from '../objects/list.ts';
import type { Selection } from '../objects/selection.ts';
import { badRequest, expired } from '../status.ts';
import type { Reader } from '../views/reader.ts';
import type { WatchHub } from '../watch/hub.ts';
import { Watcher, type WatchOptions } from '../watch/watcher.ts';
import { includeObjectOf } from './objects-handler.ts';
import type { Exchange } from './respond.ts';

/** A watch without a timeout of its own ends after this, so that clients spread over servers; doubled at most, by chance. */
const DEFAULT_TIMEOUT_SECONDS = 30 * 60;

/** Answers a watch with a stream of events that lasts until its timeout, the client or the server ends it. */
export function startWatch(
  store: Reader,
  hub: WatchHub,
  exchange: Exchange,
  selection: Selection,
  form: ObjectForm,
): void {
  const { request, response, query } = exchange;
  const options = watchOptions(store, selection, form, query);
  const timeoutSeconds = parseTimeout(query.get('timeoutSeconds'));

  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' });
  response.flushHeaders();
  const watcher = new Watcher(store, options, {
    write: (text) => response.write(text),
    end: () => response.end(),
  });
  const { sinceRv } = options;
  if (sinceRv !== undefined && sinceRv > store.rv) {
    // The data folder was replaced: waiting for that number would miss everything until then.
    watcher.fail(expired(`too new resource version: ${sinceRv} (${store.rv}): start anew with a list`));
    return;
  }
  const forget = hub.add(watcher, () => request.socket.destroy());
  const timer = setTimeout(() => {
    watcher.bookmark();
    watcher.end();
  }, timeoutSeconds * 1000);
  response.on('drain', () => watcher.resume());
  response.on('close', () => {
    clearTimeout(timer);
    forget();
  });
}

function watchOptions(
  store: Reader,
  selection: Selection,
  form: ObjectForm,
  query: URLSearchParams,
): WatchOptions {
  const rv = parseResourceVersion(query.get('resourceVersion'));
  const bookmarks = isTrue(query.get('allowWatchBookmarks'));
  const initialEvents = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch') ?? '';
  const common = { selection, form, includeObject: includeObjectOf(query), bookmarks };
  if (initialEvents === null) {
    if (match !== '')
      throw badRequest(
        'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      );
    return { ...common, sinceRv: rv, initialEventsEnd: false };
  }
  if (match !== 'NotOlderThan') {
    throw badRequest(
      'resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    );
  }
  if (!isTrue(initialEvents)) return { ...common, sinceRv: rv ?? store.rv, initialEventsEnd: false };
  if (rv !== undefined) refuseFuture(store, rv);
  return { ...common, sinceRv: undefined, initialEventsEnd: true };
}

function isTrue(text: string | null): boolean {
  return text === 'true' || text === '1';
}

function parseTimeout(text: string | null): number {
  const seconds = Number(text ?? 0);
  if (!Number.isFinite(seconds) || seconds < 0)
    throw badRequest(`timeoutSeconds must be a number of seconds, not ${JSON.stringify(text)}`);
  // A longer timer than this would overflow to none at all.
  if (seconds > 0) return Math.min(seconds, 24 * 60 * 60);
  return DEFAULT_TIMEOUT_SECONDS * (1 + Math.random());
}
