/** What the interruption check has to know of a module's functions before it writes into them. */
import { ByteReader } from './bytes.ts';
import type { FunctionCalls } from './call-graph.ts';
import { MEMORY_GROW } from './grow-check.ts';
import { walkExpression, type InstructionVisitor } from './instructions.ts';
import { readVector } from './layout.ts';
import type { Section } from './sections.ts';
import { skipValueType } from './types.ts';

export interface FunctionSurvey {
  readonly calls: readonly FunctionCalls[];
  /** Where the bodies of those loops begin that enter another loop first of all: that one's check is theirs. */
  readonly covered: ReadonlySet<number>;
  /** Where the bodies of short loops begin that hold no other loop and no call. */
  readonly short: ReadonlySet<number>;
  /** Where the bodies of loops begin that call, themselves or in a loop inside. */
  readonly calling: ReadonlySet<number>;
  /** Memories that code grows. */
  readonly grown: ReadonlySet<number>;
}

/** Bodies up to this many bytes are short. */
const SHORT_BYTES = 96;
/** What a host call counts for beside instructions, in bytes of code. */
const HOST_CALL_BYTES = 64;
const BULK = 0xfc;
const GC = 0xfb;
/** Exception handling as it was before `try_table`: its blocks have more parts than a beginning and an end. */
const LEGACY = new Set([0x06, 0x07, 0x09, 0x18, 0x19]);

/**
 * Blocks and try blocks: whoever enters one goes on behind it. Numbers, locals, globals and memory: they go on as
 * well, or trap. Everything else may lead elsewhere.
 */
const goesOn = (opcode: number): boolean =>
  opcode === 0x01 || opcode === 0x02 || opcode === 0x03 || opcode === 0x06 || opcode === 0x1f || opcode === 0x1a || opcode === 0x1b ||
  (opcode >= 0x20 && opcode <= 0xc4); // prettier-ignore

export const IGNORE: InstructionVisitor = {
  loop: () => undefined,
  call: () => undefined,
  global: () => undefined,
  memory: () => undefined,
  access: () => undefined,
};

/** The next function's body; passes over it. */
export function functionBody(reader: ByteReader): ByteReader {
  const size = reader.u32();
  const start = reader.at;
  reader.skip(size);
  return new ByteReader(reader.bytes, start, reader.at);
}

export function skipLocals(reader: ByteReader): void {
  for (let left = reader.u32(); left > 0; left--) {
    reader.skipLeb(32);
    skipValueType(reader);
  }
}

export function surveyFunctions(code: Section | undefined, importedFunctions: number): FunctionSurvey {
  const covered = new Set<number>();
  const short = new Set<number>();
  const calling = new Set<number>();
  const grown = new Set<number>();
  const calls = readVector(code, (reader): FunctionCalls => {
    const body = functionBody(reader);
    let bytes = body.end - body.at;
    const callees: number[] = [];
    let callsUnknown = false;
    /** Loops from whose beginning nothing has led away so far. */
    let begun: number[] = [];
    /** The blocks around: where the body of a loop begins, else -1, and whether it may be a short one. */
    const blocks: { start: number; plain: boolean }[] = [];
    const notShort = (): void => {
      for (const block of blocks) block.plain = false;
    };
    let opcode = 0;
    skipLocals(body);
    walkExpression(body, {
      ...IGNORE,
      instruction: (_, code) => {
        opcode = code;
        if (begun.length > 0 && !goesOn(code)) begun = [];
        if (LEGACY.has(code) || code === BULK || code === GC) notShort();
      },
      enter: () => blocks.push({ start: -1, plain: false }),
      loop: (bodyStart) => {
        for (const outer of begun) covered.add(outer);
        begun = [bodyStart];
        notShort();
        blocks[blocks.length - 1] = { start: bodyStart, plain: true };
      },
      leave: (end) => {
        const block = blocks.pop();
        if (block?.plain === true && end - block.start <= SHORT_BYTES) short.add(block.start);
      },
      memory: (_, __, index) => {
        if (opcode === MEMORY_GROW) grown.add(index);
      },
      call: (callee) => {
        for (const block of blocks) if (block.start >= 0) calling.add(block.start);
        notShort();
        if (callee === null || callee < importedFunctions) {
          callsUnknown = true;
          bytes += HOST_CALL_BYTES;
        } else callees.push(callee - importedFunctions);
      },
    });
    return { bytes, callees, callsUnknown };
  });
  return { calls, covered, short, calling, grown };
}
