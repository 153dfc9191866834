/** Clean instances of one function, kept ready in one thread. */

export interface PooledInstance {
  /** Bytes of memory that it holds, for the budget. */
  readonly memoryBytes: number;
  /** Makes a used instance clean; false where it has to be dropped. */
  reset(): boolean;
  drop(): void;
}

/** What the budget needs of a pool. */
interface Evictable {
  evict(): boolean;
}

/** Instances that wait for a request, of all functions of a thread. Over the budget, the function that was not used for longest loses its own. */
export class PoolBudget {
  readonly #maxInstances: number;
  readonly #maxBytes: number;
  /** In the order in which they were last used. */
  readonly #pools = new Set<Evictable>();
  #latest: Evictable | null = null;
  #instances = 0;
  #bytes = 0;

  constructor(options: { readonly maxInstances: number; readonly maxBytes: number }) {
    this.#maxInstances = options.maxInstances;
    this.#maxBytes = options.maxBytes;
  }

  get instances(): number {
    return this.#instances;
  }

  get bytes(): number {
    return this.#bytes;
  }

  used(pool: Evictable): void {
    if (this.#latest === pool) return;
    this.#latest = pool;
    this.#pools.delete(pool);
    this.#pools.add(pool);
  }

  forget(pool: Evictable): void {
    if (this.#latest === pool) this.#latest = null;
    this.#pools.delete(pool);
  }

  /** Counts an instance that begins (1) or ends (-1) to wait. */
  count(change: 1 | -1, bytes: number): void {
    this.#instances += change;
    this.#bytes += change * bytes;
    if (change < 0) return;
    for (const pool of this.#pools) {
      while (this.#instances > this.#maxInstances || this.#bytes > this.#maxBytes) if (!pool.evict()) break;
    }
  }
}

/** `For` is what a new instance is made for. */
export class InstancePool<Instance extends PooledInstance, For = void> {
  readonly #make: (reason: For) => Instance;
  readonly #budget: PoolBudget;
  readonly #maxIdle: number;
  readonly #idle: { readonly instance: Instance; readonly bytes: number }[] = [];
  #closed = false;

  /** @param options.maxIdle how many may wait at once */
  constructor(options: {
    readonly make: (reason: For) => Instance;
    readonly budget: PoolBudget;
    readonly maxIdle: number;
  }) {
    this.#make = options.make;
    this.#budget = options.budget;
    this.#maxIdle = options.maxIdle;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** A clean instance: one that waits, else a new one. Throws what making one throws. */
  acquire(reason: For): Instance {
    const waiting = this.#idle.pop();
    if (!waiting) return this.#make(reason);
    this.#budget.count(-1, waiting.bytes);
    return waiting.instance;
  }

  /** Takes an instance back whose guest has returned; it is reset, or dropped. */
  release(instance: Instance): void {
    if (this.#closed || this.#idle.length >= this.#maxIdle || !instance.reset()) {
      instance.drop();
      return;
    }
    this.#keep(instance);
  }

  /** Puts an instance in that has never been used. */
  add(instance: Instance): void {
    if (this.#closed || this.#idle.length >= this.#maxIdle) instance.drop();
    else this.#keep(instance);
  }

  #keep(instance: Instance): void {
    const bytes = instance.memoryBytes;
    this.#idle.push({ instance, bytes });
    this.#budget.used(this);
    this.#budget.count(1, bytes);
  }

  /** Drops the instance that has waited for longest; false where none waits. */
  evict(): boolean {
    const first = this.#idle.shift();
    if (!first) return false;
    this.#budget.count(-1, first.bytes);
    first.instance.drop();
    return true;
  }

  close(): void {
    this.#closed = true;
    while (this.evict());
    this.#budget.forget(this);
  }
}
