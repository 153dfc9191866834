/** Instances of one function that wait for a request, in one thread. */

export interface PooledInstance {
  /** Bytes of memory that it holds, for the budget. */
  readonly memoryBytes: number;
  /** False where {@link reset} takes its time: then it is put off until the thread has nothing else to do. */
  readonly quick?: boolean;
  /** Requests that it has served; only for functions whose instances are reused. */
  readonly served?: number;
  /** Makes a used instance clean; false where it has to be dropped. */
  reset(): boolean;
  /** Makes a used instance ready for another request, its state as it is; false where it has to be dropped, or where that cannot be. */
  retain?(): boolean;
  drop(): void;
}

/** How long instances live. */
export interface InstanceLife {
  /** `fresh`: each request finds a clean one. `reuse`: the next request finds what the last one left. */
  readonly mode: 'fresh' | 'reuse';
  /** Requests after which an instance is replaced (`reuse`); null for no limit. */
  readonly maxRequests: number | null;
  /** How long an instance waits for a request before it is dropped. */
  readonly idleTimeoutMs: number;
  /** Requests that one instance has at once (`reuse`). @default 1 */
  readonly maxConcurrent?: number;
}

const FRESH: InstanceLife = { mode: 'fresh', maxRequests: null, idleTimeoutMs: Infinity };
/** How often pools look at what they hold. */
const TICK_MS = 1000;
/** How long a pool holds as many instances as it needed at once. */
const PEAK_TICKS = 10;

/** What the budget needs of a pool. */
interface Evictable {
  evict(): boolean;
  tick(nowMs: number): void;
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
  #timer: NodeJS.Timeout | null = null;

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

  /** Whether an instance of that size would be one too many. */
  isFull(bytes: number): boolean {
    return this.#instances >= this.#maxInstances || this.#bytes + bytes > this.#maxBytes;
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
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    if (this.#instances > this.#maxInstances || this.#bytes > this.#maxBytes) this.#shrink();
  }

  /** Drops every instance that waits. */
  evictAll(): void {
    for (const pool of this.#pools) while (pool.evict());
  }

  #shrink(): void {
    for (const pool of this.#pools) {
      while (this.#instances > this.#maxInstances || this.#bytes > this.#maxBytes) if (!pool.evict()) break;
    }
  }

  #tick(): void {
    const now = performance.now();
    for (const pool of this.#pools) pool.tick(now);
    if (this.#instances > 0 || !this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** `For` is what a new instance is made for. */
export class InstancePool<Instance extends PooledInstance, For = void> {
  readonly #make: (reason: For) => Instance;
  readonly #budget: PoolBudget;
  readonly #maxIdle: number;
  readonly #life: InstanceLife;
  readonly #idle: { readonly instance: Instance; readonly bytes: number; readonly sinceMs: number }[] = [];
  /** Used, and to be made clean when there is time. */
  readonly #dirty: Instance[] = [];
  #cleaning = false;
  #inUse = 0;
  /** The most that were in use at once, in this period and the one before. */
  #peak = 1;
  #peakBefore = 1;
  #ticks = 0;
  #closed = false;

  /** @param options.maxIdle how many may wait at once; fewer, where fewer were needed at once lately */
  constructor(options: {
    readonly make: (reason: For) => Instance;
    readonly budget: PoolBudget;
    readonly maxIdle?: number;
    readonly life?: InstanceLife;
  }) {
    this.#make = options.make;
    this.#budget = options.budget;
    this.#maxIdle = options.maxIdle ?? Infinity;
    this.#life = options.life ?? FRESH;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** A clean instance that is there, or undefined. */
  take(): Instance | undefined {
    const waiting = this.#idle.pop();
    if (waiting) {
      this.#budget.count(-1, waiting.bytes);
      this.#began();
      return waiting.instance;
    }
    for (let used = this.#dirty.pop(); used; used = this.#dirty.pop()) {
      if (!used.reset()) {
        used.drop();
        continue;
      }
      this.#began();
      return used;
    }
    return undefined;
  }

  /** A new instance. Throws what making one throws. */
  make(reason: For): Instance {
    const instance = this.#make(reason);
    this.#began();
    return instance;
  }

  /** A clean instance: one that waits, else a new one. Throws what making one throws. */
  acquire(reason: For): Instance {
    return this.take() ?? this.make(reason);
  }

  /** An instance that this pool gave is gone: its guest failed. */
  lost(): void {
    if (this.#inUse > 0) this.#inUse--;
  }

  /** Takes an instance back whose guest has returned. */
  release(instance: Instance): void {
    if (this.#inUse > 0) this.#inUse--;
    const { mode, maxRequests } = this.#life;
    if (this.#closed || this.#idle.length + this.#dirty.length >= this.#room()) instance.drop();
    else if (mode === 'reuse') {
      const mayServe = (instance.served ?? 0) < (maxRequests ?? Infinity);
      if (mayServe && instance.retain?.() === true) this.#keep(instance);
      else instance.drop();
    } else if (this.#fills(instance)) instance.drop();
    else if (instance.quick === false) {
      this.#dirty.push(instance);
      if (this.#cleaning) return;
      this.#cleaning = true;
      setImmediate(this.#clean);
    } else if (instance.reset()) this.#keep(instance);
    else instance.drop();
  }

  /** Puts an instance in that has never been used. */
  add(instance: Instance): void {
    if (this.#closed || this.#idle.length >= this.#maxIdle) instance.drop();
    else this.#keep(instance);
  }

  /** Drops the instance that has waited for longest; false where none waits. */
  evict(): boolean {
    const used = this.#dirty.pop();
    if (used) {
      used.drop();
      return true;
    }
    const first = this.#idle.shift();
    if (!first) return false;
    this.#budget.count(-1, first.bytes);
    first.instance.drop();
    return true;
  }

  /** Drops what was not needed for a while. */
  tick(nowMs: number): void {
    const { idleTimeoutMs } = this.#life;
    while (this.#idle[0] && nowMs - this.#idle[0].sinceMs >= idleTimeoutMs) this.evict();
    if (++this.#ticks < PEAK_TICKS) return;
    this.#ticks = 0;
    this.#peakBefore = this.#peak;
    this.#peak = Math.max(1, this.#inUse);
    while (this.#idle.length > this.#room()) this.evict();
  }

  close(): void {
    this.#closed = true;
    while (this.evict());
    this.#budget.forget(this);
  }

  /** One at a time: what the thread has to do meanwhile goes first. */
  readonly #clean = (): void => {
    const used = this.#dirty.pop();
    if (used) {
      if (used.reset()) this.#keep(used);
      else used.drop();
    }
    this.#cleaning = this.#dirty.length > 0;
    if (this.#cleaning) setImmediate(this.#clean);
  };

  #began(): void {
    this.#inUse++;
    if (this.#inUse > this.#peak) this.#peak = this.#inUse;
  }

  /** Whether another instance of this pool would have to go for it: then it need not be made clean. */
  #fills(instance: Instance): boolean {
    return this.#idle.length >= this.#budget.instances && this.#budget.isFull(instance.memoryBytes);
  }

  #room(): number {
    return Math.min(this.#maxIdle, Math.max(this.#peak, this.#peakBefore));
  }

  #keep(instance: Instance): void {
    const bytes = instance.memoryBytes;
    const sinceMs = this.#life.idleTimeoutMs === Infinity ? 0 : performance.now();
    this.#idle.push({ instance, bytes, sinceMs });
    this.#budget.used(this);
    this.#budget.count(1, bytes);
  }
}
