/**
 * The routes of one host, by path. Paths without parameters are in a map; the others in a tree with one level
 * for each segment, so that adding or removing a route walks its own segments and touches no other route.
 *
 * It is our own because find-my-way, which serves the fixed paths of the internal listener, cannot take a
 * route away without building all of them again (7 ms at 2,000 routes), cuts its input at `?`, `#` and `;`
 * after decoding, matches no expression over slashes, and offers no next best route when the best one does not
 * take the method.
 *
 * Order, most specific first, decided at the first segment in which two routes differ: fixed text, a parameter
 * with an expression (more fixed text first), any parameter, an expression over several segments, a prefix's
 * open end. Longer prefixes therefore come before shorter ones.
 */
import type { PatternSegment, RoutePattern } from './route-pattern.ts';

/** What stands at one place of the tree; `isEmpty` places are taken away. */
export interface Place {
  readonly isEmpty: boolean;
}

export interface PathVisit<P extends Place> {
  readonly place: P;
  /** Values of the parameters in order, as matched. */
  readonly values: readonly string[];
  /** Segments that a prefix consumed; null for an exact match. */
  readonly consumed: number | null;
}

interface TailEdge<P> {
  readonly key: string;
  readonly regexp: RegExp;
  readonly literalLength: number;
  readonly prefix: boolean;
  place: P;
}

interface ParameterEdge<P> {
  readonly key: string;
  readonly regexp: RegExp | null;
  readonly literalLength: number;
  readonly node: Node<P>;
}

/** Most nodes are leaves, of which there may be tens of thousands: what they do not have costs them nothing. */
interface Node<P> {
  literals: Map<string, Node<P>> | null;
  parameters: readonly ParameterEdge<P>[];
  tails: readonly TailEdge<P>[];
  exact: P | null;
  prefix: P | null;
}

export class PathIndex<P extends Place> {
  readonly #literals = new Map<string, P>();
  readonly #root: Node<P> = emptyNode();
  readonly #makePlace: () => P;
  #work = 0;

  constructor(makePlace: () => P) {
    this.#makePlace = makePlace;
  }

  /** Steps that all changes so far took: nodes and edges looked at. For tests that count work. */
  get work(): number {
    return this.#work;
  }

  get isEmpty(): boolean {
    return this.#literals.size === 0 && isBare(this.#root);
  }

