/** JSON merge patch (RFC 7386) and JSON patch (RFC 6902) over whole objects. Nothing given is changed. */
import jsonPatch from 'fast-json-patch';
import type { Operation } from 'fast-json-patch';
import { PatchError } from './format-error.ts';
import { cloneJson, isDeeperThan, isJsonObject, ownValue, setOwn } from './json.ts';
import type { JsonObject } from './json.ts';

/** The same as kube-apiserver's. */
export const MAX_JSON_PATCH_OPERATIONS = 10_000;
/** What all `copy` operations of one patch may add, in bytes of JSON: each may double the object. */
const MAX_COPIED_BYTES = 3 * 1024 * 1024;
/** Deeper than any object of ours, far from the stack's end. */
export const MAX_PATCH_DEPTH = 200;

/** The patch as an object, or a PatchError 400 that says what it is instead. */
export function checkedPatchObject(patch: unknown, format: string): JsonObject {
  if (!isJsonObject(patch)) {
    const seen = patch === null ? 'null' : Array.isArray(patch) ? 'a list' : `a ${typeof patch}`;
    throw new PatchError(400, `a ${format} must be a JSON object, but the body is ${seen}`);
  }
  if (isDeeperThan(patch, MAX_PATCH_DEPTH)) {
    throw new PatchError(400, `the ${format} is nested deeper than ${MAX_PATCH_DEPTH} levels`);
  }
  return patch;
}

function mergeInto(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return cloneJson(patch);
  const merged: JsonObject = isJsonObject(target) ? Object.fromEntries(Object.entries(target)) : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else setOwn(merged, key, mergeInto(ownValue(merged, key), value));
  }
  return merged;
}

/**
 * A merge patch, RFC 7386: null removes a key, objects are merged, all else replaces.
 * @throws PatchError 400 where the patch is no object or nests too deep
 */
export function applyMergePatch(object: JsonObject, patch: unknown): JsonObject {
  return mergeInto(cloneJson(object), checkedPatchObject(patch, 'merge patch')) as JsonObject;
}

const OPERATION_NAMES = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

interface CheckedOperation {
  readonly op: string;
  readonly path: string;
  readonly from: string | undefined;
  readonly raw: Operation;
}

function checkedPointer(pointer: unknown, field: string, where: string): string {
  if (
    typeof pointer !== 'string' ||
    (pointer !== '' && !pointer.startsWith('/')) ||
    /~(?![01])/.test(pointer)
  ) {
    throw new PatchError(
      400,
      `${where}: '${field}' must be a JSON pointer (RFC 6901) such as "/metadata/labels/app", not ${JSON.stringify(pointer)}`,
    );
  }
  return pointer;
}

function checkedOperation(operation: unknown, index: number): CheckedOperation {
  const where = `JSON patch operation ${index}`;
  if (!isJsonObject(operation)) throw new PatchError(400, `${where} is not an object`);
  const op = ownValue(operation, 'op');
  if (typeof op !== 'string' || !OPERATION_NAMES.has(op)) {
    throw new PatchError(
      400,
      `${where}: 'op' is ${JSON.stringify(op)}, not one of ${[...OPERATION_NAMES].join(', ')}`,
    );
  }
  const path = checkedPointer(ownValue(operation, 'path'), 'path', where);
  const needsFrom = op === 'move' || op === 'copy';
  const from = needsFrom ? checkedPointer(ownValue(operation, 'from'), 'from', where) : undefined;
  if ((op === 'add' || op === 'replace' || op === 'test') && !Object.hasOwn(operation, 'value')) {
    throw new PatchError(400, `${where}: '${op}' needs a 'value'`);
  }
  if (op === 'move' && from !== undefined && path.startsWith(`${from}/`)) {
    throw new PatchError(422, `${where}: '${from}' cannot be moved into itself, to '${path}'`);
  }
  return { op, path, from, raw: operation as unknown as Operation };
}

/**
 * The value at the pointer and whether it is there. fast-json-patch follows inherited names and odd list
 * indexes, so every pointer is walked here first, over own properties and canonical indexes only.
 */
