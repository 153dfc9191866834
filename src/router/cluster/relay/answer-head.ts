/**
 * The answers' heads that a line reads itself: those whose body's end is known beforehand, in a form about which nobody
 * can be of two minds. Whatever is not exactly of this form, valid or not, is node:http's to read (see `replay.ts`).
 */

import { FIELD, LENGTH, withoutBlanksBehind } from '../../field-line.ts';

export interface AnswerHead {
  readonly status: number;
  /** In order, repeats kept, names as they came; without `Connection` and `Keep-Alive`, which end here. */
  readonly headers: [name: string, value: string][];
  /** Bytes behind the head; 0 where no answer to such a request has any. */
  readonly bodyBytes: number;
  /** Whether the connection takes another request. */
  readonly keepAlive: boolean;
  /** For how long it does, where the server says it (`Keep-Alive: timeout=5`); else null. */
  readonly idleMs: number | null;
}

const STATUS_LINE = /HTTP\/1\.1 ([2-9]\d\d) [\t\x20-\x7e\x80-\xff]*\r\n/y;
const TIMEOUT = /(?:^|[ ,])timeout=(\d{1,6})(?:$|[ ,])/;

/**
 * @param head up to the line break before the empty line, one character a byte
 * @param toHead whether the request was one of HEAD
 */
export function parseAnswerHead(head: string, toHead: boolean): AnswerHead | null {
  STATUS_LINE.lastIndex = 0;
  const line = STATUS_LINE.exec(head);
  if (line === null) return null;
  const status = Number(line[1]);
  const headers: [string, string][] = [];
  let length = -1;
  let keepAlive = true;
  let idleMs: number | null = null;
  for (let at = STATUS_LINE.lastIndex; at < head.length; at = FIELD.lastIndex) {
    FIELD.lastIndex = at;
    const field = FIELD.exec(head);
    const name = field?.[1];
    if (name === undefined) return null;
    const value = withoutBlanksBehind(field?.[2] ?? '');
    // Looked at by their lengths first: most fields are none of these.
    switch (name.length) {
      case 14:
        if (name.toLowerCase() !== 'content-length') break;
        if (length !== -1 || !LENGTH.test(value)) return null;
        length = Number(value);
        break;
      case 10:
        switch (name.toLowerCase()) {
          case 'connection':
            if (/^close$/i.test(value)) keepAlive = false;
            else if (!/^keep-alive$/i.test(value)) return null;
            continue;
          case 'keep-alive': {
            const seconds = TIMEOUT.exec(value)?.[1];
            if (seconds !== undefined) idleMs = Number(seconds) * 1000;
            continue;
          }
        }
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') return null;
        break;
      case 7:
        if (/^(?:upgrade|trailer)$/i.test(name)) return null;
        break;
    }
    headers.push([name, value]);
  }
  const hasNone = toHead || status === 204 || status === 304;
  if (length === -1 && !hasNone) return null;
  return { status, headers, bodyBytes: hasNone ? 0 : length, keepAlive, idleMs };
}
