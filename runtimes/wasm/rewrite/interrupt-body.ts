/** Copies a function's code with the interruption check at its loops, its calls and its bulk work (see `interrupt.ts`). */
import { ByteReader, type ByteWriter } from './bytes.ts';
import type { FunctionSurvey } from './function-survey.ts';
import { MEMORY_GROW } from './grow-check.ts';
import { walkExpression, type InstructionVisitor } from './instructions.ts';
import type { CheckCode } from './interrupt-code.ts';
import type { Patch, Renumbering } from './renumbering.ts';

export interface BodyOptions {
  readonly code: CheckCode;
  readonly numbering: Renumbering;
  readonly survey: FunctionSurvey;
  /** Whether a block type (its bytes are the whole reader) takes operands. */
  readonly takesParams: (type: ByteReader) => boolean;
  /** Functions in the place of `memory.grow`, by the memory's number. */
  readonly grows: ReadonlyMap<number, number>;
  /** Whether a call needs a check before it (null: the callee is not known); null where none in the function does. */
  readonly needsCheck: ((callee: number | null) => boolean) | null;
}

const OP = {
  unreachable: 0x00, block: 0x02, loop: 0x03, if: 0x04, else: 0x05, catch: 0x07, end: 0x0b, br: 0x0c, call: 0x10,
  catchAll: 0x19, globalSet: 0x24, i32Const: 0x41, gc: 0xfb, bulk: 0xfc,
} as const; // prettier-ignore
const EMPTY = 0x40;

/** Instructions that may take as long as a loop: memory.init, copy, fill; table.init, copy, grow, fill; array.fill, copy, init. */
const BULK_WORK: readonly number[] = [8, 10, 11, 12, 14, 15, 17];
const GC_WORK: readonly number[] = [16, 17, 18, 19];

/**
 * Calls that one check is enough for. Each of them may come to a check of its own, so that no way round is
 * without one; how many there are bounds what a deep recursion does on its way back.
 */
const CALLS_PER_CHECK = 4;
/** How often a short loop's body is written, for one check. Four are slower: the compiler unrolls such loops itself. */
const SHORT_COPIES = 2;

/**
 * How a loop is written. `inner`: in a loop of ours, at whose head is the slow call. `aside`: with the slow call
 * behind it. `copy` and `last`: a short loop, whose body is written more than once.
 */
type Kind = 'plain' | 'inner' | 'aside' | 'copy' | 'last';

/** Blocks of ours around each kind of loop, or around the copy of its body: labels past it count so many more. */
const AROUND: Readonly<Record<Kind, number>> = { plain: 0, inner: 1, aside: 3, copy: 3, last: 2 };

/** A block around the instruction that is copied. */
class Block {
  kind: Kind = 'plain';
  /** How many blocks of ours stand around, up to the one outside of this one. */
  readonly #outside: number;
  /** Calls that may come before there has to be a check; and how many that were before the block. */
  credit: number;
  readonly creditBefore: number;
  called = false;

  constructor(outside: number, credit: number) {
    this.#outside = outside;
    this.credit = this.creditBefore = credit;
  }

  get around(): number {
    return this.#outside + AROUND[this.kind];
  }

  inner(): Block {
    return new Block(this.around, this.credit);
  }

  /** Behind a block: some way out of it may have passed none of its checks, and made all of its calls. */
  leave(block: Block): void {
    this.called ||= block.called;
    this.credit = block.called ? 0 : block.creditBefore;
  }
}

