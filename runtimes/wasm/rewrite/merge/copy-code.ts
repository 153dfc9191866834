/** Copies code of one part, with the merged module's numbers in the place of its own. */
import type { ByteReader, ByteWriter } from '../bytes.ts';
import { RewriteDeclined } from '../declined.ts';
import { walkExpression, type OtherSpace } from '../instructions.ts';
import { signed } from '../module-edit.ts';
import { isTypeIndex, plainValueType } from './core-module.ts';
import type { LinkedPart } from './link.ts';
import type { Spaces } from './number.ts';
import { finalOf } from './shim.ts';

const OP = { gc: 0xfb } as const;
const REF = 0x64;
const REF_NULL = 0x63;

export class CodeCopier {
  readonly #part: LinkedPart;
  readonly #types: readonly number[];
  readonly #elements: readonly number[];
  readonly #firstData: number;
  /** Whether code named a data segment: then the module has to count them ahead. */
  namesData = false;
  /** Functions that code makes references to, by their new numbers. */
  readonly #referenced: Set<number>;

  constructor(part: LinkedPart, spaces: Spaces, referenced: Set<number>) {
    this.#part = part;
    this.#referenced = referenced;
    this.#types = part.module.types.map((type) => spaces.types.get(type) ?? -1);
    this.#elements = spaces.elements.get(part) ?? [];
    this.#firstData = spaces.data.get(part) ?? 0;
  }

  /** Locals and code. */
  body(reader: ByteReader, out: ByteWriter): void {
    const start = reader.at;
    for (let left = reader.u32(); left > 0; left--) {
      reader.u32();
      plainValueType(reader);
    }
    out.copy(reader.bytes, start, reader.at);
    this.expression(reader, out, false);
    if (!reader.done) throw new RewriteDeclined('malformed', 'bytes behind a function', reader.at);
  }

  /**
   * One expression with its `end`.
   * @param constant it is evaluated when the module is instantiated: constants stand in it for themselves
   */
  expression(reader: ByteReader, out: ByteWriter, constant: boolean): void {
    const { bytes } = reader;
    let copied = reader.at;
    let begin = reader.at;
    const copyTo = (position: number): void => {
      out.copy(bytes, copied, position);
      copied = position;
    };
    walkExpression(reader, {
      instruction: (at, opcode) => {
        begin = at;
        if (opcode === OP.gc)
          throw new RewriteDeclined('unknown-encoding', 'it uses garbage-collected types', at);
      },
      loop: () => undefined,
      call: () => undefined,
      memory: () => undefined,
      access: () => undefined,
      reference: (index) => {
        this.#referenced.add(this.function(index));
      },
      type: (start) => {
        const first = bytes[start] ?? 0;
        if (isTypeIndex(bytes, first === REF || first === REF_NULL ? start + 1 : start))
          throw new RewriteDeclined('unknown-encoding', 'a reference to a type of the module', start);
      },
      index: (start, end, space, index) => {
        const moved = this.#moved(space, index);
        if (moved === index) return;
        copyTo(start);
        if (space === 'blockType') signed(out, moved);
        else out.u32(moved);
        copied = end;
      },
      global: (start, end, index) => {
        const item = this.#part.globals[index];
        if (!item) throw missing('global', index);
        if (constant && item.constant) {
          copyTo(begin);
          out.copy(item.constant.bytes, item.constant.start, item.constant.end);
        } else {
          copyTo(start);
          out.u32(item.index);
        }
        copied = end;
      },
    });
    copyTo(reader.at);
  }

  function(index: number): number {
    const item = this.#part.functions[index];
    return known('function', index, item && finalOf(item)?.index);
  }

  table(index: number): number {
    return known('table', index, this.#part.tables[index]?.index);
  }

  type(index: number): number {
    return known('type', index, this.#types[index]);
  }

  #moved(space: OtherSpace, index: number): number {
    switch (space) {
      case 'function':
        return this.function(index);
      case 'type':
      case 'blockType':
        return this.type(index);
      case 'table':
        return this.table(index);
      case 'element':
        return known('element segment', index, this.#elements[index]);
      case 'data':
        this.namesData = true;
        return this.#firstData + index;
      case 'tag':
        return known('tag', index, this.#part.tags[index]?.index);
      default:
        space satisfies never;
        return index;
    }
  }
}

function known(what: string, index: number, moved: number | undefined): number {
  if (moved === undefined || moved < 0) throw missing(what, index);
  return moved;
}

function missing(what: string, index: number): RewriteDeclined {
  return new RewriteDeclined('malformed', `there is no ${what} ${index}`, -1);
}
