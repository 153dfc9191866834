/** What a guest on its caller's stack may do: nothing that outlives it. */
import { expect, it } from 'vitest';
import { hostBytes } from './host-bytes.ts';
import { Egress } from './egress.ts';
import { HOST_BYTES_FREE } from './limits.ts';
import { GuestState } from './state.ts';
import { LIMITS, MemoryInvocation } from './testing/memory-invocation.ts';

function stateOf(atOnce: boolean): GuestState {
  const { context, grants } = new MemoryInvocation();
  return new GuestState({
    context: atOnce ? { ...context, commit: () => undefined } : context,
    grants,
    limits: LIMITS,
    egress: new Egress([]),
  });
}

const EFFECTS: Readonly<Record<string, (state: GuestState) => unknown>> = {
  'makes the host hold more than anybody may': (state) => state.hold(HOST_BYTES_FREE + 1),
  'writes a file': ({ volume }) => volume.createDirectory(volume.root, 'tmp/folder'),
};

it.for(Object.entries(EFFECTS))('ends where it %s', ([, effect], { expect }) => {
  const taken = hostBytes.takenBytes;
  const atOnce = stateOf(true);
  expect(() => effect(atOnce)).toThrow('the invocation has ended');
  expect(atOnce.stop?.cause).toMatchObject({ message: 'the function is run again, so that it can wait' });
  expect(hostBytes.takenBytes).toBe(taken);
  atOnce.close();
  const usual = stateOf(false);
  effect(usual);
  expect([usual.stop, usual.tookTime]).toEqual([null, true]);
  usual.close();
  expect(hostBytes.takenBytes).toBe(taken);
});

it('may look at its files', () => {
  const state = stateOf(true);
  expect(
    state.volume.open(state.volume.root, 'tmp', {
      create: false,
      directory: true,
      exclusive: false,
      truncate: false,
      write: false,
    }),
  ).toMatchObject({ kind: 'directory' });
  expect([state.stop, state.tookTime]).toEqual([null, false]);
  state.close();
});

it('may hold what is free', () => {
  const state = stateOf(true);
  state.hold(HOST_BYTES_FREE);
  expect([state.stop, state.tookTime]).toEqual([null, false]);
  state.close();
});
