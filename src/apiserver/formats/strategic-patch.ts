/**
 * Strategic merge patch: a merge patch that also knows which lists of a kind are merged, by which key, and
 * takes directives (`$patch`, `$retainKeys`, `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>`).
 * Results are those of k8s.io/apimachinery's strategicpatch, which the tests compare with, but for two
 * things: nulls and directives are never kept as values, and `$patch: merge` on an object is taken.
 */
import { PatchError } from './format-error.ts';
import { cloneJson, isJsonObject, ownValue, setOwn } from './json.ts';
import type { JsonObject } from './json.ts';
import { checkedPatchObject } from './patch.ts';

/** How the fields of an object are merged; a field that is not named is atomic if it is a list. */
interface FieldRules {
  readonly [field: string]: { readonly merge?: ListRule; readonly fields?: FieldRules };
}
/** A list is merged as a set of primitives, or as objects told apart by the key. */
type ListRule = 'set' | { readonly key: string };

const METADATA: FieldRules = {
  metadata: { fields: { ownerReferences: { merge: { key: 'uid' } }, finalizers: { merge: 'set' } } },
};

const RULES: ReadonlyMap<string, FieldRules> = new Map([
  ['Namespace', { ...METADATA, status: { fields: { conditions: { merge: { key: 'type' } } } } }],
  ['ConfigMap', METADATA],
  ['Secret', METADATA],
  ['Event', METADATA],
]);

const SET_ORDER = '$setElementOrder/';
const DELETE_FROM = '$deleteFromPrimitiveList/';

function malformed(message: string): PatchError {
  return new PatchError(400, `strategic merge patch: ${message}`);
}

/** The patch's value as it is stored where the object has none: without directives and nulls. */
function plainValue(value: unknown): unknown {
  if (Array.isArray(value))
    return value.filter((item) => !isDirective(item)).map((item: unknown) => plainValue(item));
  if (!isJsonObject(value)) return value;
  const plain: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (item === null || key === '$retainKeys' || key.startsWith(SET_ORDER) || key.startsWith(DELETE_FROM))
      continue;
    if (key !== '$patch' && !isDirective(item)) setOwn(plain, key, plainValue(item));
  }
  return plain;
}

/** Whether it is an object whose `$patch` says that it is no value, only an instruction. */
function isDirective(value: unknown): boolean {
  return isJsonObject(value) && Object.hasOwn(value, '$patch') && value.$patch !== 'merge';
}

function listOf(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw malformed(`'${name}' must be a list`);
  return value;
}

function mergeObject(original: JsonObject, patch: JsonObject, rules: FieldRules): JsonObject {
  const directive = ownValue(patch, '$patch');
  if (directive === 'replace') return plainValue(patch) as JsonObject;
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') {
    throw malformed(
      `'$patch' on an object is ${JSON.stringify(directive)}, not one of replace, delete, merge`,
    );
  }
  const result = keptFields(original, patch);
  const ordered = new Set<string>();
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(SET_ORDER)) continue;
    const field = key.slice(SET_ORDER.length);
    ordered.add(field);
    mergeOrderedList(result, patch, field, listOf(order, key), rules);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$') && (key === '$patch' || key === '$retainKeys' || key.startsWith(SET_ORDER)))
      continue;
    if (key.startsWith(DELETE_FROM) || ordered.has(key)) continue;
    if (value === null) delete result[key];
    else mergeField(result, key, value, rules);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (!key.startsWith(DELETE_FROM)) continue;
    const field = key.slice(DELETE_FROM.length);
    const removed = new Set(listOf(value, key));
    const current = ownValue(result, field);
    if (Array.isArray(current))
      setOwn(
        result,
        field,
        current.filter((item) => !removed.has(item)),
      );
  }
  return result;
}

/** A shallow copy of the original with only the fields that `$retainKeys` names, where it is given. */
function keptFields(original: JsonObject, patch: JsonObject): JsonObject {
  const entries = Object.entries(original);
  const retain = ownValue(patch, '$retainKeys');
  if (retain === undefined) return Object.fromEntries(entries);
  const kept = new Set(listOf(retain, '$retainKeys'));
  for (const [key, value] of Object.entries(patch)) {
    if (value !== null && !key.startsWith('$') && !kept.has(key)) {
      throw malformed(`'$retainKeys' does not name '${key}', which the patch sets`);
    }
  }
  return Object.fromEntries(entries.filter(([key]) => kept.has(key)));
}

function mergeField(result: JsonObject, key: string, value: unknown, rules: FieldRules): void {
  const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
  const current = ownValue(result, key);
  if (isJsonObject(current) && isJsonObject(value)) {
    setOwn(result, key, mergeObject(current, value, rule?.fields ?? {}));
  } else if (Array.isArray(current) && Array.isArray(value) && rule?.merge !== undefined) {
    setOwn(result, key, mergeList(current, value, key, rule.merge));
  } else if (isDirective(value)) {
    // The object to replace or delete is not there, so there is nothing to do.
    delete result[key];
  } else {
    setOwn(result, key, plainValue(value));
  }
}

function mergeOrderedList(
  result: JsonObject,
  patch: JsonObject,
  field: string,
  order: unknown[],
  rules: FieldRules,
): void {
  const rule = (Object.hasOwn(rules, field) ? rules[field] : undefined)?.merge;
  const currentValue = ownValue(result, field);
  const patchValue = ownValue(patch, field);
  if (patchValue === null) {
    delete result[field];
    return;
  }
  const current = currentValue === undefined ? undefined : listOf(currentValue, field);
  const patchList = patchValue === undefined ? undefined : listOf(patchValue, field);
  if (rule === undefined) {
    // The order of an atomic list is the list's own.
    if (patchList !== undefined) setOwn(result, field, plainValue(patchList));
    return;
  }
  const orderIds = order.map((item) => identityOf(item, rule, `${SET_ORDER}${field}`));
  checkOrder(patchList ?? [], orderIds, field, rule);
  if (current === undefined && patchList === undefined) return;
  const merged =
    current === undefined
      ? (plainValue(patchList) as unknown[])
      : patchList === undefined
        ? current
        : mergeList(current, patchList, field, rule);
  setOwn(result, field, interleave(merged, orderIds, current ?? [], field, rule));
}

