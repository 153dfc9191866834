/** Compiles the host's side of each core import: takes arguments over, calls the host, hands the result back. */
import { VIEWING_IMPORTS } from '../../wasi/index.ts';
import { LinkDeclined } from '../declined.ts';
import type { CanonOptions, LinkPlan, Trampoline } from '../plan.ts';
import type { FuncType, ValueType } from '../types.ts';
import { Code } from './code.ts';
import { casesOf, flatten, layoutOf, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, partsOf } from './layout.ts';
import { Lifter, type Slot } from './lift.ts';
import { Lowerer } from './lower.ts';
import { camel, pascal, unversioned } from './names.ts';

/** Makes the function for one instance. `realloc` may be bound later than the function is made. */
export type MakeTrampoline = (cx: unknown, host: HostLinks) => (...args: never[]) => unknown;

/** What generated code reads of its instance. */
export interface HostLinks {
  /** The instance's allocator for this import, once it exists. */
  realloc: ((oldPointer: number, oldSize: number, align: number, size: number) => number) | null;
}

export interface CompiledTrampoline {
  readonly make: MakeTrampoline;
  /** Whether the host may have to wait: then the import suspends the guest. */
  readonly suspends: boolean;
}

/** Where the call's time is measured; one branch where it is not. */
const LEAVE = 'finally { if (cx.clock !== null) cx.clock.leaveHost(); }';

/**
 * @param suspending functions that may answer with a promise, as `wasi:io/poll#[method]pollable.block`
 * @throws LinkDeclined where a signature needs something that this engine has not
 */
export function compileTrampolines(plan: LinkPlan, suspending: ReadonlySet<string>): CompiledTrampoline[] {
  return plan.trampolines.map((trampoline) => compile(trampoline, plan, suspending));
}

function compile(
  trampoline: Trampoline,
  plan: LinkPlan,
  suspending: ReadonlySet<string>,
): CompiledTrampoline {
  if (trampoline.kind === 'lower') return compileLower(trampoline, suspending);
  const resource = plan.resources[trampoline.resource];
  if (!resource?.imported) throw new LinkDeclined('it defines resources of its own');
  if (trampoline.kind !== 'resource-drop') {
    throw new LinkDeclined(`it makes ${resource.name}, which is the host's`);
  }
  const code = new Code();
  code.line('cx.enter();');
  code.line('try {');
  code.line(`cx.remove(${code.constant(trampoline.resource)}, handle)[Symbol.dispose]?.();`);
  code.line('} catch (error) { throw cx.stop(error); }');
  code.line(LEAVE);
  return { make: code.compile(['handle']), suspends: false };
}

function compileLower(
  trampoline: Extract<Trampoline, { kind: 'lower' }>,
  suspending: ReadonlySet<string>,
): CompiledTrampoline {
  const { type, options, name } = trampoline;
  if (options.encoding === 'latin1+utf16') throw new LinkDeclined('it encodes strings as latin1+utf16');
  const id = `${unversioned(trampoline.interface)}#${name}`;
  const suspends = suspending.has(id);
  const code = new Code();
  const lends = mentions(type, 'own') && mentions(type, 'borrow');
  const lifter = new Lifter(code, options.encoding, { lends, views: VIEWING_IMPORTS.has(id) });
  const params: string[] = [];
  code.line('cx.enter();');
  code.line('try {');

  const flat = type.params.flatMap((param) => flatten(param.type));
  let values: string[];
  if (flat.length > MAX_FLAT_PARAMS) {
    const tuple: ValueType = { kind: 'tuple', items: type.params.map((param) => param.type) };
    const { size, align } = layoutOf(tuple);
    params.push('p0');
    const at = code.let(`cx.check(p0, ${size}, ${align})`);
    const list = lifter.memory(tuple, at, 0);
    values = type.params.map((_, i) => `${list}[${i}]`);
  } else {
    const slots: Slot[] = flat.map((kind, i) => ({ expression: `p${i}`, flat: kind }));
    params.push(...slots.map((slot) => slot.expression));
    values = type.params.map((param) => lifter.flat(param.type, slots));
  }
  const call = hostCall(code, trampoline.interface, name, values);
  const { result } = type;
  const indirect = result !== null && flatten(result).length > MAX_FLAT_RESULTS;
  if (indirect && result) {
    params.push('ret');
    const { size, align } = layoutOf(result);
    code.line(`ret = cx.checkWrite(ret, ${size}, ${align});`);
  }
  if (lends) code.line('cx.returnLent();');
  code.line(`const r = ${call};`);
  if (suspends) {
    code.line('if (r instanceof Promise) {');
    code.line('cx.suspend();');
    code.line('return r.then((r) => {');
    code.line('cx.resume();');
    code.line('try {');
    lowerResult(code, type.result, indirect, options);
    code.line('} catch (error) { throw cx.stop(error); }');
    code.line(LEAVE);
    code.line('}, (error) => { cx.resume(); throw cx.stop(error); });');
    code.line('}');
  }
  lowerResult(code, type.result, indirect, options);
  code.line('} catch (error) { throw cx.stop(error); }');
  code.line(LEAVE);
  return { make: code.compile(params), suspends };
}

/** Code that gives the host's result `r` to the guest. */
function lowerResult(code: Code, result: ValueType | null, indirect: boolean, options: CanonOptions): void {
  if (!result) return;
  code.line('cx.refresh();');
  code.line('const { realloc } = host;');
  const lowerer = new Lowerer(code, options.encoding);
  if (indirect) lowerer.memory(result, 'ret', 0, 'r');
  else code.line(`return ${lowerer.flat(result, 'r')};`);
}

function mentions(type: FuncType, kind: 'own' | 'borrow'): boolean {
  return type.params.some((param) => contains(param.type, kind));
}

function contains(type: ValueType, kind: 'own' | 'borrow'): boolean {
  if (type.kind === kind) return true;
  if (type.kind === 'list') return contains(type.element, kind);
  const children = partsOf(type) ?? (casesOf(type) ?? []).map((item) => item.type);
  return children.some((child) => child !== null && contains(child, kind));
}

/** The expression that calls a host function, by the four kinds of names that WIT has. */
function hostCall(code: Code, interfaceName: string, name: string, values: readonly string[]): string {
  const member = (text: string): string => JSON.stringify(text);
  const link = (text: string): string =>
    code.once(`cx.imports[${JSON.stringify(unversioned(interfaceName))}]?.[${member(text)}]`);
  const special = /^\[(method|static|constructor)\]([^.]+)(?:\.(.+))?$/.exec(name);
  if (!special) return `${link(camel(name))}(${values.join(', ')})`;
  const [, kind, resource = '', method = ''] = special;
  if (kind === 'constructor') return `new ${link(pascal(resource))}(${values.join(', ')})`;
  if (kind === 'static') return `${link(pascal(resource))}[${member(camel(method))}](${values.join(', ')})`;
  const [self, ...rest] = values;
  return `${self}[${member(camel(method))}](${rest.join(', ')})`;
}
