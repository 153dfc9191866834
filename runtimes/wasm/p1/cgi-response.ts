/** A CGI program's output as an HTTP answer (RFC 3875, section 6). */
import { FissiumError } from '../../../src/errors.ts';
import type { HeaderList } from '../../../src/executors/executor.ts';
import { FIELD_ENTRIES_CAP } from '../wasi/limits.ts';

export interface CgiHead {
  readonly status: number;
  readonly headers: HeaderList;
  /** What followed the blank line in the bytes seen so far. */
  readonly rest: Uint8Array;
}

/** Longest head that is waited for, bytes. */
export const CGI_HEAD_BYTES = 64 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// oxlint-disable-next-line no-control-regex -- header values may not contain control characters
const BAD_VALUE = /[\u0000-\u0008\u000a-\u001f\u007f]/;
/** They belong to the connection, which the program does not own. */
const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Collects output until the head is whole. */
export class CgiHeadReader {
  #seen: Uint8Array = new Uint8Array(0);

  /**
   * Takes the next output; gives the head once its blank line is there, else null.
   * @throws FissiumError GUEST_BAD_RESPONSE that shows what was seen
   */
  push(bytes: Uint8Array): CgiHead | null {
    const searched = Math.max(0, this.#seen.length - 3);
    this.#seen = this.#seen.length === 0 ? bytes.slice() : new Uint8Array(Buffer.concat([this.#seen, bytes]));
    const end = headEnd(this.#seen, searched);
    if (end) {
      if (end.text > CGI_HEAD_BYTES) throw this.#tooLong();
      const text = new TextDecoder('latin1').decode(this.#seen.subarray(0, end.text));
      return { ...parseHead(text), rest: this.#seen.subarray(end.body) };
    }
    if (this.#seen.length > CGI_HEAD_BYTES) throw this.#tooLong();
    return null;
  }

  /** The failure of a program that ended before its head was whole. */
  atEnd(): FissiumError {
    if (this.#seen.length === 0) {
      return new FissiumError(
        'GUEST_NO_RESPONSE',
        `the function ended without writing an answer to stdout; ${WANTED}`,
      );
    }
    return bad(`its output has no blank line after the headers: it wrote ${shown(this.#seen)}`);
  }

  #tooLong(): FissiumError {
    return bad(`no blank line in its first ${CGI_HEAD_BYTES / 1024} KiB: it began with ${shown(this.#seen)}`);
  }
}

const WANTED = 'a CGI program writes headers (`Content-Type: text/plain`), a blank line, then the body';

function bad(what: string): FissiumError {
  return new FissiumError('GUEST_BAD_RESPONSE', `the function's answer makes no sense: ${what}; ${WANTED}`);
}

function shown(bytes: Uint8Array | string): string {
  const text = typeof bytes === 'string' ? bytes : new TextDecoder('latin1').decode(bytes.subarray(0, 100));
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}

/** Where the head's text ends and the body begins; lines end with LF or CR LF. */
function headEnd(bytes: Uint8Array, from: number): { readonly text: number; readonly body: number } | null {
  if (from === 0 && bytes[0] === LF) return { text: 0, body: 1 };
  if (from === 0 && bytes[0] === CR && bytes[1] === LF) return { text: 0, body: 2 };
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return { text: at, body: at + 2 };
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return { text: at, body: at + 3 };
  }
  return null;
}

function parseHead(text: string): Omit<CgiHead, 'rest'> {
  const headers: [string, string][] = [];
  let status: number | null = null;
  let location = false;
  for (const line of text.split('\n')) {
    const [name, value] = parseLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    if (name === 'status') {
      status = parseStatus(value, status);
      continue;
    }
    if (CONNECTION_HEADERS.has(name)) continue;
    if (headers.length === FIELD_ENTRIES_CAP) throw bad(`it has more than ${FIELD_ENTRIES_CAP} headers`);
    location ||= name === 'location';
    headers.push([name, value]);
  }
  return { status: status ?? (location ? 302 : 200), headers };
}

function parseLine(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0)).trimEnd();
  if (!TOKEN.test(name)) throw bad(`${shown(line)} is not a header`);
  const value = line.slice(colon + 1).trim();
  if (BAD_VALUE.test(value)) throw bad(`the value of its header ${shown(name)} holds a control character`);
  return [name.toLowerCase(), value];
}

function parseStatus(value: string, before: number | null): number {
  const status = Number(/^(\d{3})(?:\s|$)/.exec(value)?.[1]);
  if (before !== null) throw bad('it has two Status lines');
  if (!(status >= 200 && status <= 599)) throw bad(`its status is ${shown(value)}; allowed are 200 to 599`);
  return status;
}
