import { expect, test } from 'vitest';
import { FissiumError } from '../../src/errors.ts';
import { guestFailure } from './guest-failure.ts';

const PAGE = 64 * 1024;
const memory = (pages: number): WebAssembly.Memory => new WebAssembly.Memory({ initial: pages });

test('what is ours already stays as it is', () => {
  const error = new FissiumError('CPU_LIMIT', 'too long');
  expect(guestFailure(error, [], PAGE)).toBe(error);
});

test.each(['unreachable', 'wasm trap: wasm `unreachable` instruction executed'])(
  '“%s” with most of the memory taken is most likely a failed allocation',
  (message) => {
    const trap = new WebAssembly.RuntimeError(message);
    expect(guestFailure(trap, [memory(9)], 10 * PAGE).code).toBe('GUEST_OUT_OF_MEMORY');
    expect(guestFailure(trap, [memory(2)], 10 * PAGE).code).toBe('GUEST_TRAPPED');
  },
);

test('an exhausted stack is named', () => {
  const overflow = new RangeError('Maximum call stack size exceeded');
  expect(guestFailure(overflow, [], PAGE)).toMatchObject({
    code: 'GUEST_TRAPPED',
    message: expect.stringContaining('call stack is exhausted') as unknown,
  });
});

test('the guest’s frames are in its stack, by name', () => {
  const trap = new WebAssembly.RuntimeError('unreachable');
  trap.stack = `RuntimeError: unreachable
    at app.main (wasm://wasm/app-0123:wasm-function[7]:0x1f)
    at handle (file:///host.ts:1:1)`;
  expect(guestFailure(trap, [], PAGE).guestStack).toBe(
    'RuntimeError: unreachable\n    at app.main (app-0123 function 7, offset 0x1f)',
  );
});
