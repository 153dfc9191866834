/** Equal values as one object: of thousands of functions most say the same about limits, pods and the like. */
import { deepFreeze } from './json.ts';

/** What is said by fewer than all is soon found again; so it is simply forgotten when it is too much. */
const MAX_VALUES = 1000;
const MAX_CHARS = 1000;

const known = new Map<string, unknown>();

/**
 * The value, or one that is equal to it and was given earlier; frozen with all that is in it. For values that came as
 * JSON, or would survive it, and hold no secret: their text is kept.
 * @throws TypeError for undefined and for numbers that are not finite, which JSON makes one with null
 */
export function interned<T>(value: T): T {
  // Its type says that there always is a text; of undefined and of functions there is none.
  const text: string | undefined = JSON.stringify(value, onlyFinite);
  if (text === undefined) throw new TypeError(`${typeof value} is no value that JSON has`);
  if (text.length > MAX_CHARS) return deepFreeze(value);
  const same = known.get(text);
  if (same !== undefined) return same as T;
  if (known.size >= MAX_VALUES) known.clear();
  known.set(text, deepFreeze(value));
  return value;
}

function onlyFinite(key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new TypeError(`${key === '' ? 'the value' : key} is ${value}, which JSON writes as null`);
  return value;
}
