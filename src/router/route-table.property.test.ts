import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ResolvedTrigger } from '../api/index.ts';
import { RouteTable } from './route-table.ts';
import { trigger } from './testing/resources.ts';

/** One segment of a generated path with what it matches and how specific it is. */
interface Piece {
  readonly text: (index: number) => string;
  readonly matches: (segment: string) => boolean;
  readonly rank: readonly (number | string)[];
}

const PIECES: readonly Piece[] = [
  ...['a', 'b', '1', ''].map((text): Piece => ({
    text: () => text,
    matches: (segment) => segment === text,
    rank: [0],
  })),
  { text: (at) => `{p${at}:[0-9]+}`, matches: (s) => /^[0-9]+$/.test(s), rank: [1, 0, '([0-9]+)'] },
  { text: (at) => `{p${at}:(a|b)+}`, matches: (s) => /^(a|b)+$/.test(s), rank: [1, 0, '((?:a|b)+)'] },
  { text: (at) => `f-{p${at}}`, matches: (s) => /^f-.+$/.test(s), rank: [1, -2, ''] },
  { text: (at) => `{p${at}}`, matches: (s) => s !== '', rank: [2] },
];

interface Shape {
  readonly pieces: readonly Piece[];
  readonly end: 'exact' | 'prefix' | 'rest';
  readonly host: string;
  readonly methods: readonly string[];
}

const shape: fc.Arbitrary<Shape> = fc.record({
  pieces: fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 4 }),
  end: fc.constantFrom('exact', 'prefix', 'rest'),
  host: fc.constantFrom('', 'h'),
  methods: fc.subarray(['GET', 'POST', 'PUT'], { minLength: 1 }),
});

function toTrigger({ pieces, end, host, methods }: Shape, index: number): ResolvedTrigger {
  const path = `/${pieces.map((piece, at) => piece.text(at)).join('/')}`;
  const paths = { exact: path, prefix: `${path}/`, rest: `${path}/{rest:.*}` };
  return trigger(`t${index}`, {
    path: paths[end],
    prefix: end === 'prefix',
    host,
    methods,
    creationTimestamp: new Date(index * 1000).toISOString(),
  });
}

/** How specific the shape is, or null where it does not take the path. */
function rank(
  { pieces, end, host, methods }: Shape,
  askedHost: string,
  path: string,
  method: string,
): unknown[] | null {
  if (host !== '' && host !== askedHost) return null;
  if (!methods.includes(method)) return null;
  const segments = path.slice(1).split('/');
  if (end === 'exact' ? segments.length !== pieces.length : segments.length <= pieces.length) return null;
  if (!pieces.every((piece, at) => piece.matches(segments[at] ?? ''))) return null;
  const ends = { exact: [], rest: [[3]], prefix: [[4]] };
  return [[host === '' ? 1 : 0], ...pieces.map((piece) => piece.rank), ...ends[end]];
}

function compare(a: unknown, b: unknown): number {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
      if (at >= a.length) return -1;
      if (at >= b.length) return 1;
      const order = compare(a[at], b[at]);
      if (order !== 0) return order;
    }
    return 0;
  }
  if (a === b) return 0;
  return (a as number | string) < (b as number | string) ? -1 : 1;
}

function naive(shapes: readonly (Shape | null)[], host: string, path: string, method: string): string {
  const found = shapes.flatMap((one, index) => {
    const ranked = one === null ? null : rank(one, host, path, method);
    return ranked === null ? [] : [{ ranked, index }];
  });
  found.sort((a, b) => compare(a.ranked, b.ranked) || a.index - b.index);
  return found[0] === undefined ? 'none' : `t${found[0].index}`;
}

it('finds what a matcher that tries every route finds, also after changes', () => {
  const path = fc
    .array(fc.constantFrom('a', 'b', '1', '', 'f-1', 'ab', 'c'), { minLength: 1, maxLength: 6 })
    .map((segments) => `/${segments.join('/')}`);
  const asks = fc.array(fc.tuple(fc.constantFrom('h', 'i'), path, fc.constantFrom('GET', 'POST', 'PUT')), {
    minLength: 1,
    maxLength: 10,
  });
  const removed = fc.array(fc.nat(11), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(shape, { maxLength: 12 }), removed, asks, (shapes, gone, questions) => {
      const routes = new RouteTable();
      shapes.forEach((one, index) => routes.upsert(toTrigger(one, index)));
      for (const index of gone) routes.delete('default', `t${index}`);
      const left = shapes.map((one, index) => (gone.includes(index) ? null : one));
      for (const [host, asked, method] of questions) {
        const match = routes.match(host, asked, method);
        expect(match.kind === 'found' ? match.route.name : 'none').toBe(naive(left, host, asked, method));
      }
    }),
    { numRuns: 500 },
  );
});

it('is empty again when everything is removed, and tells of every conflict that changed', () => {
  fc.assert(
    fc.property(
      fc.array(shape, { maxLength: 10 }),
      fc.array(fc.nat(9), { maxLength: 20 }),
      (shapes, order) => {
        const routes = new RouteTable();
        const known = new Map<string, string>();
        const state = (name: string): string => JSON.stringify(routes.conflicts('default', name));
        let told = new Set<string>();
        routes.onConflictsChanged((triggers) => {
          told = new Set(triggers.map(({ name }) => name));
        });
        const change = (changed: string, run: () => void): void => {
          told = new Set();
          run();
          const others = [...known].filter(([name, before]) => name !== changed && state(name) !== before);
          expect([...told].sort()).toEqual(others.map(([name]) => name).sort());
          for (const name of known.keys()) known.set(name, state(name));
        };
        for (const step of [...order, ...shapes.keys()]) {
          const one = shapes[step];
          if (one === undefined) continue;
          const made = toTrigger(one, step);
          change(made.name, () => routes.upsert(made));
          known.set(made.name, state(made.name));
        }
        for (const name of Array.from(known.keys())) {
          known.delete(name);
          change(name, () => routes.delete('default', name));
        }
        expect(routes.size).toBe(0);
      },
    ),
  );
});
