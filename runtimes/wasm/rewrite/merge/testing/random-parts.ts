/** Random core modules that import from each other, as text, with what links them. */
import type { ImportSource, MergeInput } from '../index.ts';

/** Numbers that choices are made of: a shrinking tape gives smaller modules. */
export class Tape {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** From 0 to `below` - 1. */
  next(below: number): number {
    return (this.#numbers[this.#at++] ?? 0) % below;
  }

  /** True once in that many times. */
  once(inTimes: number): boolean {
    return this.next(inTimes) === inTimes - 1;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.next(Math.max(1, items.length))];
  }
}

type Kind = 'a' | 'b' | 'memory' | 'table' | 'constant' | 'variable' | 'tag';

interface Export {
  readonly part: number;
  readonly name: string;
  readonly kind: Kind;
}

export interface RandomParts {
  readonly texts: readonly string[];
  readonly instantiations: MergeInput['instantiations'];
  readonly wanted: MergeInput['wanted'];
  /** Which of `wanted` are functions, with how many parameters. */
  readonly calls: readonly { readonly wanted: number; readonly params: number }[];
}

/** `h0` and `h1` log and answer, `tick` ends runs that take too long. */
export const HOST_FUNCTIONS = ['h0', 'h1', 'tick'] as const;

const TYPES = [
  ...Array.from({ length: 66 }, (_, i) => `(type (func (param f64) (result ${'f32 '.repeat(i)})))`),
  '(type $b (func (param i32 i32) (result i32)))',
  '(type $a (func (param i32) (result i32)))',
  '(type $t (func))',
];
const IMPORTED: Readonly<Record<Kind, string>> = {
  a: '(func (type $a))',
  b: '(func (type $b))',
  memory: '(memory 1)',
  table: '(table 3 funcref)',
  constant: '(global i32)',
  variable: '(global (mut i32))',
  tag: '(tag (param i32))',
};

export function randomParts(tape: Tape): RandomParts {
  const texts: string[] = [];
  const instantiations: { module: number; sources: ImportSource[] }[] = [];
  const exports: Export[] = [];
  const shims = tape.once(3) ? 0 : 2 + tape.next(3);
  if (shims > 0) {
    texts.push(shim(tape, shims));
    instantiations.push({ module: 0, sources: [] });
    for (let i = 0; i < shims; i++) exports.push({ part: 0, name: String(i), kind: i % 2 === 0 ? 'a' : 'b' });
  }
  const count = 1 + tape.next(3);
  for (let i = 0; i < count; i++) {
    const part = instantiations.length;
    if (tape.once(8) && part > 1) {
      // Once more the one before, with the same imports.
      const last = instantiations[part - 1];
      if (last) instantiations.push(last);
      for (const item of exports.filter((each) => each.part === part - 1)) exports.push({ ...item, part });
      continue;
    }
    const { text, sources, items } = new PartText(tape, part, exports).build();
    texts.push(text);
    instantiations.push({ module: texts.length - 1, sources });
    exports.push(...items);
  }
  if (shims > 0) {
    const { text, sources } = fixUp(tape, shims, exports);
    texts.push(text);
    instantiations.push({ module: texts.length - 1, sources });
  }
  const wanted = exports.filter(({ kind }) => kind === 'a' || kind === 'b' || kind === 'memory');
  return {
    texts,
    instantiations,
    wanted,
    calls: wanted.flatMap(({ kind }, i) =>
      kind === 'memory' ? [] : [{ wanted: i, params: kind === 'a' ? 1 : 2 }],
    ),
  };
}

/** In an order of the module's own, so that their numbers differ, some of them of two bytes. */
function types(tape: Tape): string {
  const begin = tape.next(TYPES.length);
  const kept = tape.once(2) ? TYPES : TYPES.slice(-3);
  return [...kept.slice(begin), ...kept.slice(0, begin)].join(' ');
}

