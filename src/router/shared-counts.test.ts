import { describe, expect, it } from 'vitest';
import { FissiumError } from '../errors.ts';
import { Admission, type Release } from './admission.ts';
import { SharedCounts } from './shared-counts.ts';
import { Slots } from './threads/slots.ts';

const never = new AbortController().signal;
const limits = { concurrency: 2, queue: 2 };

/** Two threads' admissions over one memory, as they are in two threads. */
function pair(): {
  counts: SharedCounts;
  handle: ReturnType<SharedCounts['handle']>;
  a: Admission;
  b: Admission;
} {
  const counts = new SharedCounts();
  const handle = counts.handle();
  const slotOf = (): number => 7;
  return {
    counts,
    handle,
    a: new Admission({ counts, slotOf }),
    b: new Admission({ counts: new SharedCounts(handle), slotOf }),
  };
}

async function take(admission: Admission): Promise<Release> {
  return admission.acquire('default', 'f', limits, never);
}

describe('the limits of a function', () => {
  it('hold over all threads', async () => {
    const { a, b } = pair();
    const first = await take(a);
    await take(b);
    const waiting = [take(a), take(b)];
    await expect(take(b)).rejects.toMatchObject({ code: 'FUNCTION_BUSY' });
    expect(a.requests).toBe(4);
    first();
    await Promise.race(waiting);
    expect(a.requests).toBe(3);
  });

  it("let a request of one thread run when another's ends", async () => {
    const { a, b } = pair();
    const held = [await take(a), await take(a)];
    const waiting = take(b);
    for (const release of held) release();
    (await waiting)();
    expect(b.requests).toBe(0);
  });

  it('are given back by a thread that is lost', async () => {
    const { a, b, counts, handle } = pair();
    await take(b);
    await take(b);
    const waiting = take(a);
    counts.forget(handle);
    await waiting;
    expect(counts.running(7)).toBe(1);
    expect(counts.total).toBe(1);
  });

  it('refuse what waits when the function goes', async () => {
    const { a, b } = pair();
    await take(a);
    await take(a);
    const waiting = take(b);
    b.refuseAll('default', 'f', new FissiumError('FUNCTION_NOT_FOUND', 'gone'));
    await expect(waiting).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
    expect(a.requests).toBe(2);
  });
});

describe('Slots', () => {
  it('gives a slot to another function only when nothing runs in it', async () => {
    const counts = new SharedCounts();
    const slots = new Slots(counts);
    const first = slots.of('default/a');
    expect(slots.of('default/a')).toBe(first);
    const admission = new Admission({ counts, slotOf: slots.of });
    const release = await admission.acquire('default', 'a', limits, never);
    slots.release('default/a');
    expect(slots.of('default/b')).not.toBe(first);
    release();
    expect(slots.of('default/c')).toBe(first);
  });
});
