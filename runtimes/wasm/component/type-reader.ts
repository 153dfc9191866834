/** Reads type definitions of the component binary into resolved types (Component Model, Binary.md). */
import type { Budget } from './budget.ts';
import { LinkDeclined } from './declined.ts';
import { newScope, type Entity, type Instance, type Scope, type TypeEntity } from './entities.ts';
import type { ResourceInfo } from './plan.ts';
import type { Reader } from './reader.ts';
import { primitive, type Case, type FuncType, type NamedType, type ValueType } from './types.ts';

/** Types nest; deeper than this is not an interface but an attack. */
const MAX_DEPTH = 32;

/** Resource types are numbered across the whole component. */
export class TypeReader {
  readonly resources: ResourceInfo[];
  readonly #budget: Budget;
  #depth = 0;

  constructor(resources: ResourceInfo[], budget: Budget) {
    this.resources = resources;
    this.#budget = budget;
  }

  /** `deftype`: one entry of a type section. */
  definition(reader: Reader, scope: Scope): TypeEntity {
    this.#budget.step();
    const opcode = reader.peek();
    switch (opcode) {
      case 0x40:
        reader.byte();
        return { kind: 'func', type: this.#func(reader, scope) };
      case 0x43:
        throw new LinkDeclined('it uses async functions (WASI 0.3)');
      case 0x41:
        reader.byte();
        this.#skipDeclarations(reader, true);
        return { kind: 'component' };
      case 0x42: {
        reader.byte();
        const start = reader.offset;
        this.#skipDeclarations(reader, false);
        return { kind: 'instance', declarations: reader.between(start, reader.offset), scope };
      }
      case 0x3f:
        return this.#resource(reader, scope);
      default:
        return { kind: 'value', type: this.#budget.weighed(this.#defined(reader, scope)) };
    }
  }

  #resource(reader: Reader, scope: Scope): TypeEntity {
    reader.byte();
    if (reader.byte() !== 0x7f) throw new LinkDeclined('a resource is not represented as i32');
    const destructor =
      reader.byte() === 0x01 ? at(reader, scope.coreFuncs, reader.u32(), 'core function') : null;
    this.resources.push({ interface: '', name: '', imported: false, destructor });
    return { kind: 'resource', id: this.resources.length - 1 };
  }

  #func(reader: Reader, scope: Scope): FuncType {
    const params = reader.vec(() => this.#named(reader, scope));
    const tag = reader.byte();
    if (tag === 0x00) return { params, result: this.value(reader, scope) };
    if (tag !== 0x01 || reader.byte() !== 0x00) reader.fail('malformed result list');
    return { params, result: null };
  }

  #named(reader: Reader, scope: Scope): NamedType {
    return { name: reader.name(), type: this.value(reader, scope) };
  }

  /** `valtype`: a primitive, or the index of a defined type. */
  value(reader: Reader, scope: Scope): ValueType {
    const kind = primitive(reader.peek());
    if (kind) {
      reader.byte();
      return { kind };
    }
    const index = reader.s33();
    const entity = at(reader, scope.types, index, 'type');
    if (entity.kind !== 'value') reader.fail(`type ${index} is not a value type`);
    return entity.type;
  }

