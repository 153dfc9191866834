import { describe, expect, it } from 'vitest';
import { Lifecycle, type InstanceState } from './lifecycle.ts';

const STATES: readonly InstanceState[] = ['clean', 'running', 'suspended', 'dirty', 'dropped'];
/** A way into each state. */
const PATHS: Readonly<Record<InstanceState, readonly InstanceState[]>> = {
  clean: [],
  running: ['running'],
  suspended: ['running', 'suspended'],
  dirty: ['running', 'dirty'],
  dropped: ['dropped'],
};
const ALLOWED: readonly string[] = [
  'clean running',
  'clean dropped',
  'running suspended',
  'running dirty',
  'running dropped',
  'suspended running',
  'suspended dropped',
  'dirty clean',
  'dirty dropped',
];

function at(state: InstanceState): Lifecycle {
  const lifecycle = new Lifecycle();
  for (const step of PATHS[state]) lifecycle.become(step);
  return lifecycle;
}

describe('an instance', () => {
  it.each(STATES.flatMap((from) => STATES.map((to) => [from, to] as const)))(
    'that is %s, to %s',
    (from, to) => {
      const lifecycle = at(from);
      const become = (): void => lifecycle.become(to);
      let refusal = '';
      try {
        become();
      } catch (error) {
        refusal = (error as Error).message;
      }
      const allowed = ALLOWED.includes(`${from} ${to}`);
      expect(refusal).toBe(allowed ? '' : `an instance that is ${from} cannot become ${to}`);
      expect(lifecycle.state).toBe(allowed ? to : from);
    },
  );

  it.each(STATES)('can be dropped while it is %s', (from) => {
    const lifecycle = at(from);
    lifecycle.drop();
    expect(lifecycle.state).toBe('dropped');
  });
});