function resolve(document: unknown, pointer: string, where: string): { exists: boolean; value: unknown } {
  const tokens = pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  let value = document;
  for (const [depth, token] of tokens.entries()) {
    const isLast = depth === tokens.length - 1;
    if (token === '__proto__' || (token === 'prototype' && tokens[depth - 1] === 'constructor')) {
      throw new PatchError(422, `${where}: '${pointer}' names '${token}', which a JSON patch may not change`);
    }
    if (Array.isArray(value)) {
      if (isLast && token === '-') return { exists: false, value: undefined };
      const length = value.length;
      if (!/^(?:0|[1-9]\d{0,8})$/.test(token) || Number(token) > (isLast ? length : length - 1)) {
        throw new PatchError(422, `${where}: '${token}' in '${pointer}' is no index of a list of ${length}`);
      }
      if (Number(token) === length) return { exists: false, value: undefined };
      value = value[Number(token)];
    } else if (isJsonObject(value)) {
      if (!Object.hasOwn(value, token)) {
        if (isLast) return { exists: false, value: undefined };
        throw new PatchError(422, `${where}: '${pointer}' does not exist: there is no '${token}'`);
      }
      value = value[token];
    } else {
      throw new PatchError(
        422,
        `${where}: '${pointer}' does not exist: '${token}' is asked of a ${typeof value}`,
      );
    }
  }
  return { exists: true, value };
}

function applyOne(
  document: JsonObject,
  operation: CheckedOperation,
  index: number,
  copied: { bytes: number },
): unknown {
  const where = `JSON patch operation ${index} (${operation.op})`;
  const target = resolve(document, operation.path, where);
  if (!target.exists && operation.op !== 'add' && operation.op !== 'move' && operation.op !== 'copy') {
    throw new PatchError(422, `${where}: '${operation.path}' does not exist`);
  }
  if (operation.from !== undefined) {
    const source = resolve(document, operation.from, where);
    if (!source.exists) throw new PatchError(422, `${where}: '${operation.from}' does not exist`);
    if (operation.op === 'copy') copied.bytes += JSON.stringify(source.value).length;
    if (copied.bytes > MAX_COPIED_BYTES) {
      throw new PatchError(422, `${where}: the copies of this patch add more than ${MAX_COPIED_BYTES} bytes`);
    }
  }
  try {
    return jsonPatch.applyOperation<unknown>(document, operation.raw, true, true, true, index).newDocument;
  } catch (thrown) {
    const isFailedTest = thrown instanceof Error && thrown.name === 'TEST_OPERATION_FAILED';
    const reason = isFailedTest
      ? `the value at '${operation.path}' is ${JSON.stringify(target.value)?.slice(0, 200)}, not the one tested for`
      : `cannot be applied at '${operation.path}'`;
    throw new PatchError(422, `${where}: ${reason}`, { cause: thrown });
  }
}

/**
 * A JSON patch, RFC 6902: all of its operations or none.
 * @throws PatchError 400 malformed, 413 over {@link MAX_JSON_PATCH_OPERATIONS}, 422 where it does not fit the
 * object or a `test` fails
 */
export function applyJsonPatch(object: JsonObject, patch: unknown): JsonObject {
  if (!Array.isArray(patch)) throw new PatchError(400, 'a JSON patch must be a list of operations');
  if (patch.length > MAX_JSON_PATCH_OPERATIONS) {
    throw new PatchError(
      413,
      `the JSON patch has ${patch.length} operations; at most ${MAX_JSON_PATCH_OPERATIONS} are allowed`,
    );
  }
  if (isDeeperThan(patch, MAX_PATCH_DEPTH)) {
    throw new PatchError(400, `the JSON patch is nested deeper than ${MAX_PATCH_DEPTH} levels`);
  }
  const operations = cloneJson(patch as unknown[]).map(checkedOperation);
  let document = cloneJson(object);
  const copied = { bytes: 0 };
  for (const [index, operation] of operations.entries()) {
    const changed = applyOne(document, operation, index, copied);
    if (!isJsonObject(changed)) {
      throw new PatchError(
        422,
        `JSON patch operation ${index} (${operation.op}): the object as a whole cannot become ${JSON.stringify(changed)?.slice(0, 50)}`,
      );
    }
    document = changed;
  }
  if (isDeeperThan(document, MAX_PATCH_DEPTH)) {
    throw new PatchError(422, `the patched object would be nested deeper than ${MAX_PATCH_DEPTH} levels`);
  }
  return document;
}