/** Functions that call through a table which the last part fills; now and then one that does not only do that. */
function shim(tape: Tape, count: number): string {
  const functions = Array.from({ length: count }, (_, i) => {
    const type = i % 2 === 0 ? 'a' : 'b';
    const params = type === 'a' ? '(local.get 0)' : '(local.get 0) (local.get 1)';
    const more = tape.once(12) ? '(drop (i32.const 1))' : '';
    const slot = tape.once(12) ? tape.next(count + 1) : i;
    return `(func (export "${i}") (type $${type}) ${more} (call_indirect (type $${type}) ${params} (i32.const ${slot})))`;
  });
  const change = tape.once(12) ? '(func (table.set (i32.const 0) (ref.null func)))' : '';
  return `(module ${types(tape)} (table (export "$imports") ${count} ${count} funcref) ${functions.join(' ')} ${change})`;
}

function fixUp(
  tape: Tape,
  count: number,
  exports: readonly Export[],
): { text: string; sources: ImportSource[] } {
  const sources: ImportSource[] = [];
  const imports: string[] = [];
  for (let i = 0; i < count; i++) {
    const kind = i % 2 === 0 ? 'a' : 'b';
    const choices = exports.filter((item) => item.kind === kind);
    const chosen = tape.once(2) ? tape.pick(choices) : undefined;
    sources.push(
      chosen
        ? { from: 'export', part: chosen.part, name: chosen.name }
        : { from: 'host', index: kind === 'a' ? 0 : 1 },
    );
    imports.push(`(import "" "${i}" (func (type $${kind})))`);
  }
  sources.push({ from: 'export', part: 0, name: '$imports' });
  imports.push(`(import "" "$imports" (table ${count} ${count} funcref))`);
  const filled = tape.once(10) ? count - 1 : count;
  const elements = Array.from({ length: filled }, (_, i) => i).join(' ');
  return {
    text: `(module ${types(tape)} ${imports.join(' ')} (elem (i32.const 0) func ${elements}))`,
    sources,
  };
}

/** One module's text. */
class PartText {
  readonly #tape: Tape;
  readonly #part: number;
  readonly #available: readonly Export[];
  readonly #imports: string[] = [];
  readonly #sources: ImportSource[] = [];
  readonly #items: Export[] = [];
  readonly #lines: string[] = [];
  readonly #functions: ('a' | 'b')[] = [];
  /** Functions that are imported, `tick` not counted. */
  #imported = 0;
  #tables = 0;
  #constants = 0;
  #globals: ('constant' | 'variable')[] = [];
  #tags = 0;
  #memory = false;
  #passive = 0;
  #elements = 0;

  constructor(tape: Tape, part: number, available: readonly Export[]) {
    this.#tape = tape;
    this.#part = part;
    this.#available = available;
  }

