import { describe, expect, it } from 'vitest';
import type { Turn } from './engine.ts';
import { GuestCall } from './guest-call.worker.ts';
import type { FromExecutor } from './protocol.ts';

const HEAD = {
  id: 'r',
  method: 'GET',
  scheme: 'http',
  authority: 'a',
  pathWithQuery: '/',
  headers: [],
} as const;

describe('the answer of a call in its thread', () => {
  it.each([
    ["a small Buffer, which lies in Node's pool", Buffer.concat([Buffer.from('ab'), Buffer.from('c')])],
    ['a Buffer of its own', Buffer.alloc(9000, 'x')],
    ['a view of guest memory', new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 8, 100)],
  ])('sends a copy of %s that can leave the thread', async (_, chunk) => {
    const sent: Uint8Array[] = [];
    const post = (message: FromExecutor, transfer?: ArrayBuffer[]): void => {
      // What a MessagePort does with it.
      const arrived = structuredClone(message, { transfer: transfer ?? [] });
      if (arrived.type === 'chunk') sent.push(arrived.chunk);
    };
    const before = new Uint8Array(chunk);
    const { response } = new GuestCall(1, HEAD, false, post).context({} as Turn, null);

    await response.write(chunk);

    expect(sent).toEqual([before]);
    expect(new Uint8Array(chunk)).toEqual(before);
  });
});