/** Copies what the reader holds, up to the function's last `end`. */
export function copyBody(
  reader: ByteReader,
  out: ByteWriter,
  { code, numbering, survey, takesParams, grows, needsCheck }: BodyOptions,
): void {
  const { bytes } = reader;
  const blocks: Block[] = [];
  let top = new Block(0, 0);
  let instruction = reader.at;
  let last = 0;

  const loopType = (op: number, bodyStart: number): void => {
    out.byte(op);
    out.copy(bytes, instruction + 1, bodyStart);
  };

  const patch: Patch = numbering.patch(bytes, reader.at, out, {
    instruction: (at, opcode, sub) => {
      instruction = at;
      last = opcode;
      if (opcode === OP.else) top.credit = top.creditBefore;
      else if (opcode === OP.catch || opcode === OP.catchAll) top.credit = 0;
      else if (opcode === OP.if && onlySetsFlag(bytes, at)) {
        patch.copyTo(at);
        code.unlikelyIf(out);
      }
      const takesLong =
        opcode === OP.bulk ? BULK_WORK.includes(sub) : opcode === OP.gc && GC_WORK.includes(sub);
      if (!takesLong) return;
      patch.copyTo(at);
      code.call(out);
    },
    call: (callee) => {
      if (!needsCheck?.(callee)) return;
      top.called = true;
      if (top.credit === 0) {
        patch.copyTo(instruction);
        code.call(out);
        top.credit = CALLS_PER_CHECK;
      }
      top.credit--;
    },
    enter: () => {
      blocks.push(top);
      top = top.inner();
    },
    leave: (end) => {
      if (top.kind === 'copy') {
        patch.copyTo(end - 1);
        return;
      }
      const block = top;
      top = blocks.pop() ?? top;
      top.leave(block);
      if (block.kind === 'plain') return;
      patch.copyTo(end - 1);
      patch.moveTo(end);
      endLoop(block.kind);
    },
    label: (from, to, depth) => {
      const target = depth === 0 ? top : blocks.at(-depth);
      const crossed = top.around - (target?.around ?? 0);
      if (crossed > 0) patch.replace(from, to, depth + crossed);
    },
    loop: (bodyStart) => {
      if (survey.covered.has(bodyStart)) {
        top.credit = 0;
        return;
      }
      top.credit = CALLS_PER_CHECK;
      if (takesParams(new ByteReader(bytes, instruction + 1, bodyStart))) {
        // Its operands could not be carried out of it and in again.
        patch.copyTo(bodyStart);
        code.call(out);
        return;
      }
      patch.copyTo(instruction);
      patch.moveTo(bodyStart);
      if (survey.calling.has(bodyStart)) {
        loopType(OP.block, bodyStart);
        put(out, OP.loop, EMPTY, OP.block, EMPTY, OP.loop, EMPTY);
        code.leave(out);
        top.kind = 'aside';
      } else if (survey.short.has(bodyStart)) {
        loopType(OP.block, bodyStart);
        put(out, OP.loop, EMPTY);
        code.call(out);
        put(out, OP.loop, EMPTY);
        code.leave(out);
        copyShort(bodyStart);
      } else {
        loopType(OP.loop, bodyStart);
        code.call(out);
        loopType(OP.loop, bodyStart);
        code.leave(out);
        top.kind = 'inner';
      }
    },
  });

  const endLoop = (kind: Kind): void => {
    // A loop in a block ends by leaving that block with its results; nothing comes to the ends of the others.
    if (kind === 'aside') {
      put(out, OP.br, 3, OP.end, OP.end);
      code.callSlow(out);
      put(out, OP.br, 0, OP.end, OP.unreachable, OP.end);
    } else if (kind === 'last') put(out, OP.br, 2, OP.end, OP.end, OP.unreachable, OP.end);
    else put(out, OP.end, OP.end);
  };

  /** All copies but the last, which is written by who goes on. */
  const copyShort = (bodyStart: number): void => {
    for (let copy = 1; copy < SHORT_COPIES; copy++) {
      // A jump to the loop's beginning is one out of this block, to the next copy.
      put(out, OP.block, EMPTY);
      top.kind = 'copy';
      patch.moveTo(bodyStart);
      walkExpression(new ByteReader(bytes, bodyStart, reader.end), visitor);
      put(out, OP.br, 3, OP.end);
    }
    top.kind = 'last';
    patch.moveTo(bodyStart);
  };

  const visitor: InstructionVisitor = {
    ...patch.visitor,
    memory: (from, to, index) => {
      const grow = last === MEMORY_GROW ? grows.get(index) : undefined;
      if (grow === undefined) {
        patch.visitor.memory(from, to, index);
        return;
      }
      patch.copyTo(instruction);
      out.byte(OP.call);
      patch.replace(instruction, to, grow);
    },
  };
  walkExpression(reader, visitor);
  patch.copyTo(reader.at);
}

function put(out: ByteWriter, ...bytes: readonly number[]): void {
  for (const byte of bytes) out.byte(byte);
}

/** Whether an `if` does nothing but set a global to 1, as the write check does. */
function onlySetsFlag(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at + 1] === EMPTY &&
    bytes[at + 2] === OP.i32Const &&
    bytes[at + 3] === 1 &&
    bytes[at + 4] === OP.globalSet
  );
}
