/** The instructions of the interruption check (see `interrupt.ts`). */
import type { BranchHints } from './branch-hints.ts';
import type { ByteWriter } from './bytes.ts';
import type { Renumbering } from './renumbering.ts';

const OP = { if: 0x04, end: 0x0b, brIf: 0x0d, call: 0x10, load: 0x28, i32Const: 0x41 } as const;
const EMPTY = 0x40;
const WORD_ALIGNMENT = 2;

export class CheckCode {
  readonly #numbering: Renumbering;
  readonly #hints: BranchHints;
  readonly #slow: number;

  /** @param slow the function that ends or yields */
  constructor(numbering: Renumbering, hints: BranchHints, slow: number) {
    this.#numbering = numbering;
    this.#hints = hints;
    this.#slow = slow;
  }

  loadWord(out: ByteWriter, offset: number): void {
    out.byte(OP.i32Const);
    out.byte(0);
    out.byte(OP.load);
    this.#numbering.writeAccess(out, WORD_ALIGNMENT, this.#numbering.control);
    out.byte(offset);
  }

  /** The beginning of what is done only where the word is set. */
  begin(out: ByteWriter): void {
    this.loadWord(out, 0);
    this.#hints.unlikely(out.length);
    out.byte(OP.if);
    out.byte(EMPTY);
  }

  call(out: ByteWriter): void {
    this.begin(out);
    out.byte(OP.call);
    out.u32(this.#slow);
    out.byte(OP.end);
  }

  /** Leaves to the label around the innermost one where the word is set. */
  leave(out: ByteWriter): void {
    this.loadWord(out, 0);
    this.#hints.unlikely(out.length);
    out.byte(OP.brIf);
    out.byte(1);
  }

  /** The call alone, whatever the word is: the function looks at it again. */
  callSlow(out: ByteWriter): void {
    out.byte(OP.call);
    out.u32(this.#slow);
  }

  /** The `if` that follows is hardly ever taken. */
  unlikelyIf(out: ByteWriter): void {
    this.#hints.unlikely(out.length);
  }
}
