/**
 * Links a component at prepare time: walks its sections as an instantiation would, with descriptions in the
 * place of real instances, and writes down what there is to do (Component Model, Binary.md and Linking.md).
 */
import { Budget } from './budget.ts';
import { LinkDeclined } from './declined.ts';
import {
  define,
  newScope,
  type CoreInstance,
  type Entity,
  type Func,
  type Instance,
  type NestedComponent,
  type Scope,
} from './entities.ts';
import { moduleImports } from './module-imports.ts';
import type {
  BinaryPlan,
  CanonOptions,
  CoreInstantiation,
  CoreSource,
  LiftedExport,
  ResourceInfo,
  Trampoline,
} from './plan.ts';
import { Reader } from './reader.ts';
import { at, externName, outerType, TypeReader } from './type-reader.ts';

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
/** Components nest; deeper than this is not a program but an attack. */
const MAX_DEPTH = 32;

/**
 * The plan of a component.
 * @throws DecodeError where the binary is malformed, LinkDeclined where it needs another engine
 */
export function linkComponent(bytes: Uint8Array, onImports?: OnImports): BinaryPlan {
  return new Linker(bytes, onImports).link();
}

/** Told of the outermost component's index spaces after each of its import sections, which ends at `end`. */
export type OnImports = (scope: Scope, resources: readonly ResourceInfo[], end: number) => void;

class Linker {
  readonly #bytes: Uint8Array;
  readonly #modules: { offset: number; length: number }[] = [];
  readonly #instantiations: CoreInstantiation[] = [];
  readonly #trampolines: Trampoline[] = [];
  readonly #resources: ResourceInfo[] = [];
  readonly #budget = new Budget();
  readonly #types: TypeReader;
  #depth = 0;
  #declined: string | null = null;
  #memory: CoreSource | null = null;

  readonly #onImports: OnImports | undefined;

  constructor(bytes: Uint8Array, onImports?: OnImports) {
    this.#bytes = bytes;
    this.#onImports = onImports;
    this.#types = new TypeReader(this.#resources, this.#budget);
  }

