/** Finds what is in a memory. */

export interface Run {
  readonly offset: number;
  readonly length: number;
}

export interface Runs {
  /** In order, apart from each other. */
  readonly runs: readonly Run[];
  /** The bytes of all runs, one behind the other. */
  readonly bytes: Uint8Array;
}

/** Zeros between two runs cost less than another segment. */
const FIRST_GAP_BYTES = 64;
/** V8 takes 100,000 segments; each costs a call when they are copied. */
const MAX_RUNS = 2000;
const WORD_BYTES = 8;

/** The runs of bytes that are not zero; null where they are more than `maxBytes` long together. */
export function findRuns(memory: Uint8Array, maxBytes: number): Runs | null {
  let found: Run[] | null = null;
  for (let gap = FIRST_GAP_BYTES; ; gap *= 4) {
    found = joinRuns(found ?? wordRuns(memory, gap), gap);
    if (found.length <= MAX_RUNS) break;
  }
  const trimmed = found.map((run) => trim(memory, run));
  const total = trimmed.reduce((sum, { length }) => sum + length, 0);
  if (total > maxBytes) return null;
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const { offset, length } of trimmed) {
    bytes.set(memory.subarray(offset, offset + length), at);
    at += length;
  }
  return { runs: trimmed, bytes };
}

/** Memories are pages long, so words are whole. */
function wordRuns(memory: Uint8Array, gap: number): Run[] {
  const words = new BigUint64Array(memory.buffer, memory.byteOffset, Math.floor(memory.length / WORD_BYTES));
  const runs: Run[] = [];
  let start = -1;
  let end = 0;
  for (let i = 0; i < words.length; i++) {
    if (words[i] === 0n) continue;
    if (start >= 0 && (i - end) * WORD_BYTES > gap) {
      runs.push({ offset: start * WORD_BYTES, length: (end - start) * WORD_BYTES });
      start = i;
    } else if (start < 0) start = i;
    end = i + 1;
  }
  if (start >= 0) runs.push({ offset: start * WORD_BYTES, length: (end - start) * WORD_BYTES });
  return runs;
}

function joinRuns(runs: readonly Run[], gap: number): Run[] {
  const joined: Run[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last && run.offset - last.offset - last.length <= gap) {
      joined[joined.length - 1] = { offset: last.offset, length: run.offset + run.length - last.offset };
    } else joined.push(run);
  }
  return joined;
}

function trim(memory: Uint8Array, { offset, length }: Run): Run {
  let from = offset;
  let to = offset + length;
  while (from < to && memory[from] === 0) from++;
  while (to > from && memory[to - 1] === 0) to--;
  return { offset: from, length: to - from };
}
