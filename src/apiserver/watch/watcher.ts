/**
 * One client's watch. It never holds more than one chunk of events: a client that reads slowly is served from
 * the store's history, and told 410 once that is gone.
 */
import {
  apiVersionOf,
  partialMetadata,
  toTable,
  type IncludeObject,
  type ObjectForm,
} from '../formats/index.ts';
import type { KubeObject } from '../object.ts';
import type { Selection } from '../objects/selection.ts';
import { expired, type ApiError } from '../status.ts';
import type { Change, Revision } from '../store/revision.ts';
import type { Reader } from '../views/reader.ts';

export interface WatchOptions {
  readonly selection: Selection;
  readonly form: ObjectForm;
  readonly includeObject: IncludeObject;
  /** Changes after this one; absent: the present objects first, as ADDED. */
  readonly sinceRv: number | undefined;
  readonly bookmarks: boolean;
  /** Ends the present objects with a bookmark that says so (WatchList). */
  readonly initialEventsEnd: boolean;
}

/** Where the events go. */
export interface WatchSink {
  /** False when no more should be written until the watcher is resumed. */
  write(text: string): boolean;
  end(): void;
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

const CHUNK = 200;

export class Watcher {
  readonly options: WatchOptions;
  readonly #store: Reader;
  readonly #sink: WatchSink;
  #sentRv: number;
  /** While the present objects are being sent: the last one that was. */
  #initialAfter: { namespace: string; name: string } | undefined;
  #initialDone: boolean;
  #blockedSinceMs: number | undefined;
  #columnsSent = false;
  #ended = false;

  constructor(store: Reader, options: WatchOptions, sink: WatchSink) {
    this.options = options;
    this.#store = store;
    this.#sink = sink;
    this.#sentRv = options.sinceRv ?? store.rv;
    this.#initialDone = options.sinceRv !== undefined;
  }

  /** Since when the client takes nothing; undefined while it does. */
  get blockedSinceMs(): number | undefined {
    return this.#blockedSinceMs;
  }

  /** Sends what there is, as far as the client takes it. */
  pump(): void {
    while (this.#flowing() && !this.#initialDone) this.#sendInitialChunk();
    while (this.#flowing() && this.#sentRv < this.#store.rv) this.#sendHistoryChunk();
  }

  /** The client takes data again. */
  resume(): void {
    this.#blockedSinceMs = undefined;
    this.pump();
  }

  /** What was just committed, after `beforeRv`. */
  deliver(changes: readonly Change[], beforeRv: number): void {
    const told = this.options.selection.kind.view !== undefined;
    if (told || !this.#flowing() || !this.#initialDone || this.#sentRv !== beforeRv) {
      this.pump();
      return;
    }
    for (const change of changes) {
      if (change.current.key.resource !== this.options.selection.kind.id) continue;
      if (!this.#flowing()) return;
      this.#sendChange(change);
    }
    if (this.#flowing()) this.#sentRv = this.#store.rv;
  }

  /** Tells the client how far it has seen everything, if it asked to be told. */
  bookmark(): void {
    if (!this.options.bookmarks || !this.#flowing() || !this.#initialDone) return;
    this.#sendBookmark({});
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#sink.end();
  }

  fail(error: ApiError): void {
    if (this.#ended) return;
    this.#send('ERROR', JSON.stringify(error.toStatus()));
    this.end();
  }

  #flowing(): boolean {
    return !this.#ended && this.#blockedSinceMs === undefined;
  }

  #tooOld(): boolean {
    if (this.#sentRv >= this.#store.compactedRv) return false;
    this.fail(expired(`too old resource version: ${this.#sentRv} (${this.#store.compactedRv})`));
    return true;
  }

  #sendInitialChunk(): void {
    if (this.#tooOld()) return;
    const { kind, namespace } = this.options.selection;
    const after = this.#initialAfter;
    const chunk = this.#store.list({ resource: kind.id, namespace, after, limit: CHUNK, atRv: this.#sentRv });
    for (const revision of chunk) {
      if (!this.#flowing()) return;
      this.#initialAfter = revision.key;
      if (this.#selects(revision)) this.#sendObject('ADDED', revision);
    }
    // A client that stopped at the chunk's last object is asked again, which finds an empty chunk.
    if (chunk.length === CHUNK || !this.#flowing()) return;
    this.#initialDone = true;
    if (this.options.initialEventsEnd && this.options.bookmarks) {
      this.#sendBookmark({ annotations: { 'k8s.io/initial-events-end': 'true' } });
    }
  }

  #sendHistoryChunk(): void {
    if (this.#tooOld()) return;
    const { kind } = this.options.selection;
    const changes = this.#store.changes(kind.id, this.#sentRv, CHUNK);
    for (const change of changes) {
      if (!this.#flowing()) return;
      this.#sendChange(change);
    }
    if (changes.length < CHUNK && this.#flowing()) this.#sentRv = this.#store.rv;
  }

  /** Objects that come into the selection are ADDED to this client, and those that leave it DELETED. */
  #sendChange({ type, current, previous }: Change): void {
    this.#sentRv = current.rv;
    const { namespace } = this.options.selection;
    if (namespace !== undefined && current.key.namespace !== namespace) return;
    const before = previous !== null && this.#selects(previous);
    const after = type !== 'DELETED' && this.#selects(current);
    if (after) this.#sendObject(before ? 'MODIFIED' : 'ADDED', current);
    else if (before) this.#sendObject('DELETED', current);
  }

  #selects(revision: Revision): boolean {
    return this.options.selection.matches?.(revision.object) !== false;
  }

  #sendObject(type: EventType, revision: Revision): void {
    if (this.options.form === 'object') this.#send(type, revision.json);
    else this.#send(type, JSON.stringify(this.#shaped(revision.object)));
  }

  #shaped(object: KubeObject): unknown {
    if (this.options.form === 'metadata') return partialMetadata(object);
    const { selection, includeObject } = this.options;
    const table = toTable(selection.kind, [object], { includeObject, nowMs: Date.now() });
    // Clients keep the columns of the first event.
    if (this.#columnsSent) table['columnDefinitions'] = [];
    this.#columnsSent = true;
    return table;
  }

  #sendBookmark(metadata: Record<string, unknown>): void {
    const { kind } = this.options.selection;
    const stamped = { resourceVersion: String(this.#sentRv), creationTimestamp: null, ...metadata };
    const bookmark =
      this.options.form === 'object'
        ? { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata: stamped }
        : this.#shapedBookmark(stamped);
    this.#send('BOOKMARK', JSON.stringify(bookmark));
  }

  #shapedBookmark(metadata: Record<string, unknown>): unknown {
    const apiVersion = 'meta.k8s.io/v1';
    if (this.options.form === 'metadata') return { kind: 'PartialObjectMetadata', apiVersion, metadata };
    const listMeta = { resourceVersion: metadata['resourceVersion'] };
    return { kind: 'Table', apiVersion, metadata: listMeta, columnDefinitions: [], rows: [] };
  }

  #send(type: EventType, object: string): void {
    if (!this.#sink.write(`{"type":"${type}","object":${object}}\n`)) this.#blockedSinceMs = Date.now();
  }
}
