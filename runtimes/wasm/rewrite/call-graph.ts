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

/**
 * @param reachable functions that can be called from outside of the module, or by reference
 * @returns for each function whether its entry is checked. Without them no function can reach itself, and none
 * runs more than {@link UNCHECKED_BYTES}.
 */
export function checkedEntries(functions: readonly FunctionCalls[], reachable: Iterable<number>): boolean[] {
  const checked = functions.map(() => false);
  for (const index of closure(functions, reachable)) {
    // Every way round through an unknown call leads through its caller.
    if (functions[index]?.callsUnknown === true) checked[index] = true;
  }
  new Search(functions, checked).run();
  return checked;
}

/** Everything that direct calls lead to. */
function closure(functions: readonly FunctionCalls[], roots: Iterable<number>): Set<number> {
  const found = new Set(roots);
  // A set's iteration goes on to what is added meanwhile.
  for (const index of found) for (const callee of functions[index]?.callees ?? []) found.add(callee);
  return found;
}

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

  constructor(functions: readonly FunctionCalls[], checked: boolean[]) {
    this.#functions = functions;
    this.#checked = checked;
    this.#state = new Uint8Array(functions.length);
    this.#weight = new Float64Array(functions.length);
  }

  run(): void {
    for (let root = 0; root < this.#functions.length; root++)
      if (this.#state[root] === UNSEEN) this.#visit(root);
  }

  #visit(root: number): void {
    const stack = [{ index: root, next: 0 }];
    this.#state[root] = OPEN;
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const callee = this.#functions[top.index]?.callees[top.next++];
      if (callee === undefined) {
        this.#finish(top.index);
        stack.pop();
      } else if (this.#checked[callee] === true) continue;
      else if (this.#state[callee] === OPEN) this.#checked[callee] = true;
      else if (this.#state[callee] === UNSEEN) {
        this.#state[callee] = OPEN;
        stack.push({ index: callee, next: 0 });
      }
    }
  }

  #finish(index: number): void {
    const { bytes, callees } = this.#functions[index] ?? { bytes: 0, callees: [] };
    let weight = bytes;
    for (const callee of callees) if (this.#checked[callee] !== true) weight += this.#weight[callee] ?? 0;
    this.#weight[index] = weight;
    if (weight > UNCHECKED_BYTES) this.#checked[index] = true;
    this.#state[index] = DONE;
  }
}
