/** The verbs on stored resources. */
import {
  apiVersionOf,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  negotiateObject,
  parseIncludeObject,
  partialMetadata,
  toTable,
  type JsonObject,
  type ObjectForm,
} from '../formats/index.ts';
import type { ResourceKind } from '../kinds/resource-kind.ts';
import type { KubeObject, ObjectKey } from '../object.ts';
import type { FieldValidation } from '../objects/admission.ts';
import { createObject, withoutResourceVersion, type WriteOptions, type Written } from '../objects/create.ts';
import { decodeDeleteOptions, deleteInTransaction, deleteObject } from '../objects/delete.ts';
import { listObjects, type ListPage } from '../objects/list.ts';
import { parseSelection, type Selection } from '../objects/selection.ts';
import { updateObject, type Subresource } from '../objects/update.ts';
import {
  ApiError,
  badRequest,
  methodNotAllowed,
  notFound,
  qualifiedResource,
  successStatus,
  unsupportedMediaType,
} from '../status.ts';
import type { Revision } from '../store/revision.ts';
import type { Store } from '../store/store.ts';
import type { Reader } from '../views/reader.ts';
import type { View } from '../views/view.ts';
import { mediaTypeOf, parseJson, readBody, readObject } from './body.ts';
import { sendJson, sendText, type Exchange } from './respond.ts';
import type { Target } from './target.ts';

/** Starts a watch and answers it. */
export type WatchStarter = (
  reader: Reader,
  exchange: Exchange,
  selection: Selection,
  form: ObjectForm,
) => void;

export class ObjectsHandler {
  readonly #store: Store;
  readonly #startWatch: WatchStarter;
  readonly #readerOf: (kind: ResourceKind) => Reader;

  /** @param readerOf where the objects of a kind are read: the store, or what tells a view's */
  constructor(store: Store, readerOf: (kind: ResourceKind) => Reader, startWatch: WatchStarter) {
    this.#store = store;
    this.#readerOf = readerOf;
    this.#startWatch = startWatch;
  }

  async handle(exchange: Exchange, target: Target): Promise<void> {
    const { method } = exchange;
    if (target.kind.view !== undefined && method !== 'GET' && method !== 'HEAD') {
      throw this.#readOnly(target, target.kind.view);
    }
    if (target.name === undefined) {
      if (method === 'GET' || method === 'HEAD') return this.#list(exchange, target);
      if (method === 'POST') return this.#create(exchange, target);
      if (method === 'DELETE' && target.kind.verbs.includes('deletecollection')) {
        return this.#deleteCollection(exchange, target);
      }
      throw methodNotAllowed(method);
    }
    const key = { resource: target.kind.id, namespace: target.namespace ?? '', name: target.name };
    switch (method) {
      case 'GET':
      case 'HEAD':
        return this.#get(exchange, target.kind, key);
      case 'PUT':
        return this.#replace(exchange, target, key);
      case 'PATCH':
        return this.#patch(exchange, target, key);
      case 'DELETE':
        if (target.subresource !== undefined) throw methodNotAllowed(method);
        return this.#delete(exchange, target.kind, key);
      default:
        throw methodNotAllowed(method);
    }
  }

  /** One object, stored or told. */
  read(kind: ResourceKind, key: ObjectKey): Revision | undefined {
    return this.#readerOf(kind).get(key);
  }

