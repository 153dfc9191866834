import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planChecks, type FunctionCalls } from './call-graph.ts';

function calls(callees: readonly number[], more: Partial<FunctionCalls> = {}): FunctionCalls {
  return { bytes: 10, callees, callsUnknown: false, ...more };
}

function isChecked(functions: readonly FunctionCalls[], reachable: Iterable<number>): boolean[] {
  return planChecks(functions, reachable).places.map((place) => place !== 'nowhere');
}

describe('checks', () => {
  it('leave functions alone that cannot reach themselves and do little', () => {
    expect(isChecked([calls([1, 2]), calls([2]), calls([])], [0])).toEqual([false, false, false]);
  });

  it('break each cycle once', () => {
    expect(isChecked([calls([1]), calls([2]), calls([0])], [0]).filter(Boolean)).toHaveLength(1);
    expect(isChecked([calls([0])], [])).toEqual([true]);
  });

  it('are put where unknown code is called from what unknown code can call', () => {
    const functions = [calls([1]), calls([], { callsUnknown: true }), calls([], { callsUnknown: true })];
    expect(isChecked(functions, [0])).toEqual([false, true, false]);
  });

  it('break calls that add up', () => {
    const doubling = Array.from({ length: 60 }, (_, i) => calls(i < 59 ? [i + 1, i + 1] : []));
    expect(isChecked(doubling, [0]).filter(Boolean).length).toBeGreaterThan(5);
  });

  it('leave no cycle, and no long way, without one', () => {
    const graph = fc.array(fc.array(fc.nat(19), { maxLength: 4 }), { minLength: 20, maxLength: 20 });
    fc.assert(
      fc.property(graph, (edges) => {
        const functions = edges.map((callees) => calls(callees));
        const { places, tame } = planChecks(functions, [0]);
        const weight = (index: number, on: readonly number[]): number => {
          expect(on).not.toContain(index);
          const callees = edges[index] ?? [];
          return callees.reduce((sum, c) => {
            if (places[c] === 'entry') return sum;
            // Up to its first call that is not tame: those come after a check.
            if (places[c] === 'calls') return sum + 10;
            return sum + weight(c, [...on, index]);
          }, 10);
        };
        const unchecked = edges.map((_, index) => (places[index] === 'nowhere' ? weight(index, []) : 0));
        expect(Math.max(...unchecked)).toBeLessThanOrEqual(512);
        for (const [index, callees] of edges.entries()) {
          if (tame[index] !== true) continue;
          expect(places[index]).toBe('nowhere');
          expect(callees.every((c) => tame[c] === true)).toBe(true);
        }
      }),
    );
  });

  it('stand before the calls of small functions, at the entry of large ones', () => {
    const { places, tame } = planChecks([calls([0, 1]), calls([]), calls([2], { bytes: 1000 })], [0]);
    expect(places).toEqual(['calls', 'nowhere', 'entry']);
    expect(tame).toEqual([false, true, false]);
  });

  it('are not passed over by calls out of the module', () => {
    const { places, tame } = planChecks([calls([1, 1]), calls([], { callsUnknown: true })], [1]);
    expect(places).toEqual(['nowhere', 'calls']);
    expect(tame).toEqual([false, false]);
  });
});