  #optional(reader: Reader, scope: Scope): ValueType | null {
    return reader.byte() === 0x01 ? this.value(reader, scope) : null;
  }

  #defined(reader: Reader, scope: Scope): ValueType {
    const opcode = reader.byte();
    const kind = primitive(opcode);
    if (kind) return { kind };
    switch (opcode) {
      case 0x72:
        return {
          kind: 'record',
          fields: some(
            reader,
            reader.vec(() => this.#named(reader, scope)),
          ),
        };
      case 0x71:
        return {
          kind: 'variant',
          cases: some(
            reader,
            reader.vec(() => this.#case(reader, scope)),
          ),
        };
      case 0x70:
        return { kind: 'list', element: this.value(reader, scope) };
      case 0x6f:
        return {
          kind: 'tuple',
          items: some(
            reader,
            reader.vec(() => this.value(reader, scope)),
          ),
        };
      case 0x6e:
        return {
          kind: 'flags',
          names: some(
            reader,
            reader.vec(() => reader.name()),
          ),
        };
      case 0x6d:
        return {
          kind: 'enum',
          names: some(
            reader,
            reader.vec(() => reader.name()),
          ),
        };
      case 0x6b:
        return { kind: 'option', some: this.value(reader, scope) };
      case 0x6a:
        return { kind: 'result', ok: this.#optional(reader, scope), error: this.#optional(reader, scope) };
      case 0x69:
      case 0x68: {
        const index = reader.u32();
        const entity = at(reader, scope.types, index, 'type');
        if (entity.kind !== 'resource') reader.fail(`type ${index} is not a resource`);
        return { kind: opcode === 0x69 ? 'own' : 'borrow', resource: entity.id };
      }
      default:
        throw new LinkDeclined(`it uses a value type (0x${opcode.toString(16)}) beyond WASI 0.2`);
    }
  }

  #case(reader: Reader, scope: Scope): Case {
    const name = reader.name();
    const type = this.#optional(reader, scope);
    if (reader.byte() !== 0x00) reader.fail('malformed variant case');
    return { name, type };
  }

  /**
   * An instance of an instance type: what an import of it gives. Resources that it exports abstractly become
   * new ones, named after the import.
   */
  instantiate(type: Extract<TypeEntity, { kind: 'instance' }>, name: string): Instance {
    const reader = type.declarations.restart();
    const scope = newScope(type.scope);
    const exports = new Map<string, Entity>();
    const count = reader.u32();
    for (let i = 0; i < count; i++) {
      this.#budget.step();
      const tag = reader.byte();
      if (tag === 0x01) scope.types.push(this.definition(reader, scope));
      else if (tag === 0x02) this.#typeAlias(reader, scope);
      else if (tag === 0x04) {
        const exportName = externName(reader);
        exports.set(exportName, this.#declared(reader, scope, name, exportName));
      } else
        throw new LinkDeclined(
          `an instance type has a declaration (0x${tag.toString(16)}) that is not taken`,
        );
    }
    return { exports };
  }

  /** The entity that an `externdesc` describes, added to the scope's index space. */
  #declared(reader: Reader, scope: Scope, interfaceName: string, name: string): Entity {
    const sort = reader.byte();
    if (sort === 0x03) {
      const entity = this.typeBound(reader, scope, interfaceName, name);
      scope.types.push(entity);
      return { sort: 'type', value: entity };
    }
    if (sort === 0x01) {
      const entity = at(reader, scope.types, reader.u32(), 'type');
      if (entity.kind !== 'func') reader.fail('not a function type');
      const func = { kind: 'host', interface: interfaceName, name, type: entity.type } as const;
      scope.funcs.push(func);
      return { sort: 'func', value: func };
    }
    throw new LinkDeclined(`interface ${interfaceName} has ${name}, which is neither a function nor a type`);
  }

  /** `typebound`: the same type as another, or a new abstract resource. */
  typeBound(reader: Reader, scope: Scope, interfaceName: string, name: string): TypeEntity {
    const tag = reader.byte();
    if (tag === 0x00) return at(reader, scope.types, reader.u32(), 'type');
    if (tag !== 0x01) reader.fail('malformed type bound');
    this.resources.push({ interface: interfaceName, name, imported: true, destructor: null });
    return { kind: 'resource', id: this.resources.length - 1 };
  }

  #typeAlias(reader: Reader, scope: Scope): void {
    const sort = reader.byte();
    const target = reader.byte();
    if (sort !== 0x03) throw new LinkDeclined('an instance type aliases something other than a type');
    if (target === 0x02) {
      scope.types.push(outerType(reader, scope));
      return;
    }
    if (target !== 0x00) reader.fail('malformed alias');
    const instance = at(reader, scope.instances, reader.u32(), 'instance');
    const name = reader.name();
    const entity = instance.exports.get(name);
    if (entity?.sort !== 'type') reader.fail(`no type ${name} in the instance`);
    scope.types.push(entity.value);
  }

  #skipDeclarations(reader: Reader, component: boolean): void {
    if (++this.#depth > MAX_DEPTH) throw new LinkDeclined(`its types nest deeper than ${MAX_DEPTH}`);
    const count = reader.u32();
    for (let i = 0; i < count; i++) {
      this.#budget.step();
      const tag = reader.byte();
      if (tag === 0x03 && component) {
        externName(reader);
        skipExternDescription(reader);
      } else if (tag === 0x01) this.#skipDefinition(reader);
      else if (tag === 0x02) skipAlias(reader);
      else if (tag === 0x04) {
        externName(reader);
        skipExternDescription(reader);
      } else throw new LinkDeclined(`a type has a declaration (0x${tag.toString(16)}) that is not taken`);
    }
    this.#depth--;
  }

  #skipDefinition(reader: Reader): void {
    const opcode = reader.peek();
    if (opcode === 0x41 || opcode === 0x42) {
      reader.byte();
      this.#skipDeclarations(reader, opcode === 0x41);
    } else if (opcode === 0x3f) {
      reader.byte();
      reader.byte();
      if (reader.byte() === 0x01) reader.u32();
    } else skipValueDefinition(reader);
  }
}

