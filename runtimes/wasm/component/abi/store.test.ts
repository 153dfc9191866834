import { describe, expect, it } from 'vitest';
import { MemoryInvocation } from '../../wasi/testing/memory-invocation.ts';
import { GuestTrap, type GuestState } from '../../wasi/index.ts';
import { getLogStream } from '../../wasi/cli.ts';
import { GuestStore } from './store.ts';

const STREAM = 1;
const REQUEST = 2;

class Kept extends GuestStore {
  next(state: GuestState): void {
    this.endLife();
    this.adopt(state);
  }
}

describe('handles that a reused instance keeps', () => {
  it('stand for nothing of a request that has ended, even while its answer is on its way', () => {
    const [first, second] = [new MemoryInvocation().host(), new MemoryInvocation().host()];
    const store = new Kept();
    const handle = store.add(REQUEST, first.incomingRequest());
    expect((store.borrow(REQUEST, handle) as { method(): unknown }).method()).toEqual({ tag: 'get' });
    store.next(second.state);
    const ended = store.borrow(REQUEST, handle) as { method(): unknown };
    expect(() => ended.method()).toThrow(GuestTrap);
    expect(() => ended.method()).toThrow(/earlier request/);
    // A guest may drop it, and the number is then free.
    (store.remove(REQUEST, handle) as Partial<Disposable>)[Symbol.dispose]?.();
    expect(store.add(STREAM, {})).toBe(handle);
    expect(store.liveHandles).toBe(1);
  });

  it("log for the request that runs, and count among that one's", () => {
    const [first, second] = [new MemoryInvocation(), new MemoryInvocation()];
    const store = new Kept();
    const handle = store.add(STREAM, getLogStream(first.state, 'stdout'));
    first.state.close();
    store.next(second.state);
    const log = store.borrow(STREAM, handle) as ReturnType<typeof getLogStream>;
    log.checkWrite();
    log.write(Buffer.from('to whom?'));
    expect([first.stdout, second.stdout]).toEqual(['', 'to whom?']);
    expect(second.state.live('output-stream')).toBe(1);
    log[Symbol.dispose]();
    expect(second.state.live('output-stream')).toBe(0);
  });
});
