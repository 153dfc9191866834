import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkedEntries, type FunctionCalls } from './call-graph.ts';

function calls(callees: readonly number[], more: Partial<FunctionCalls> = {}): FunctionCalls {
  return { bytes: 10, callees, callsUnknown: false, ...more };
}

describe('checked entries', () => {
  it('leave functions alone that cannot reach themselves and do little', () => {
    expect(checkedEntries([calls([1, 2]), calls([2]), calls([])], [0])).toEqual([false, false, false]);
  });

  it('break each cycle once', () => {
    expect(checkedEntries([calls([1]), calls([2]), calls([0])], [0]).filter(Boolean)).toHaveLength(1);
    expect(checkedEntries([calls([0])], [])).toEqual([true]);
  });

  it('are put where unknown code is called from what unknown code can call', () => {
    const functions = [calls([1]), calls([], { callsUnknown: true }), calls([], { callsUnknown: true })];
    expect(checkedEntries(functions, [0])).toEqual([false, true, false]);
  });

  it('break calls that add up', () => {
    const doubling = Array.from({ length: 60 }, (_, i) => calls(i < 59 ? [i + 1, i + 1] : []));
    expect(checkedEntries(doubling, [0]).filter(Boolean).length).toBeGreaterThan(5);
  });

  it('leave no cycle, and no long way, without one', () => {
    const graph = fc.array(fc.array(fc.nat(19), { maxLength: 4 }), { minLength: 20, maxLength: 20 });
    fc.assert(
      fc.property(graph, (edges) => {
        const functions = edges.map((callees) => calls(callees));
        const checked = checkedEntries(functions, [0]);
        const weight = (index: number, on: readonly number[]): number => {
          expect(on).not.toContain(index);
          const callees = edges[index] ?? [];
          return callees.reduce((sum, c) => sum + (checked[c] === true ? 0 : weight(c, [...on, index])), 10);
        };
        const unchecked = edges.map((_, index) => (checked[index] === true ? 0 : weight(index, [])));
        expect(Math.max(...unchecked)).toBeLessThanOrEqual(512);
      }),
    );
  });
});
