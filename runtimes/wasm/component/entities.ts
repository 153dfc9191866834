/** What the index spaces of a component hold while it is being linked (Component Model, Binary.md). */
import type { CanonOptions, CoreSource } from './plan.ts';
import type { Reader } from './reader.ts';
import type { FuncType, ResourceId, ValueType } from './types.ts';

/** An instance of a core module, or a bag of core exports under one name. */
export interface CoreInstance {
  get(name: string): CoreSource | undefined;
}

/** A component function: the host's, or lifted from a core function. */
export type Func =
  | { readonly kind: 'host'; readonly interface: string; readonly name: string; readonly type: FuncType }
  | {
      readonly kind: 'lifted';
      readonly core: CoreSource;
      readonly options: CanonOptions;
      readonly type: FuncType;
    };

export type TypeEntity =
  | { readonly kind: 'value'; readonly type: ValueType }
  | { readonly kind: 'resource'; readonly id: ResourceId }
  | { readonly kind: 'func'; readonly type: FuncType }
  /** Evaluated anew wherever it is used: each use has its own abstract resources. */
  | { readonly kind: 'instance'; readonly declarations: Reader; readonly scope: Scope }
  | { readonly kind: 'component' };

export interface Instance {
  readonly exports: ReadonlyMap<string, Entity>;
}

/** A nested component, with the scope that its outer aliases look into. */
export interface NestedComponent {
  readonly body: Reader;
  readonly scope: Scope;
}

export type Entity =
  | { readonly sort: 'func'; readonly value: Func }
  | { readonly sort: 'type'; readonly value: TypeEntity }
  | { readonly sort: 'instance'; readonly value: Instance }
  | { readonly sort: 'component'; readonly value: NestedComponent }
  | { readonly sort: 'module'; readonly value: number };

/** The index spaces of one component (or of an instance type's body). */
export interface Scope {
  readonly parent: Scope | null;
  readonly coreModules: number[];
  readonly coreInstances: CoreInstance[];
  readonly coreFuncs: CoreSource[];
  readonly coreMemories: CoreSource[];
  readonly coreTables: CoreSource[];
  readonly coreGlobals: CoreSource[];
  readonly types: TypeEntity[];
  readonly funcs: Func[];
  readonly instances: Instance[];
  readonly components: NestedComponent[];
}

export function newScope(parent: Scope | null): Scope {
  return {
    parent,
    coreModules: [],
    coreInstances: [],
    coreFuncs: [],
    coreMemories: [],
    coreTables: [],
    coreGlobals: [],
    types: [],
    funcs: [],
    instances: [],
    components: [],
  };
}

/** Adds an entity to the index space of its sort. */
export function define(scope: Scope, entity: Entity): void {
  switch (entity.sort) {
    case 'func':
      scope.funcs.push(entity.value);
      return;
    case 'type':
      scope.types.push(entity.value);
      return;
    case 'instance':
      scope.instances.push(entity.value);
      return;
    case 'component':
      scope.components.push(entity.value);
      return;
    case 'module':
      scope.coreModules.push(entity.value);
      return;
    default:
      entity satisfies never;
  }
}