  #readOnly({ kind, namespace = '', name }: Target, view: View): ApiError {
    const key = { resource: kind.id, namespace, name: name ?? '' };
    if (name !== undefined && this.read(kind, key) === undefined) return notFound(kind, name);
    const why = `${qualifiedResource(kind)} cannot be written: ${view.readOnly}`;
    return new ApiError(405, 'MethodNotAllowed', why, {});
  }

  #get(exchange: Exchange, kind: ResourceKind, key: ObjectKey): void {
    const form = formOf(exchange);
    if (isWatch(exchange.query)) {
      // The old way to watch one object.
      const query = new URLSearchParams({ fieldSelector: `metadata.name=${key.name}` });
      this.#startWatch(
        this.#readerOf(kind),
        exchange,
        parseSelection(kind, kind.namespaced ? key.namespace : undefined, query),
        form,
      );
      return;
    }
    const revision = this.read(kind, key);
    if (revision === undefined) throw notFound(kind, key.name);
    sendRevision(exchange, 200, kind, revision, form);
  }

  #list(exchange: Exchange, target: Target): void {
    const { kind } = target;
    const form = formOf(exchange);
    const selection = parseSelection(kind, target.namespace, exchange.query);
    if (isWatch(exchange.query)) {
      this.#startWatch(this.#readerOf(kind), exchange, selection, form);
      return;
    }
    if (exchange.query.has('sendInitialEvents')) {
      throw badRequest('sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list');
    }
    const page = listObjects(this.#readerOf(kind), selection, exchange.query);
    const metadata = {
      resourceVersion: String(page.rv),
      ...(page.continueToken === undefined ? {} : { continue: page.continueToken }),
      ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
    };
    sendText(exchange, 200, 'application/json', listText(exchange, kind, page, metadata, form));
  }

  async #create(exchange: Exchange, target: Target): Promise<void> {
    const { kind, namespace } = target;
    if (kind.namespaced && namespace === undefined) throw methodNotAllowed('POST');
    const form = formOf(exchange);
    const options = writeOptions(exchange.query);
    const body = await readObject(exchange.request);
    sendWritten(
      exchange,
      201,
      kind,
      await createObject(this.#store, kind, namespace ?? '', body, options),
      form,
      options,
    );
  }

  async #replace(exchange: Exchange, target: Target, key: ObjectKey): Promise<void> {
    const form = formOf(exchange);
    const options = writeOptions(exchange.query);
    const body = await readObject(exchange.request);
    const written = await updateObject(this.#store, target.kind, key, {
      ...options,
      subresource: subresourceOf(target),
      replace: true,
      wanted: () => body,
    });
    sendWritten(exchange, 200, target.kind, written, form, options);
  }

  async #patch(exchange: Exchange, target: Target, key: ObjectKey): Promise<void> {
    const form = formOf(exchange);
    const options = writeOptions(exchange.query);
    const apply = patchOf(target.kind, mediaTypeOf(exchange.request));
    const patch = parseJson(await readBody(exchange.request));
    const written = await updateObject(this.#store, target.kind, key, {
      ...options,
      subresource: subresourceOf(target),
      replace: false,
      wanted: (current) => apply(current, patch),
    });
    sendWritten(exchange, 200, target.kind, written, form, options);
  }

  async #delete(exchange: Exchange, kind: ResourceKind, key: ObjectKey): Promise<void> {
    const options = decodeDeleteOptions(await readObject(exchange.request), exchange.query);
    const { revision, gone } = await deleteObject(this.#store, kind, key, options);
    if (!gone) {
      sendText(exchange, 200, 'application/json', revision.json);
      return;
    }
    const { uid } = revision.object.metadata;
    const details = {
      name: key.name,
      ...(kind.group === '' ? {} : { group: kind.group }),
      kind: kind.plural,
    };
    sendJson(exchange, 200, successStatus({ ...details, ...(uid === undefined ? {} : { uid }) }));
  }

  async #deleteCollection(exchange: Exchange, target: Target): Promise<void> {
    const { kind, namespace } = target;
    if (kind.namespaced && namespace === undefined) throw methodNotAllowed('DELETE');
    const options = decodeDeleteOptions(await readObject(exchange.request), exchange.query);
    const page = listObjects(this.#store, parseSelection(kind, namespace, exchange.query), exchange.query);
    await this.#store.write((transaction) => {
      for (const { key } of page.items) {
        // Another client may have been faster.
        if (transaction.get(key) !== undefined) deleteInTransaction(transaction, kind, key, options);
      }
    }, options);
    sendText(
      exchange,
      200,
      'application/json',
      listText(exchange, kind, page, { resourceVersion: String(page.rv) }, 'object'),
    );
  }
}

type ApplyPatch = (object: KubeObject, patch: unknown) => JsonObject;

function patchOf(kind: ResourceKind, mediaType: string): ApplyPatch {
  switch (mediaType) {
    case 'application/merge-patch+json':
      return applyMergePatch;
    case 'application/json-patch+json':
      return applyJsonPatch;
    case 'application/strategic-merge-patch+json':
      if (!kind.custom) return (object, patch) => applyStrategicMergePatch(kind.kind, object, patch);
      throw unsupportedMediaType(
        `strategic merge patch is not supported for ${kind.plural}.${kind.group}; send application/merge-patch+json ` +
          'or application/json-patch+json (kubectl patch --type=merge or --type=json)',
      );
    case 'application/apply-patch+yaml':
    case 'application/apply-patch+cbor':
      throw unsupportedMediaType(
        'server-side apply is not supported by this API server; use client-side apply (kubectl apply without --server-side) or a merge patch',
      );
    default:
      throw unsupportedMediaType(
        `the body of the request was in an unknown format (${mediaType}) - accepted media types include: ` +
          `application/json-patch+json, application/merge-patch+json${kind.custom ? '' : ', application/strategic-merge-patch+json'}`,
      );
  }
}

