import { describe, expect, it } from 'vitest';
import { InstancePool, PoolBudget, type PooledInstance } from './instance-pool.ts';

class Thing implements PooledInstance {
  readonly memoryBytes: number;
  resets = 0;
  dropped = false;
  readonly resettable: boolean;

  constructor(memoryBytes = 10, resettable = true) {
    this.memoryBytes = memoryBytes;
    this.resettable = resettable;
  }

  reset(): boolean {
    this.resets++;
    return this.resettable;
  }

  drop(): void {
    this.dropped = true;
  }
}

function pool(
  budget = new PoolBudget({ maxInstances: 100, maxBytes: 1e9 }),
  make = (): Thing => new Thing(),
): InstancePool<Thing> {
  return new InstancePool({ make, budget, maxIdle: 2 });
}

describe('a pool', () => {
  it('gives an instance that was reset before a new one', () => {
    const instances = pool();
    const first = instances.acquire();
    instances.release(first);
    expect(first.resets).toBe(1);
    expect(instances.acquire()).toBe(first);
    expect(instances.acquire()).not.toBe(first);
  });

  it('drops what cannot be reset, and what is too much', () => {
    const stubborn = pool(undefined, () => new Thing(10, false));
    const bad = stubborn.acquire();
    stubborn.release(bad);
    expect([bad.dropped, stubborn.idle]).toEqual([true, 0]);
    const instances = pool();
    const used = [instances.acquire(), instances.acquire(), instances.acquire()];
    for (const each of used) instances.release(each);
    expect(used.map(({ dropped }) => dropped)).toEqual([false, false, true]);
    expect(instances.idle).toBe(2);
  });

  it('gives what was made ahead, without a reset', () => {
    const instances = pool();
    const ahead = [new Thing(), new Thing(), new Thing()] as const;
    for (const each of ahead) instances.add(each);
    expect(ahead.map(({ dropped, resets }) => [dropped, resets])).toEqual([
      [false, 0],
      [false, 0],
      [true, 0],
    ]);
    expect(instances.acquire()).toBe(ahead[1]);
  });

  it('drops its instances when it is closed, and those that come back afterwards', () => {
    const budget = new PoolBudget({ maxInstances: 100, maxBytes: 1e9 });
    const instances = pool(budget);
    const [late, waiting] = [instances.acquire(), instances.acquire()];
    instances.release(waiting);
    instances.close();
    instances.release(late);
    expect([waiting.dropped, late.dropped, late.resets]).toEqual([true, true, 0]);
    expect([budget.instances, budget.bytes]).toEqual([0, 0]);
  });
});

describe('the budget', () => {
  function use(instances: InstancePool<Thing>): Thing {
    const thing = instances.acquire();
    instances.release(thing);
    return thing;
  }

  it.each([
    ['instances', new PoolBudget({ maxInstances: 2, maxBytes: 1e9 })],
    ['bytes', new PoolBudget({ maxInstances: 100, maxBytes: 25 })],
  ])('over its %s takes them from the function that was not used for longest', (_, budget) => {
    const pools = [pool(budget), pool(budget), pool(budget)] as const;
    const [first, second] = [use(pools[0]), use(pools[1])];
    use(pools[0]);
    use(pools[2]);
    expect([first.dropped, second.dropped]).toEqual([false, true]);
    expect(pools.map(({ idle }) => idle)).toEqual([1, 0, 1]);
    expect([budget.instances, budget.bytes]).toEqual([2, 20]);
  });

  it('that is full of a function’s own instances has no other of them made clean', () => {
    const budget = new PoolBudget({ maxInstances: 2, maxBytes: 1e9 });
    const [own, others] = [new InstancePool({ make: () => new Thing(), budget }), pool(budget)];
    const used = [own.acquire(), own.acquire(), own.acquire()];
    for (const each of used) own.release(each);
    expect(used.map(({ resets, dropped }) => [resets, dropped])).toEqual([
      [1, false],
      [1, false],
      [0, true],
    ]);
    // Where others' have to go for it, it is kept.
    const theirs = others.acquire();
    others.release(theirs);
    expect([theirs.resets, theirs.dropped, own.idle, others.idle]).toEqual([1, false, 1, 1]);
  });

  it('smaller than one instance keeps none', () => {
    const budget = new PoolBudget({ maxInstances: 10, maxBytes: 5 });
    const instances = pool(budget);
    expect(use(instances).dropped).toBe(true);
    expect([instances.idle, budget.instances, budget.bytes]).toEqual([0, 0, 0]);
  });
});
