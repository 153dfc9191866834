/**
 * Which functions need the interruption check at their entry, so that a guest cannot compute for long by calls
 * alone. Loops have checks of their own; here it is about recursion, and about calls that add up: sixty
 * functions of which each calls the next one twice take as long as any loop.
 */

/** What one function does, as far as the question goes. */
export interface FunctionCalls {
  /** Bytes of its code, for the time it takes. */
  readonly bytes: number;
  /** The functions of the module that it calls, numbered without imported ones; once for each call. */
  readonly callees: readonly number[];
  /** It calls by reference or calls an imported function: whoever is within reach of others may be called. */
  readonly callsUnknown: boolean;
}

/** Code that may run without a check, in bytes, calls counted with what they call. A few hundred nanoseconds. */
const UNCHECKED_BYTES = 512;

/** Where a function has its check. */
export type CheckPlace =
  | 'nowhere'
  | 'entry'
  /** Before its calls of functions that are not tame: a call that makes none of these needs none. */
  | 'calls';

export interface CheckPlan {
  readonly places: readonly CheckPlace[];
  /** Functions that lead to none with a check, nor out of the module. */
  readonly tame: readonly boolean[];
}

/**
 * Where the checks go, for each function. Without those that have one no function can reach itself, and none runs
 * more than {@link UNCHECKED_BYTES}; nor does a call of one that is checked before its calls, up to the first.
 * @param reachable functions that can be called from outside of the module, or by reference
 */
export function planChecks(functions: readonly FunctionCalls[], reachable: Iterable<number>): CheckPlan {
  const checked = functions.map(() => false);
  for (const index of closure(functions, reachable)) {
    // Every way round through an unknown call leads through its caller.
    if (functions[index]?.callsUnknown === true) checked[index] = true;
  }
  return new Search(functions, checked).run();
}

/** Everything that direct calls lead to. */
function closure(functions: readonly FunctionCalls[], roots: Iterable<number>): Set<number> {
  const found = new Set(roots);
  // A set's iteration goes on to what is added meanwhile.
  for (const index of found) for (const callee of functions[index]?.callees ?? []) found.add(callee);
  return found;
}

const NOTHING: FunctionCalls = { bytes: 0, callees: [], callsUnknown: false };
const UNSEEN = 0;
const OPEN = 1;
const DONE = 2;

/** A depth-first search: each cycle of direct calls has an edge back to a function that is still open. */
class Search {
  readonly #functions: readonly FunctionCalls[];
  readonly #checked: boolean[];
  readonly #state: Uint8Array;
  /** Bytes that a call of the function may run without a check. */
  readonly #weight: Float64Array;
  readonly #places: CheckPlace[];
  readonly #tame: boolean[];

  constructor(functions: readonly FunctionCalls[], checked: boolean[]) {
    this.#functions = functions;
    this.#checked = checked;
    this.#state = new Uint8Array(functions.length);
    this.#weight = new Float64Array(functions.length);
    this.#places = functions.map(() => 'nowhere');
    this.#tame = functions.map(() => false);
  }

  run(): CheckPlan {
    for (let root = 0; root < this.#functions.length; root++)
      if (this.#state[root] === UNSEEN) this.#visit(root);
    return { places: this.#places, tame: this.#tame };
  }

  #visit(root: number): void {
    const stack = [{ index: root, next: 0 }];
    this.#state[root] = OPEN;
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const callee = this.#functions[top.index]?.callees[top.next++];
      if (callee === undefined) {
        this.#finish(top.index);
        stack.pop();
      } else if (this.#state[callee] === OPEN) {
        // The check of one of the two breaks the cycle.
        if (this.#checked[top.index] !== true) this.#checked[callee] = true;
      } else if (this.#state[callee] === UNSEEN) {
        this.#state[callee] = OPEN;
        stack.push({ index: callee, next: 0 });
      }
    }
  }

  #finish(index: number): void {
    const { bytes, callees, callsUnknown } = this.#functions[index] ?? NOTHING;
    let weight = bytes;
    for (const callee of callees) {
      // What a call of an open one takes is not known yet, but that it is no more than the bound.
      const open = this.#state[callee] === OPEN && callee !== index;
      weight += open ? (this.#functions[callee]?.bytes ?? 0) : (this.#weight[callee] ?? 0);
    }
    const heavy = weight > UNCHECKED_BYTES;
    const checked = heavy || this.#checked[index] === true;
    if (checked) this.#places[index] = heavy ? 'entry' : 'calls';
    this.#weight[index] = heavy ? 0 : weight;
    this.#checked[index] = checked;
    this.#tame[index] = !checked && !callsUnknown && callees.every((callee) => this.#tame[callee] === true);
    this.#state[index] = DONE;
  }
}
