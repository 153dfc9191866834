/** A guest for tests of the canonical ABI: a memory, an allocator, and the host functions that it imports. */
import type { FuncType, ValueType } from '../types.ts';
import type { LinkPlan } from '../plan.ts';
import { GuestStore } from '../abi/store.ts';
import { compileTrampolines, type HostLinks } from '../abi/trampoline.ts';

export class TestGuest extends GuestStore {
  imports: Record<string, Record<string, unknown>> = {};
  killed = 0;
  #next = 4096;
  readonly #links: HostLinks = {
    realloc: (_old, _size, align, size) => {
      const pointer = Math.ceil(this.#next / align) * align;
      this.#next = pointer + size;
      const pages = Math.ceil((this.#next - (this.memory?.buffer.byteLength ?? 0)) / 65_536);
      if (pages > 0) this.memory?.grow(pages);
      return pointer;
    },
  };

  constructor() {
    super();
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: 1024 });
    this.refresh();
  }

  /** Allocates from here on; for allocators that misbehave. */
  set allocator(realloc: NonNullable<HostLinks['realloc']>) {
    this.#links.realloc = realloc;
  }

  protected override kill(): void {
    this.killed++;
  }

  /** The core function behind an import of that type, which the host answers with `host`. */
  import(
    type: FuncType,
    host: (...args: never[]) => unknown,
    encoding: 'utf8' | 'utf16' = 'utf8',
  ): (...args: unknown[]) => unknown {
    this.imports['test:test/test'] = { f: host };
    const memory = { from: 'export', instance: 0, name: 'memory' } as const;
    const realloc = { from: 'export', instance: 0, name: 'realloc' } as const;
    const options = { memory, realloc, postReturn: null, encoding };
    const plan: LinkPlan = {
      modules: [],
      instantiations: [],
      trampolines: [{ kind: 'lower', interface: 'test:test/test', name: 'f', type, options }],
      resources: [
        { interface: 'test:test/test', name: 'thing', imported: true, destructor: null },
        { interface: 'test:test/test', name: 'other', imported: true, destructor: null },
      ],
      exports: [],
    };
    const [compiled] = compileTrampolines(plan, new Set());
    return compiled?.make(this, this.#links) as (...args: unknown[]) => unknown;
  }

  /** The core function that drops a handle of resource 0. */
  importDrop(): (handle: number) => void {
    const plan: LinkPlan = {
      modules: [],
      instantiations: [],
      trampolines: [{ kind: 'resource-drop', resource: 0 }],
      resources: [{ interface: 'test:test/test', name: 'thing', imported: true, destructor: null }],
      exports: [],
    };
    const [compiled] = compileTrampolines(plan, new Set());
    return compiled?.make(this, this.#links) as (handle: number) => void;
  }
}

export function takes(...types: ValueType[]): FuncType {
  return { params: types.map((type, i) => ({ name: `p${i}`, type })), result: null };
}

export function gives(result: ValueType, ...types: ValueType[]): FuncType {
  return { ...takes(...types), result };
}
