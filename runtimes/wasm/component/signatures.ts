/**
 * Holds what a component imports against WASI 0.2 itself. Host functions are called by name with whatever the
 * component's own types make of its arguments, so a component that declares other names or other types could
 * reach parts of host objects that are nobody's business. Each import must be a function of the standard with
 * exactly its type.
 */
import { createHash } from 'node:crypto';
import { unversioned } from './abi/names.ts';
import { LinkRefused } from './declined.ts';
import type { LinkPlan, ResourceInfo } from './plan.ts';
import type { FuncType, ValueType } from './types.ts';
import { DRAFT_FUNCTIONS, WASI_SIGNATURES } from './wasi-signatures.gen.ts';

export interface HostFunction {
  /** `wasi:io/streams@0.2.6`. */
  readonly interface: string;
  readonly name: string;
  readonly type: FuncType;
}

/** @throws LinkRefused that names the first import which is not WASI's */
export function checkSignatures(plan: LinkPlan): void {
  for (const trampoline of plan.trampolines) {
    if (trampoline.kind === 'lower') checkSignature(trampoline, plan.resources);
  }
}

/** @throws LinkRefused where the function is not WASI's */
export function checkSignature(func: HostFunction, resources: readonly ResourceInfo[]): void {
  const key = `${unversioned(func.interface)}#${func.name}`;
  if (DRAFT_FUNCTIONS.has(key)) return;
  const expected = WASI_SIGNATURES.get(key);
  if (expected === undefined) throw new LinkRefused(`it imports ${key}, which WASI 0.2 does not have`);
  if (fingerprint(func.type, resources) !== expected) {
    throw new LinkRefused(`it imports ${key} with another type than WASI 0.2 gives it`);
  }
}

/** A short name for a function's type, the same for each 0.2.x. */
export function fingerprint(type: FuncType, resources: readonly ResourceInfo[]): string {
  const params = type.params.map((param) => describe(param.type, resources)).join(',');
  const text = `(${params})->${type.result ? describe(type.result, resources) : ''}`;
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}

function describe(type: ValueType | null, resources: readonly ResourceInfo[]): string {
  if (type === null) return '_';
  const inner = (item: ValueType | null): string => describe(item, resources);
  const names = (list: readonly string[]): string => list.map((name) => JSON.stringify(name)).join(',');
  switch (type.kind) {
    case 'record':
      return `record{${type.fields.map((field) => `${JSON.stringify(field.name)}:${inner(field.type)}`).join(',')}}`;
    case 'variant':
      return `variant{${type.cases.map((item) => `${JSON.stringify(item.name)}:${inner(item.type)}`).join(',')}}`;
    case 'list':
      return `list<${inner(type.element)}>`;
    case 'tuple':
      return `tuple<${type.items.map(inner).join(',')}>`;
    case 'flags':
    case 'enum':
      return `${type.kind}{${names(type.names)}}`;
    case 'option':
      return `option<${inner(type.some)}>`;
    case 'result':
      return `result<${inner(type.ok)},${inner(type.error)}>`;
    case 'own':
    case 'borrow': {
      const resource = resources[type.resource];
      const home = resource?.imported ? unversioned(resource.interface) : '(own)';
      return `${type.kind}<${home}/${resource?.name ?? ''}>`;
    }
    default:
      return type.kind;
  }
}
