/** Equal values as one object: of thousands of functions most say the same about limits, pods and the like. */
import { deepFreeze } from './json.ts';

/** What is said by fewer than all is soon found again; so it is simply forgotten when it is too much. */
const MAX_VALUES = 1000;
const MAX_CHARS = 1000;

const known = new Map<string, unknown>();

/**
 * The value, or one that is equal to it and was given earlier; frozen with all that is in it. For values that came as
 * JSON, or would survive it, and hold no secret: their text is kept.
 */
export function interned<T>(value: T): T {
  const text = JSON.stringify(value);
  if (text.length > MAX_CHARS) return deepFreeze(value);
  const same = known.get(text);
  if (same !== undefined) return same as T;
  if (known.size >= MAX_VALUES) known.clear();
  known.set(text, deepFreeze(value));
  return value;
}