  link(): BinaryPlan {
    const top = this.#component(new Reader(this.#bytes), null, null);
    if (this.#declined !== null) throw new LinkDeclined(this.#declined);
    const exports: LiftedExport[] = [];
    for (const [name, entity] of top.exports) {
      if (entity.sort === 'func') exports.push(lifted('', name, entity.value));
      else if (entity.sort === 'instance') {
        for (const [member, inner] of entity.value.exports) {
          if (inner.sort === 'func') exports.push(lifted(name, member, inner.value));
        }
      }
    }
    return {
      modules: this.#modules,
      instantiations: this.#instantiations,
      trampolines: this.#trampolines,
      resources: this.#resources,
      exports,
    };
  }

  /** Instantiates a component: with arguments where it is nested, with host imports at the top. */
  #component(reader: Reader, parent: Scope | null, args: ReadonlyMap<string, Entity> | null): Instance {
    if (++this.#depth > MAX_DEPTH) throw new LinkDeclined(`its components nest deeper than ${MAX_DEPTH}`);
    for (const byte of MAGIC) if (reader.byte() !== byte) reader.fail('not a component');
    const scope = newScope(parent);
    const exports = new Map<string, Entity>();
    while (!reader.done) {
      this.#budget.step();
      const id = reader.byte();
      const section = reader.slice(reader.u32());
      this.#section(id, section, scope, exports, args);
    }
    this.#depth--;
    return { exports };
  }

  #section(
    id: number,
    section: Reader,
    scope: Scope,
    exports: Map<string, Entity>,
    args: ReadonlyMap<string, Entity> | null,
  ): void {
    switch (id) {
      case 0:
        return;
      case 1:
        this.#modules.push({ offset: section.offset, length: section.end - section.offset });
        scope.coreModules.push(this.#modules.length - 1);
        return;
      case 2:
        each(section, this.#budget, () => scope.coreInstances.push(this.#coreInstance(section, scope)));
        return;
      case 3:
        // Said at the end: until then the imports are read, which are checked whoever runs the component.
        this.#declined ??= 'it declares core types';
        return;
      case 4:
        scope.components.push({ body: section, scope });
        return;
      case 5:
        each(section, this.#budget, () => scope.instances.push(this.#instance(section, scope)));
        return;
      case 6:
        each(section, this.#budget, () => this.#alias(section, scope));
        return;
      case 7:
        each(section, this.#budget, () => scope.types.push(this.#types.definition(section, scope)));
        return;
      case 8:
        each(section, this.#budget, () => this.#canon(section, scope));
        return;
      case 10:
        each(section, this.#budget, () => this.#import(section, scope, args));
        if (args === null) this.#onImports?.(scope, this.#resources, section.end);
        return;
      case 11:
        each(section, this.#budget, () => this.#export(section, scope, exports));
        return;
      default:
        throw new LinkDeclined(`it has a section (${id}) that is not taken`);
    }
  }

  #coreInstance(reader: Reader, scope: Scope): CoreInstance {
    const tag = reader.byte();
    if (tag === 0x01) {
      const items = new Map(
        reader.vec(() => {
          const name = reader.name();
          return [name, this.#coreItem(reader, scope)] as const;
        }),
      );
      return { get: (name) => items.get(name) };
    }
    if (tag !== 0x00) reader.fail('malformed core instance');
    const module = at(reader, scope.coreModules, reader.u32(), 'core module');
    const args = new Map(
      reader.vec(() => {
        const name = reader.name();
        if (reader.byte() !== 0x12)
          reader.fail('a core module is instantiated with something that is not an instance');
        return [name, at(reader, scope.coreInstances, reader.u32(), 'core instance')] as const;
      }),
    );
    const range = this.#modules[module];
    if (!range) throw new LinkDeclined(`core module ${module} does not exist`);
    const imports = moduleImports(this.#bytes, module, range, this.#budget).map(({ module: from, name }) => {
      const source = args.get(from)?.get(name);
      if (!source) reader.fail(`core module ${module} imports ${from} ${name}, which nobody gives it`);
      return { module: from, name, source };
    });
    this.#instantiations.push({ module, imports });
    const instance = this.#instantiations.length - 1;
    return { get: (name) => ({ from: 'export', instance, name }) };
  }

  /** `core:sortidx`. */
  #coreItem(reader: Reader, scope: Scope): CoreSource {
    const sort = reader.byte();
    const index = reader.u32();
    const space = [scope.coreFuncs, scope.coreTables, scope.coreMemories, scope.coreGlobals][sort];
    if (!space) throw new LinkDeclined(`a core instance holds an item of sort 0x${sort.toString(16)}`);
    return at(reader, space, index, 'core item');
  }

  #instance(reader: Reader, scope: Scope): Instance {
    const tag = reader.byte();
    if (tag === 0x01) {
      return {
        exports: new Map(
          reader.vec(() => {
            const name = externName(reader);
            return [name, this.#item(reader, scope)] as const;
          }),
        ),
      };
    }
    if (tag !== 0x00) reader.fail('malformed instance');
    const component: NestedComponent = at(reader, scope.components, reader.u32(), 'component');
    const args = new Map(
      reader.vec(() => {
        const name = reader.name();
        return [name, this.#item(reader, scope)] as const;
      }),
    );
    return this.#component(component.body.restart(), component.scope, args);
  }

  /** `sortidx`. */
  #item(reader: Reader, scope: Scope): Entity {
    const sort = reader.byte();
    switch (sort) {
      case 0x00:
        if (reader.byte() !== 0x11) throw new LinkDeclined('it passes core items between components');
        return { sort: 'module', value: at(reader, scope.coreModules, reader.u32(), 'core module') };
      case 0x01:
        return { sort: 'func', value: at(reader, scope.funcs, reader.u32(), 'function') };
      case 0x03:
        return { sort: 'type', value: at(reader, scope.types, reader.u32(), 'type') };
      case 0x04:
        return { sort: 'component', value: at(reader, scope.components, reader.u32(), 'component') };
      case 0x05:
        return { sort: 'instance', value: at(reader, scope.instances, reader.u32(), 'instance') };
      default:
        throw new LinkDeclined(`it uses items of sort 0x${sort.toString(16)}`);
    }
  }

  #alias(reader: Reader, scope: Scope): void {
    const sort = reader.byte();
    const coreSort = sort === 0x00 ? reader.byte() : 0;
    const target = reader.byte();
    if (target === 0x00) {
      const instance = at(reader, scope.instances, reader.u32(), 'instance');
      const name = reader.name();
      const entity = instance.exports.get(name);
      if (!entity) reader.fail(`the instance has no export ${name}`);
      define(scope, entity);
    } else if (target === 0x01) {
      const instance = at(reader, scope.coreInstances, reader.u32(), 'core instance');
      const name = reader.name();
      const source = instance.get(name);
      const space = [scope.coreFuncs, scope.coreTables, scope.coreMemories, scope.coreGlobals][coreSort];
      if (!source || !space) reader.fail(`the core instance has no export ${name}`);
      space.push(source);
    } else if (target === 0x02) this.#outerAlias(reader, scope, sort, coreSort);
    else reader.fail('malformed alias');
  }

  #outerAlias(reader: Reader, scope: Scope, sort: number, coreSort: number): void {
    if (sort === 0x03) {
      scope.types.push(outerType(reader, scope));
      return;
    }
    let up = reader.u32();
    let from = scope;
    for (; up > 0; up--) from = from.parent ?? reader.fail('alias to a scope that does not exist');
    const index = reader.u32();
    if (sort === 0x00 && coreSort === 0x11)
      scope.coreModules.push(at(reader, from.coreModules, index, 'core module'));
    else if (sort === 0x04) scope.components.push(at(reader, from.components, index, 'component'));
    else throw new LinkDeclined('it aliases something of an outer component that is not taken');
  }

  #canon(reader: Reader, scope: Scope): void {
    const tag = reader.byte();
    switch (tag) {
      case 0x00: {
        reader.byte();
        const core = at(reader, scope.coreFuncs, reader.u32(), 'core function');
        const options = this.#options(reader, scope);
        const type = at(reader, scope.types, reader.u32(), 'type');
        if (type.kind !== 'func') reader.fail('lift of something that is not a function type');
        scope.funcs.push({ kind: 'lifted', core, options, type: type.type });
        return;
      }
      case 0x01: {
        reader.byte();
        const func = at(reader, scope.funcs, reader.u32(), 'function');
        const options = this.#options(reader, scope);
        if (func.kind !== 'host') throw new LinkDeclined('it is composed of components that call each other');
        this.#trampoline(scope, {
          kind: 'lower',
          interface: func.interface,
          name: func.name,
          type: func.type,
          options,
        });
        return;
      }
      case 0x02:
      case 0x03:
      case 0x04: {
        const type = at(reader, scope.types, reader.u32(), 'type');
        if (type.kind !== 'resource') reader.fail('not a resource type');
        const kind = ({ 2: 'resource-new', 3: 'resource-drop', 4: 'resource-rep' } as const)[tag];
        this.#trampoline(scope, { kind, resource: type.id });
        return;
      }
      default:
        throw new LinkDeclined(`it uses a canonical built-in (0x${tag.toString(16)}) beyond WASI 0.2`);
    }
  }

  #trampoline(scope: Scope, trampoline: Trampoline): void {
    if (trampoline.kind === 'lower') this.#budget.planned(trampoline.type);
    this.#trampolines.push(trampoline);
    scope.coreFuncs.push({ from: 'trampoline', index: this.#trampolines.length - 1 });
  }

  #options(reader: Reader, scope: Scope): CanonOptions {
    const options: { -readonly [K in keyof CanonOptions]: CanonOptions[K] } = {
      memory: null,
      realloc: null,
      postReturn: null,
      encoding: 'utf8',
    };
    each(reader, this.#budget, () => {
      const tag = reader.byte();
      if (tag === 0x00) options.encoding = 'utf8';
      else if (tag === 0x01) options.encoding = 'utf16';
      else if (tag === 0x02) options.encoding = 'latin1+utf16';
      else if (tag === 0x03) options.memory = at(reader, scope.coreMemories, reader.u32(), 'core memory');
      else if (tag === 0x04) options.realloc = at(reader, scope.coreFuncs, reader.u32(), 'core function');
      else if (tag === 0x05) options.postReturn = at(reader, scope.coreFuncs, reader.u32(), 'core function');
      else throw new LinkDeclined('it uses async lifting or lowering (WASI 0.3)');
    });
    if (options.memory) {
      // One instance, one memory: host functions look into no other.
      this.#memory ??= options.memory;
      if (!sameSource(this.#memory, options.memory))
        throw new LinkDeclined('it shares more than one memory with its host');
    }
    return options;
  }

  #import(reader: Reader, scope: Scope, args: ReadonlyMap<string, Entity> | null): void {
    const name = externName(reader);
    const given = args?.get(name);
    const sort = reader.byte();
    if (sort === 0x00) reader.byte();
    if (sort === 0x03) {
      const bound = given ? undefined : this.#types.typeBound(reader, scope, '', name);
      if (given) skipTypeBound(reader);
      const entity = given?.sort === 'type' ? given.value : bound;
      if (!entity) reader.fail(`import ${name} is given something that is not a type`);
      scope.types.push(entity);
      return;
    }
    const index = reader.u32();
    if (args) {
      // Imports of nested components take their arguments as they are: linking is structural, and the
      // component was validated when it was built. A wrong one fails where it is used.
      if (!given) reader.fail(`nested component imports ${name}, which nobody gives it`);
      define(scope, given);
      return;
    }
    if (sort === 0x00) throw new LinkDeclined(`it imports ${name}, which is a core module`);
    const type = at(reader, scope.types, index, 'type');
    if (sort === 0x01 && type.kind === 'func') {
      scope.funcs.push({ kind: 'host', interface: '', name, type: type.type });
    } else if (sort === 0x05 && type.kind === 'instance') {
      scope.instances.push(this.#types.instantiate(type, name));
    } else throw new LinkDeclined(`it imports ${name}, which is neither a function nor an instance`);
  }

  #export(reader: Reader, scope: Scope, exports: Map<string, Entity>): void {
    const name = externName(reader);
    const entity = this.#item(reader, scope);
    if (reader.byte() === 0x01) {
      const sort = reader.byte();
      if (sort === 0x03) skipTypeBound(reader);
      else {
        if (sort === 0x00) reader.byte();
        reader.u32();
      }
    }
    exports.set(name, entity);
    // An export adds its item to the index space once more.
    define(scope, entity);
  }
}

function sameSource(a: CoreSource, b: CoreSource): boolean {
  return a.from === 'export' && b.from === 'export' && a.instance === b.instance && a.name === b.name;
}

function skipTypeBound(reader: Reader): void {
  if (reader.byte() === 0x00) reader.u32();
}

function each(reader: Reader, budget: Budget, item: () => void): void {
  reader.vec(() => {
    budget.step();
    item();
    return null;
  });
}

function lifted(interfaceName: string, name: string, func: Func): LiftedExport {
  if (func.kind !== 'lifted') throw new LinkDeclined(`it exports the host's own function ${name}`);
  const { type, core, options } = func;
  return { interface: interfaceName, name, type, core, options };
}
