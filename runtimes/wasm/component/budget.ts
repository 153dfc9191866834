/**
 * Bounds the work that a component's binary can ask of the linker: a few bytes can name a type or a component
 * that doubles itself thirty times over.
 */
import { LinkDeclined } from './declined.ts';
import type { FuncType, ValueType } from './types.ts';

/** Items read, nested ones counted each time that they are instantiated. StarlingMonkey's takes 3,000. */
const MAX_STEPS = 1_000_000;
/** Parts of one type, written out. `wasi:http/types.error-code` has 90. */
const MAX_PARTS = 10_000;
/** Parts of all types in a plan. */
const MAX_PLAN_PARTS = 500_000;
const MAX_TYPE_DEPTH = 64;

export class Budget {
  #steps = 0;
  #parts = 0;
  readonly #weights = new WeakMap<ValueType, { parts: number; depth: number }>();

  /** @throws LinkDeclined where the component asks for too much */
  step(count = 1): void {
    this.#steps += count;
    if (this.#steps > MAX_STEPS) throw new LinkDeclined(`it takes more than ${MAX_STEPS} steps to link`);
  }

  /** The type itself, once it is known to be of a reasonable size. */
  weighed(type: ValueType): ValueType {
    let parts = 1;
    let depth = 1;
    for (const child of childrenOf(type)) {
      const weight = (child && this.#weights.get(child)) ?? { parts: 1, depth: 1 };
      parts += weight.parts;
      depth = Math.max(depth, weight.depth + 1);
    }
    if (parts > MAX_PARTS || depth > MAX_TYPE_DEPTH) {
      throw new LinkDeclined(
        `it has a type of ${parts} parts, ${depth} deep; ${MAX_PARTS} and ${MAX_TYPE_DEPTH} are taken`,
      );
    }
    this.#weights.set(type, { parts, depth });
    return type;
  }

  /** Counts a function that becomes part of the plan. */
  planned(type: FuncType): void {
    for (const item of [...type.params.map((param) => param.type), ...(type.result ? [type.result] : [])]) {
      this.#parts += this.#weights.get(item)?.parts ?? 1;
    }
    if (this.#parts > MAX_PLAN_PARTS) throw new LinkDeclined('its imported functions have too many types');
  }
}

function childrenOf(type: ValueType): readonly (ValueType | null)[] {
  switch (type.kind) {
    case 'record':
      return type.fields.map((field) => field.type);
    case 'variant':
      return type.cases.map((item) => item.type);
    case 'tuple':
      return type.items;
    case 'list':
      return [type.element];
    case 'option':
      return [type.some];
    case 'result':
      return [type.ok, type.error];
    case 'flags':
    case 'enum':
      return type.names.map(() => null);
    default:
      return [];
  }
}