function isWatch(query: URLSearchParams): boolean {
  const watch = query.get('watch');
  return watch === 'true' || watch === '1' || watch === '';
}

function subresourceOf(target: Target): Subresource {
  return target.subresource === 'status' ? 'status' : undefined;
}

function formOf(exchange: Exchange): ObjectForm {
  const form = negotiateObject(exchange.request.headers.accept);
  if (form !== undefined) return form;
  throw new ApiError(
    406,
    'NotAcceptable',
    'only the following media types are accepted: application/json, and application/json;as=Table;v=v1;g=meta.k8s.io',
  );
}

function writeOptions(query: URLSearchParams): WriteOptions {
  const dryRun = query.get('dryRun') ?? '';
  if (dryRun !== '' && dryRun !== 'All')
    throw badRequest(`dryRun must be All, not ${JSON.stringify(dryRun)}`);
  return { dryRun: dryRun === 'All', fieldValidation: fieldValidationOf(query.get('fieldValidation') ?? '') };
}

function fieldValidationOf(text: string): FieldValidation {
  // Kubernetes' default for who does not say.
  if (text === '') return 'Warn';
  if (text === 'Strict' || text === 'Warn' || text === 'Ignore') return text;
  throw badRequest(`fieldValidation must be Strict, Warn or Ignore, not ${JSON.stringify(text)}`);
}

function sendWritten(
  exchange: Exchange,
  code: number,
  kind: ResourceKind,
  { revision, warnings }: Written,
  form: ObjectForm,
  options: WriteOptions,
): void {
  if (options.dryRun && code === 201 && form === 'object') {
    sendJson(exchange, code, withoutResourceVersion(revision.object), warnings);
    return;
  }
  sendRevision(exchange, code, kind, revision, form, warnings);
}

function sendRevision(
  exchange: Exchange,
  code: number,
  kind: ResourceKind,
  revision: Revision,
  form: ObjectForm,
  warnings: readonly string[] = [],
): void {
  const text =
    form === 'object' ? revision.json : JSON.stringify(shaped(exchange, kind, revision.object, form));
  sendText(exchange, code, 'application/json', text, warnings);
}

function shaped(exchange: Exchange, kind: ResourceKind, object: KubeObject, form: ObjectForm): unknown {
  if (form === 'metadata') return partialMetadata(object);
  const listMeta = { resourceVersion: object.metadata.resourceVersion };
  return toTable(kind, [object], {
    includeObject: includeObjectOf(exchange.query),
    nowMs: Date.now(),
    listMeta,
  });
}

/** What of each object a Table carries. */
export function includeObjectOf(query: URLSearchParams): NonNullable<ReturnType<typeof parseIncludeObject>> {
  const include = parseIncludeObject(query.get('includeObject'));
  if (include === undefined) throw badRequest('includeObject must be None, Metadata or Object');
  return include;
}

function listText(
  exchange: Exchange,
  kind: ResourceKind,
  page: ListPage,
  metadata: JsonObject,
  form: ObjectForm,
): string {
  if (form === 'table') {
    const objects = page.items.map((revision) => revision.object);
    const includeObject = includeObjectOf(exchange.query);
    return JSON.stringify(toTable(kind, objects, { includeObject, nowMs: Date.now(), listMeta: metadata }));
  }
  if (form === 'metadata') {
    const items = page.items.map((revision) => partialMetadata(revision.object));
    return JSON.stringify({
      kind: 'PartialObjectMetadataList',
      apiVersion: 'meta.k8s.io/v1',
      metadata,
      items,
    });
  }
  const head = JSON.stringify({ kind: kind.listKind, apiVersion: apiVersionOf(kind), metadata });
  return `${head.slice(0, -1)},"items":[${page.items.map((revision) => revision.json).join(',')}]}`;
}