/** The specification has no empty records, variants, tuples, flags or enums: they would take no memory in a list. */
function some<T>(reader: Reader, items: T[]): T[] {
  return items.length === 0 ? reader.fail('a type without any part') : items;
}

/** The type that `alias outer` names: `count` scopes up, then the index there. */
export function outerType(reader: Reader, scope: Scope): TypeEntity {
  let up = reader.u32();
  let from: Scope = scope;
  for (; up > 0; up--) from = from.parent ?? reader.fail('alias to a scope that does not exist');
  return at(reader, from.types, reader.u32(), 'type');
}

/** The item of an index space, or a decoding error that names it. */
export function at<T>(reader: Reader, space: readonly T[], index: number, what: string): T {
  const item = space[index];
  return item === undefined ? reader.fail(`${what} ${index} does not exist`) : item;
}

/** `importname'` and `exportname'`: a name, and in newer binaries a version suffix after it. */
export function externName(reader: Reader): string {
  const tag = reader.byte();
  const name = reader.name();
  if (tag === 0x00 || tag === 0x01) return name;
  throw new LinkDeclined(`the name ${name} has an encoding (0x${tag.toString(16)}) that is not taken`);
}

export function skipExternDescription(reader: Reader): void {
  const sort = reader.byte();
  if (sort === 0x00) reader.byte();
  if (sort === 0x02) throw new LinkDeclined('it imports or exports a value');
  if (sort === 0x03 && reader.byte() === 0x01) return;
  reader.u32();
}

function skipAlias(reader: Reader): void {
  if (reader.byte() === 0x00) reader.byte();
  const target = reader.byte();
  reader.u32();
  if (target === 0x02) reader.u32();
  else reader.name();
}

function skipValueType(reader: Reader): void {
  reader.s33();
}

function skipOptional(reader: Reader): void {
  if (reader.byte() === 0x01) skipValueType(reader);
}

function skipNamed(reader: Reader): void {
  reader.name();
  skipValueType(reader);
}

function skipValueDefinition(reader: Reader): void {
  const opcode = reader.byte();
  if (primitive(opcode)) return;
  switch (opcode) {
    case 0x40:
      reader.vec(() => skipNamed(reader));
      if (reader.byte() === 0x00) skipValueType(reader);
      else reader.byte();
      return;
    case 0x72:
      reader.vec(() => skipNamed(reader));
      return;
    case 0x71:
      reader.vec(() => {
        reader.name();
        skipOptional(reader);
        reader.byte();
      });
      return;
    case 0x70:
    case 0x6b:
      skipValueType(reader);
      return;
    case 0x6f:
      reader.vec(() => skipValueType(reader));
      return;
    case 0x6e:
    case 0x6d:
      reader.vec(() => reader.name());
      return;
    case 0x6a:
      skipOptional(reader);
      skipOptional(reader);
      return;
    case 0x69:
    case 0x68:
      reader.u32();
      return;
    default:
      throw new LinkDeclined(`it uses a type (0x${opcode.toString(16)}) beyond WASI 0.2`);
  }
}