/** The order must contain what the patch sets, in the same sequence: else the two contradict each other. */
function checkOrder(patchList: unknown[], orderIds: unknown[], field: string, rule: ListRule): void {
  if (orderIds.length === 0) return;
  let at = 0;
  for (const item of patchList) {
    if (isDirective(item)) continue;
    const found = orderIds.indexOf(identityOf(item, rule, field), at);
    if (found < 0) throw malformed(`the order of '${field}' does not match '${SET_ORDER}${field}'`);
    at = found + 1;
  }
}

/** What tells a list's item from the others: itself in a set, the value of the merge key in an object. */
function identityOf(item: unknown, rule: ListRule, field: string): unknown {
  if (rule === 'set') {
    if (typeof item === 'object' && item !== null)
      throw malformed(`'${field}' must be a list of plain values`);
    return item;
  }
  const identity = isJsonObject(item) ? ownValue(item, rule.key) : undefined;
  if (identity === undefined) {
    throw malformed(`an item of '${field}' is without '${rule.key}', by which this list is merged`);
  }
  return identity;
}

function mergeList(original: unknown[], patch: unknown[], field: string, rule: ListRule): unknown[] {
  const merged =
    rule === 'set' ? [...new Set([...original, ...patch])] : mergeObjects(original, patch, field, rule);
  const isReplaced = patch.some((item) => isJsonObject(item) && item.$patch === 'replace');
  if (isReplaced) return merged;
  const patchIds = patch.filter((item) => !isDirective(item)).map((item) => identityOf(item, rule, field));
  return interleave(merged, patchIds, original, field, rule);
}

function mergeObjects(
  original: unknown[],
  patch: unknown[],
  field: string,
  rule: { key: string },
): unknown[] {
  let merged = [...original];
  let replace = false;
  const additions: JsonObject[] = [];
  for (const item of patch) {
    if (!isJsonObject(item)) throw malformed(`an item of '${field}' is not an object`);
    const directive = ownValue(item, '$patch');
    if (directive === undefined) additions.push(item);
    else if (directive === 'replace') replace = true;
    else if (directive === 'delete') {
      const removed = identityOf(item, rule, field);
      merged = merged.filter((other) => identityOf(other, rule, field) !== removed);
    } else {
      throw malformed(
        `'$patch' in the list '${field}' is ${JSON.stringify(directive)}, not one of replace, delete`,
      );
    }
  }
  for (const item of additions) identityOf(item, rule, field);
  if (replace) return plainValue(additions) as unknown[];
  const positions = firstPositions(merged.map((item) => identityOf(item, rule, field)));
  for (const item of additions) {
    const identity = identityOf(item, rule, field);
    const at = positions.get(identity);
    const existing = at === undefined ? undefined : merged[at];
    if (at !== undefined && isJsonObject(existing)) {
      merged[at] = mergeObject(existing, item, {});
    } else {
      positions.set(identity, merged.length);
      merged.push(plainValue(item));
    }
  }
  return merged;
}

/**
 * Puts a merged list in order: what the patch names in the patch's order, the rest in the original order; of
 * the rest, an item stays before a named one only where it stood before it in the original.
 */
function interleave(
  merged: unknown[],
  namedOrder: unknown[],
  originalList: unknown[],
  field: string,
  rule: ListRule,
): unknown[] {
  const original = firstPositions(originalList.map((item) => identityOf(item, rule, field)));
  const order = firstPositions(namedOrder);
  const items = merged.map((item) => {
    const id = identityOf(item, rule, field);
    return { item, originally: original.get(id), named: order.get(id) };
  });
  const named = items
    .filter((entry) => entry.named !== undefined)
    .toSorted((a, b) => (a.named ?? 0) - (b.named ?? 0));
  const others = items
    .filter((entry) => entry.named === undefined)
    .toSorted((a, b) => (a.originally ?? Infinity) - (b.originally ?? Infinity));
  const result: unknown[] = [];
  let next = 0;
  for (const { item, originally } of named) {
    for (; originally !== undefined && (others[next]?.originally ?? Infinity) < originally; next += 1) {
      result.push(others[next]?.item);
    }
    result.push(item);
  }
  return [...result, ...others.slice(next).map(({ item }) => item)];
}

function firstPositions(ids: readonly unknown[]): Map<unknown, number> {
  const positions = new Map<unknown, number>();
  for (const [index, id] of ids.entries()) if (!positions.has(id)) positions.set(id, index);
  return positions;
}

/**
 * Applies a strategic merge patch to an object of a core kind.
 * @throws PatchError 400 where the patch is malformed, 415 for a kind that has no merge rules
 */
export function applyStrategicMergePatch(kind: string, object: JsonObject, patch: unknown): JsonObject {
  const rules = RULES.get(kind);
  if (rules === undefined) {
    throw new PatchError(
      415,
      `strategic merge patch is not supported for ${kind}; send application/merge-patch+json or application/json-patch+json (kubectl patch --type=merge)`,
    );
  }
  return cloneJson(mergeObject(object, checkedPatchObject(patch, 'strategic merge patch'), rules));
}
