/**
 * jco's generated code takes over whatever strings and lists a guest names, of any length, and a table of handles of
 * any size. These checks are written into it: each call's lengths are counted before anything is made of them.
 */
import { FissiumError } from '../../../src/errors.ts';
import { TRANSFER_BYTES_CAP } from '../wasi/limits.ts';
import type { GuestState } from '../wasi/index.ts';

/** An element of a list that is made one by one, beside the strings and lists in it: an object, and its place. */
const ELEMENT_WEIGHT = 128;
/** A list of numbers: a typed array and its ArrayBuffer. */
const NUMBERS_WEIGHT = 336;
const STRING_WEIGHT = 48;
/** A handle's two words, with the room that a growing array leaves. */
const HANDLE_ENTRY_WEIGHT = 32;

/** What the checks call, for one instance. */
export interface LiftChecks {
  /** A host function was called. */
  called(): void;
  /** So many bytes are about to be made of what the guest names. @throws GuestTrap beyond what one call may hand over */
  lifts(bytes: number): void;
  /** A table of handles becomes longer by one. @throws GuestStop where the host holds too much for the guest */
  grows(): void;
}

export function liftChecks(state: GuestState): LiftChecks {
  let left = TRANSFER_BYTES_CAP;
  return {
    called: () => {
      left = TRANSFER_BYTES_CAP;
    },
    lifts: (bytes) => {
      left -= bytes;
      if (left < 0) state.trap(`a string or list of ${bytes} bytes is more than one call may hand over`);
    },
    grows: () => state.hold(HANDLE_ENTRY_WEIGHT),
  };
}

const HOST_FUNCTION = /^\s*const _trampoline\d+ = (?:async )?function\([^)]*\) \{$/gm;
const TEXT =
  /(?:TEXT_DECODER_UTF8|utf16Decoder)\.decode\(new (?:Uint8Array|Uint16Array|DataView)\((?:memory\d+|ctx\.memory)\.buffer, \w+, (\w+)\)\)/g;
const NUMBERS = /new \w+Array\(memory\d+\.buffer\.slice\((\w+), \1 \+ (\w+) \* (\d+)\)\)/g;
const LIST =
  /^\s*(?:var result\d+|const val) = \[\];\n\s*for \((?:let|var) i = 0; i < (len\d*); i\+\+\) \{$/gm;
const TABLE_GROWS = /^\s*table\.push\(0\);$/gm;
/** Every handle that there ever was, which nobody asks for. */
const EVERY_HANDLE = /^\s*table\._createdReps\.add\(rep\);$/gm;

/** What takes something of a guest's memory over: all of it must have become one of the above. */
const TAKES_OVER = /\.decode\(new |\.buffer\.slice\(|\bvar result\d+ = \[\]|table\.push\(0\)/g;

/**
 * The script with calls of `checks`, an expression for {@link LiftChecks}.
 * @throws FissiumError INTERNAL where it takes something over in a way that this version does not know
 */
export function addLiftChecks(source: string, checks: string, filename: string): string {
  let known = 0;
  const counted = (text: string): string => {
    known++;
    return text;
  };
  const script = source
    .replace(HOST_FUNCTION, (head) => `${head} ${checks}.called();`)
    .replace(TEXT, (decode, length: string) =>
      counted(`(${checks}.lifts((${length} >>> 0) * 2 + ${STRING_WEIGHT}), ${decode})`),
    )
    .replace(NUMBERS, (copy, _pointer: string, length: string, size: string) =>
      counted(`(${checks}.lifts((${length} >>> 0) * ${size} + ${NUMBERS_WEIGHT}), ${copy})`),
    )
    .replace(LIST, (loop, length: string) =>
      // The other one is in a function for all lists of WASI 0.3.
      (loop.includes('const val') ? String : counted)(
        `${checks}.lifts((${length} >>> 0) * ${ELEMENT_WEIGHT});\n${loop}`,
      ),
    )
    .replace(TABLE_GROWS, (push) => counted(`${checks}.grows();\n${push}`));
  const all = source.match(TAKES_OVER)?.length ?? 0;
  if (known !== all) {
    throw new FissiumError(
      'INTERNAL',
      `${filename} takes over what a guest names in ${all} places, of which ${known} are known`,
    );
  }
  return /_createdReps\.(?!add\b)/.test(script) ? script : script.replace(EVERY_HANDLE, '');
}