  /** The place of a pattern, made where it does not exist. */
  obtain(pattern: RoutePattern, kind: 'exact' | 'prefix'): P {
    if (kind === 'exact' && pattern.literal !== null) {
      this.#work += 1;
      const place = this.#literals.get(pattern.literal) ?? this.#makePlace();
      this.#literals.set(pattern.literal, place);
      return place;
    }
    let node = this.#root;
    for (const segment of pattern.segments) node = this.#child(node, segment, true) ?? node;
    const { tail } = pattern;
    if (tail !== null) {
      const found = node.tails.find((edge) => edge.key === tail.key && edge.prefix === (kind === 'prefix'));
      if (found !== undefined) return found.place;
      const edge: TailEdge<P> = { ...tail, prefix: kind === 'prefix', place: this.#makePlace() };
      node.tails = node.tails.toSpliced(insertionPoint(node.tails, edge, byTail), 0, edge);
      return edge.place;
    }
    if (kind === 'exact') return (node.exact ??= this.#makePlace());
    return (node.prefix ??= this.#makePlace());
  }

  /** Takes the pattern's place away if it is empty, with the nodes that only it needed. */
  prune(pattern: RoutePattern, kind: 'exact' | 'prefix'): void {
    if (kind === 'exact' && pattern.literal !== null) {
      this.#work += 1;
      if (this.#literals.get(pattern.literal)?.isEmpty === true) this.#literals.delete(pattern.literal);
      return;
    }
    const walked: { parent: Node<P>; segment: PatternSegment; node: Node<P> }[] = [];
    let node = this.#root;
    for (const segment of pattern.segments) {
      const next = this.#child(node, segment, false);
      if (next === null) return;
      walked.push({ parent: node, segment, node: next });
      node = next;
    }
    const { tail } = pattern;
    if (tail !== null) {
      const at = node.tails.findIndex((edge) => edge.key === tail.key && edge.prefix === (kind === 'prefix'));
      if (node.tails[at]?.place.isEmpty === true) node.tails = withoutAt(node.tails, at);
    } else if (kind === 'exact') {
      if (node.exact?.isEmpty === true) node.exact = null;
    } else if (node.prefix?.isEmpty === true) node.prefix = null;
    for (const step of walked.reverse()) {
      if (!isBare(step.node)) return;
      this.#work += 1;
      const { parent, segment } = step;
      if (segment.kind !== 'literal')
        parent.parameters = withoutAt(parent.parameters, this.#edgeIndex(parent, segment));
      else if (parent.literals?.delete(segment.text) === true && parent.literals.size === 0)
        parent.literals = null;
    }
  }

  /**
   * Calls `visit` with every place that takes the path, most specific first, until it returns true.
   * @param path in the form that `matchForm` gives
   */
  find(path: string, visit: (found: PathVisit<P>) => boolean): boolean {
    const literal = this.#literals.get(path);
    if (literal !== undefined && visit({ place: literal, values: [], consumed: null })) return true;
    if (isBare(this.#root)) return false;
    return descend(this.#root, path, 1, 0, [], visit);
  }

  #child(node: Node<P>, segment: PatternSegment, make: boolean): Node<P> | null {
    this.#work += 1;
    if (segment.kind === 'literal') {
      const found = node.literals?.get(segment.text);
      if (found !== undefined || !make) return found ?? null;
      const made: Node<P> = emptyNode();
      node.literals ??= new Map();
      node.literals.set(segment.text, made);
      return made;
    }
    const at = this.#edgeIndex(node, segment);
    const found = node.parameters[at];
    if (found !== undefined && found.key === segment.key) return found.node;
    if (!make) return null;
    const { key, regexp, literalLength } = segment;
    const edge: ParameterEdge<P> = { key, regexp, literalLength, node: emptyNode() };
    node.parameters = node.parameters.toSpliced(at, 0, edge);
    return edge.node;
  }

  /** Where the segment's edge is, or would be. */
  #edgeIndex(node: Node<P>, segment: { readonly key: string; readonly literalLength: number }): number {
    return insertionPoint(node.parameters, segment, (a, b) => {
      this.#work += 1;
      return byParameter(a, b);
    });
  }
}

function emptyNode<P>(): Node<P> {
  return { literals: null, parameters: NONE, tails: NONE, exact: null, prefix: null };
}

const NONE: readonly never[] = [];

function withoutAt<T>(list: readonly T[], at: number): readonly T[] {
  return list.length === 1 ? NONE : list.toSpliced(at, 1);
}

function isBare<P>(node: Node<P>): boolean {
  return (
    node.exact === null &&
    node.prefix === null &&
    node.literals === null &&
    node.parameters.length === 0 &&
    node.tails.length === 0
  );
}

/** `at` is where the segment starts in `path`, past its end where there is none left. */
function descend<P extends Place>(
  node: Node<P>,
  path: string,
  at: number,
  depth: number,
  values: readonly string[],
  visit: (found: PathVisit<P>) => boolean,
): boolean {
  if (at > path.length) {
    return node.exact !== null && visit({ place: node.exact, values, consumed: null });
  }
  const slash = path.indexOf('/', at);
  const end = slash === -1 ? path.length : slash;
  const segment = path.slice(at, end);
  const literal = node.literals?.get(segment);
  if (literal !== undefined && descend(literal, path, end + 1, depth + 1, values, visit)) return true;
  for (const edge of node.parameters) {
    if (segment === '') break;
    const captured = edge.regexp === null ? [segment] : captures(edge.regexp, segment);
    if (captured !== null && descend(edge.node, path, end + 1, depth + 1, [...values, ...captured], visit)) {
      return true;
    }
  }
  for (const tail of node.tails) {
    const match = tail.regexp.exec(path.slice(at));
    if (match === null) continue;
    const consumed = tail.prefix ? depth + match[0].split('/').length - 1 : null;
    if (visit({ place: tail.place, values: [...values, ...match.slice(1)], consumed })) return true;
  }
  return node.prefix !== null && visit({ place: node.prefix, values, consumed: depth });
}

function captures(regexp: RegExp, segment: string): string[] | null {
  const match = regexp.exec(segment);
  return match === null ? null : match.slice(1);
}

type Ranked = { readonly key: string; readonly literalLength: number };

function byParameter(a: Ranked, b: Ranked): number {
  if ((a.key === '') !== (b.key === '')) return a.key === '' ? 1 : -1;
  return b.literalLength - a.literalLength || compare(a.key, b.key);
}

function byTail(a: Ranked & { prefix: boolean }, b: Ranked & { prefix: boolean }): number {
  if (a.prefix !== b.prefix) return a.prefix ? 1 : -1;
  return b.literalLength - a.literalLength || compare(a.key, b.key);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function insertionPoint<T, U extends T>(
  sorted: readonly U[],
  item: T,
  order: (a: T, b: T) => number,
): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = sorted[middle];
    if (other !== undefined && order(other, item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