  build(): { text: string; sources: ImportSource[]; items: Export[] } {
    const tape = this.#tape;
    this.#import('(func (type $t))', { from: 'host', index: 2 });
    const memory = this.#available.find(({ kind }) => kind === 'memory');
    if (memory && !tape.once(3)) this.#importItem(memory);
    for (let left = tape.next(6); left > 0; left--) this.#importSome();
    if (!this.#memory && !this.#available.some(({ kind }) => kind === 'memory') && !tape.once(4)) {
      this.#memory = true;
      this.#lines.push('(memory 1 3)');
      this.#export('memory', 'memory', 0);
    }
    const imported = this.#functions.length;
    this.#imported = imported;
    const own = 1 + tape.next(4);
    for (let i = 0; i < own; i++) this.#functions.push(tape.once(3) ? 'b' : 'a');
    this.#define();
    for (let i = 0; i < own; i++) {
      const kind = this.#functions[imported + i] ?? 'a';
      this.#lines.push(
        `(func (type $${kind}) (local i32 i64) (call 0) ${this.#statements(2)} (local.get 0))`,
      );
      this.#export(`f${i}`, kind, imported + i + 1);
    }
    if (tape.once(20)) {
      this.#lines.push(`(func $start ${this.#call('(i32.const 3)')} drop) (start $start)`);
    }
    return {
      text: `(module ${types(tape)} ${this.#imports.join('\n')} ${this.#lines.join('\n')})`,
      sources: this.#sources,
      items: this.#items,
    };
  }

  #import(type: string, source: ImportSource): void {
    this.#imports.push(`(import "from" "i${this.#imports.length}" ${type})`);
    this.#sources.push(source);
  }

  #importSome(): void {
    const host = this.#tape.once(4);
    const chosen = host ? undefined : this.#tape.pick(this.#available);
    if (!chosen) {
      const index = this.#tape.next(2);
      const kind = index === 0 ? 'a' : 'b';
      this.#import(IMPORTED[kind], { from: 'host', index });
      this.#functions.push(kind);
      return;
    }
    this.#importItem(chosen);
  }

  #importItem({ kind, part, name }: Export): void {
    if (kind === 'memory' && this.#memory) return;
    this.#import(IMPORTED[kind], { from: 'export', part, name });
    if (kind === 'a' || kind === 'b') this.#functions.push(kind);
    else if (kind === 'memory') this.#memory = true;
    else if (kind === 'table') this.#tables++;
    else if (kind === 'tag') this.#tags++;
    else this.#globals.push(kind);
    if (kind === 'constant') this.#constants++;
  }

  #export(name: string, kind: Kind, index: number): void {
    const sort =
      kind === 'a' || kind === 'b' ? 'func' : kind === 'constant' || kind === 'variable' ? 'global' : kind;
    this.#lines.push(`(export "${name}" (${sort} ${index}))`);
    this.#items.push({ part: this.#part, name, kind });
  }

  #define(): void {
    const tape = this.#tape;
    for (let left = tape.next(3); left > 0; left--) {
      const first = tape.once(3) ? ` (ref.func ${this.#anyFunction()})` : '';
      this.#lines.push(`(table ${first === '' ? '3 8' : '4'} funcref${first})`);
      this.#export(`t${this.#tables}`, 'table', this.#tables);
      this.#tables++;
    }
    for (let left = tape.next(3); left > 0; left--) {
      const kind = tape.once(2) ? 'constant' : 'variable';
      const type = kind === 'constant' ? 'i32' : '(mut i32)';
      this.#lines.push(`(global ${type} (${this.#constant(9)}))`);
      this.#export(`g${this.#globals.length}`, kind, this.#globals.length);
      this.#globals.push(kind);
    }
    if (tape.once(3)) {
      this.#lines.push('(tag (param i32))');
      this.#export(`e${this.#tags}`, 'tag', this.#tags);
      this.#tags++;
    }
    for (let left = this.#memory ? tape.next(4) : 0; left > 0; left--) {
      const at = tape.once(2) ? '' : `(${this.#constant(700)})`;
      this.#lines.push(`(data ${at} "data of part ${this.#part}")`);
      this.#passive++;
    }
    const functions = (): string =>
      Array.from({ length: 1 + tape.next(3) }, () => this.#anyFunction()).join(' ');
    for (let left = this.#tables > 0 ? tape.next(4) : 0; left > 0; left--) {
      const table = `(table ${tape.next(this.#tables)})`;
      const form = tape.next(6);
      if (form === 0) this.#lines.push(`(elem func ${functions()})`);
      else if (form < 4) this.#lines.push(`(elem ${table} (${this.#constant(2)}) func ${functions()})`);
      else if (form === 4)
        this.#lines.push(
          `(elem ${table} (i32.const 1) funcref (ref.func ${this.#anyFunction()}) (ref.null func))`,
        );
      else this.#lines.push(`(elem declare func ${functions()})`);
      this.#elements++;
    }
  }

  /** A constant expression without its brackets. */
  #constant(below: number): string {
    const global = this.#globals.findIndex((kind) => kind === 'constant');
    if (global >= 0 && this.#constants > 0 && this.#tape.once(3)) {
      return this.#tape.once(3) ? `i32.add (global.get ${global}) (i32.const 1)` : `global.get ${global}`;
    }
    return `i32.const ${this.#tape.next(below)}`;
  }

  /** Imported or defined; function 0 is `tick`, whose type no call has. */
  #anyFunction(): number {
    return this.#tape.next(this.#functions.length + 1);
  }

  /** One of the module's own: these are exported, so that code may make references to them. */
  #ownFunction(): number {
    return 1 + this.#imported + this.#tape.next(this.#functions.length - this.#imported);
  }

  #value(): string {
    const tape = this.#tape;
    const global = tape.next(Math.max(1, this.#globals.length));
    switch (tape.next(6)) {
      case 0:
        return `(i32.const ${tape.next(600)})`;
      case 1:
        return this.#globals.length > 0 ? `(global.get ${global})` : '(i32.const -70)';
      case 2:
        return this.#memory ? `(i32.load8_u offset=${tape.next(300)} ${this.#address()})` : '(local.get 0)';
      case 3:
        return this.#tables > 0 ? `(table.size ${tape.next(this.#tables)})` : '(i32.const 1)';
      default:
        return '(local.get 0)';
    }
  }

  #address(): string {
    return this.#tape.once(15) ? '(i32.const 66000)' : '(i32.and (local.get 0) (i32.const 511))';
  }

  #slot(): string {
    return this.#tape.once(3) ? '(i32.and (local.get 0) (i32.const 3))' : `(i32.const ${this.#tape.next(4)})`;
  }

  #call(argument: string): string {
    const index = this.#tape.next(Math.max(1, this.#functions.length));
    const kind = this.#functions[index];
    return `(call ${index + 1} ${argument} ${kind === 'b' ? '(i32.const 2)' : ''})`;
  }

  #statements(depth: number): string {
    return Array.from({ length: 1 + this.#tape.next(3) }, () => this.#statement(depth)).join(' ');
  }

  #statement(depth: number): string {
    const tape = this.#tape;
    const table = tape.next(Math.max(1, this.#tables));
    const choice = tape.next(16);
    if (choice < 3) return `(local.set 0 ${this.#call(this.#value())})`;
    if (choice === 3 && depth > 0)
      return `(local.get 0) (block (type $a) (drop) ${this.#statements(depth - 1)} (local.get 0)) (local.set 0)`;
    if (choice === 4 && depth > 0 && this.#tags > 0) {
      const tag = tape.next(this.#tags);
      return `(block $c (result i32) (try_table (catch ${tag} $c) ${this.#statements(depth - 1)}) (i32.const 8)) (local.set 0)`;
    }
    if (choice === 5 && this.#tags > 0 && tape.once(3))
      return `(throw ${tape.next(this.#tags)} ${this.#value()})`;
    if (choice < 7) {
      const variables = this.#globals.flatMap((kind, i) => (kind === 'variable' ? [i] : []));
      const chosen = tape.pick(variables);
      if (chosen !== undefined) return `(global.set ${chosen} ${this.#value()})`;
    }
    if (choice < 10 && this.#memory) return this.#memoryStatement();
    if (choice < 14 && this.#tables > 0) return this.#tableStatement(table);
    if (choice === 14 && depth > 0)
      return `(if ${this.#value()} (then ${this.#statements(depth - 1)}) (else ${this.#statements(depth - 1)}))`;
    return `(local.set 0 (i32.add (local.get 0) ${this.#value()}))`;
  }

  #memoryStatement(): string {
    const tape = this.#tape;
    const segment = tape.next(Math.max(1, this.#passive));
    const choice = tape.next(7);
    if (choice === 0 && this.#passive > 0)
      return `(memory.init ${segment} (i32.const ${tape.next(400)}) (i32.const 0) (i32.const ${tape.once(3) ? 0 : tape.next(9)}))`;
    if (choice === 1 && this.#passive > 0) return `(data.drop ${segment})`;
    if (choice === 2) return '(local.set 0 (memory.grow (i32.const 1)))';
    if (choice === 3) return `(memory.fill ${this.#address()} ${this.#value()} (i32.const 20))`;
    return `(i32.store offset=${tape.next(200)} ${this.#address()} ${this.#value()})`;
  }

  #tableStatement(table: number): string {
    const tape = this.#tape;
    const segment = tape.next(Math.max(1, this.#elements));
    const choice = tape.next(10);
    if (choice === 0) return `(table.set ${table} ${this.#slot()} (ref.func ${this.#ownFunction()}))`;
    if (choice === 1) return `(drop (table.grow ${table} (ref.func ${this.#ownFunction()}) (i32.const 1)))`;
    if (choice === 2 && this.#elements > 0)
      return `(table.init ${table} ${segment} ${this.#slot()} (i32.const 0) (i32.const ${tape.next(2)}))`;
    if (choice === 3 && this.#elements > 0) return `(elem.drop ${segment})`;
    if (choice === 4)
      return `(table.copy ${table} ${tape.next(this.#tables)} ${this.#slot()} (i32.const 1) (i32.const 1))`;
    const kind = tape.once(3) ? 'b' : 'a';
    const second = kind === 'a' ? '' : '(local.get 0)';
    return `(local.set 0 (call_indirect ${table} (type $${kind}) ${this.#value()} ${second} ${this.#slot()}))`;
  }
}
