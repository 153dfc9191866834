import { describe, expect, it } from 'vitest';

import { ComputingGuests, CpuShare } from './cpu-shares.worker.ts';

/** Guests that compute a millisecond at a time, without end: who had which turn. */
function turnsOf(
  guests: readonly (readonly [name: string, share: CpuShare])[],
  turns: number,
  computing = new ComputingGuests(),
): string[] {
  const order: string[] = [];
  let current: readonly [name: string, share: CpuShare] | undefined;
  const wait = (guest: readonly [name: string, share: CpuShare]): void =>
    computing.add(guest[1], () => {
      current = guest;
    });
  for (const guest of guests) wait(guest);
  while (order.length < turns) {
    computing.next()?.();
    if (current === undefined) throw new Error('nobody is next');
    order.push(current[0]);
    computing.charge(current[1], 1);
    wait(current);
  }
  return order;
}

const count = (order: readonly string[], name: string): number =>
  order.filter((each) => each === name).length;

describe('functions that compute for long in one thread', () => {
  it('have of it what they weigh', () => {
    const guests = [
      ['heavy', new CpuShare(4)],
      ['light', new CpuShare(1)],
    ] as const;
    const order = turnsOf(guests, 1000);
    expect(count(order, 'heavy')).toBe(800);
    expect(count(order, 'light')).toBe(200);
    // In between, not one after the other.
    expect(count(order.slice(0, 50), 'light')).toBe(10);
  });

  it('have that however many guests each of them has, which take turns in order', () => {
    const many = new CpuShare(1);
    const guests = [
      ['one', new CpuShare(1)],
      ...['a', 'b', 'c'].map((name) => [name, many] as const),
    ] as const;
    const order = turnsOf(guests, 600);
    expect(count(order, 'one')).toBe(300);
    for (const name of ['a', 'b', 'c']) expect(count(order, name)).toBe(100);
    expect(order.filter((name) => name !== 'one').slice(0, 4)).toEqual(['a', 'b', 'c', 'a']);
  });

  it('save nothing up while they have nothing to compute', () => {
    const computing = new ComputingGuests();
    const busy = new CpuShare(1);
    turnsOf([['busy', busy]], 1000, computing);
    computing.next();
    const late = new CpuShare(1);
    // What it used before it had to give way for the first time.
    computing.charge(late, 1);
    const order = turnsOf(
      [
        ['busy', busy],
        ['late', late],
      ],
      100,
      computing,
    );
    expect(count(order, 'busy')).toBeGreaterThanOrEqual(49);
  });

  it('weigh the same where nobody says anything', () => {
    const guests = ['a', 'b', 'c'].map((name) => [name, new CpuShare()] as const);
    const order = turnsOf(guests, 300);
    for (const [name] of guests) expect(count(order, name)).toBe(100);
  });

  it('that weigh next to nothing get on all the same', () => {
    const guests = [
      ['most', new CpuShare(10)],
      ['least', new CpuShare(0.01)],
    ] as const;
    expect(count(turnsOf(guests, 3000), 'least')).toBe(3);
  });
});
