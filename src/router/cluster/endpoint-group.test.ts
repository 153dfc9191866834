import { afterEach, describe, expect, it } from 'vitest';

import { CallAbort } from '../../executors/call-abort.ts';
import { EndpointGroup } from './endpoint-group.ts';

const NOBODY = new CallAbort();
let group: EndpointGroup | undefined;

afterEach(() => group?.clear());

function make(choice: 'affinity' | 'least', pods: number): EndpointGroup {
  group = new EndpointGroup({ choice });
  for (let i = 0; i < pods; i++) group.set(`ns/pod-${i}`, `http://127.0.0.1:${10_000 + i}`);
  return group;
}

describe('EndpointGroup', () => {
  it('passes over an endpoint that took no connection, and comes back to it', async () => {
    const endpoints = make('affinity', 2);
    const first = endpoints.tryTake('u');
    if (first === null) throw new Error('none was free');
    endpoints.release(first);
    endpoints.rest(first);
    const second = endpoints.tryTake('u');
    expect(second?.key).not.toBe(first.key);
    if (second === null) throw new Error('none was free');
    endpoints.release(second);
    endpoints.rest(second);
    expect(endpoints.tryTake('u')).toBeNull();
    expect([first.key, second?.key]).toContain((await endpoints.take('u', NOBODY)).key);
  });

  it('gives the endpoint with the fewest calls', () => {
    const endpoints = make('least', 3);
    const taken = Array.from({ length: 6 }, () => endpoints.tryTake('u')?.key ?? '');
    expect(taken.toSorted()).toEqual([
      'ns/pod-0',
      'ns/pod-0',
      'ns/pod-1',
      'ns/pod-1',
      'ns/pod-2',
      'ns/pod-2',
    ]);
  });

  it('keeps to the limit, and serves who waits in order as endpoints get room or come', async () => {
    const endpoints = make('least', 1);
    endpoints.setLimit(1, false);
    const first = endpoints.tryTake('u');
    expect(endpoints.tryTake('u')).toBeNull();
    const order: string[] = [];
    const waiting = ['a', 'b'].map(async (name) => {
      const endpoint = await endpoints.take('u', NOBODY);
      order.push(`${name} ${endpoint.key}`);
    });
    if (first !== null) endpoints.release(first);
    await waiting[0];
    endpoints.set('ns/new', 'http://127.0.0.1:9');
    await waiting[1];
    expect(order).toEqual(['a ns/pod-0', 'b ns/new']);
  });

  it('forgets who stops waiting: the endpoint goes to somebody who takes it', async () => {
    const endpoints = make('least', 0);
    endpoints.setLimit(1, false);
    const abort = new CallAbort();
    const gone = endpoints.take('u', abort);
    const stays = endpoints.take('u', NOBODY);
    abort.abort(new Error('gone'));
    endpoints.set('ns/new', 'http://127.0.0.1:9');
    await expect(gone).rejects.toThrow('gone');
    expect((await stays).key).toBe('ns/new');
  });

  it('gives an endpoint one call and never another where it is for once only', () => {
    const endpoints = make('least', 1);
    endpoints.setLimit(5, true);
    const first = endpoints.tryTake('u');
    expect(first?.key).toBe('ns/pod-0');
    // The watch repeats what it said.
    endpoints.set('ns/pod-0', 'http://127.0.0.1:10000');
    expect(endpoints.tryTake('u')).toBeNull();
    if (first !== null) endpoints.release(first);
    expect(endpoints.tryTake('u')).toBeNull();
    endpoints.delete('ns/pod-0');
    endpoints.set('ns/pod-0', 'http://127.0.0.1:10001');
    expect(endpoints.tryTake('u')?.key).toBe('ns/pod-0');
  });

  it('sends each function to its own host, and stays with it as others come and go', () => {
    const endpoints = make('affinity', 4);
    const homes = (): Map<string, string> => {
      const found = new Map<string, string>();
      for (let i = 0; i < 40; i++) {
        const taken = endpoints.tryTake(`uid-${i}`);
        if (taken === null) throw new Error('no endpoint');
        found.set(`uid-${i}`, taken.key);
        endpoints.release(taken);
      }
      return found;
    };
    const before = homes();
    expect(new Set(before.values()).size).toBe(4);
    expect(homes()).toEqual(before);
    endpoints.delete('ns/pod-2');
    const stayed = [...before].filter(([, home]) => home !== 'ns/pod-2');
    expect([...homes()]).toEqual(expect.arrayContaining(stayed));
  });

  it('passes over a host that is much busier than the others', () => {
    const endpoints = make('affinity', 4);
    const taken = Array.from({ length: 100 }, () => endpoints.tryTake('one')?.key);
    const most = Math.max(...[...Map.groupBy(taken, (key) => key).values()].map((calls) => calls.length));
    expect(new Set(taken).size).toBe(4);
    expect(most).toBeLessThan(40);
  });

  it('tells of calls on endpoints that take no more', () => {
    const endpoints = make('least', 1);
    const past = (): number[] => [...endpoints.past()].map(({ running }) => running);
    const taken = endpoints.tryTake('one');
    if (taken === null) throw new Error('no endpoint');
    expect(past()).toEqual([]);
    endpoints.delete(taken.key);
    expect(past()).toEqual([1]);
    endpoints.release(taken);
    expect(past()).toEqual([]);
  });

  it('tells of endpoints that have had their one call, until they are gone', () => {
    const endpoints = make('least', 2);
    endpoints.setLimit(1, true);
    const past = (): number[] => [...endpoints.past()].map(({ running }) => running);
    const taken = endpoints.tryTake('one');
    if (taken === null) throw new Error('no endpoint');
    expect(past()).toEqual([1]);
    endpoints.release(taken);
    expect(past()).toEqual([0]);
    endpoints.delete(taken.key);
    expect(past()).toEqual([]);
  });
});
