/**
 * The heads that a quick connection reads itself: those about which nobody can be of two minds. Whatever is not
 * exactly of this form, valid or not, is node:http's to read (see `connection.ts`), so that its well-kept parser has
 * the last word on everything unusual. What is accepted here it accepts too, and reads the same; a test holds them
 * together.
 */

import { FIELD, LENGTH, withoutBlanksBehind } from '../field-line.ts';

export interface RequestHead {
  readonly method: string;
  /** Origin form: begins with `/`, visible ASCII. */
  readonly target: string;
  /** Names in lower case and values by turns, in order, repeats kept. */
  readonly headers: readonly string[];
  /** Bytes of body behind the head. */
  readonly contentLength: number;
  /** Whether the client wants the connection closed after the answer. */
  readonly close: boolean;
}

const REQUEST_LINE = /(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) (\/[\x21-\x7e]*) HTTP\/1\.1\r\n/y;

/** @param head up to the line break before the empty line, one character a byte */
export function parseRequestHead(head: string): RequestHead | null {
  REQUEST_LINE.lastIndex = 0;
  const line = REQUEST_LINE.exec(head);
  const method = line?.[1];
  const target = line?.[2];
  if (method === undefined || target === undefined) return null;
  const headers: string[] = [];
  let contentLength = -1;
  let hosts = 0;
  let close = false;
  for (let at = REQUEST_LINE.lastIndex; at < head.length; at = FIELD.lastIndex) {
    FIELD.lastIndex = at;
    const field = FIELD.exec(head);
    if (field?.[1] === undefined || field[2] === undefined) return null;
    const name = field[1].toLowerCase();
    const value = withoutBlanksBehind(field[2]);
    switch (name) {
      case 'host':
        hosts++;
        break;
      case 'content-length':
        if (contentLength !== -1 || !LENGTH.test(value)) return null;
        contentLength = Number(value);
        break;
      case 'connection': {
        const wanted = value.toLowerCase();
        if (wanted === 'close') close = true;
        else if (wanted !== 'keep-alive') return null;
        break;
      }
      case 'transfer-encoding':
      case 'upgrade':
      case 'expect':
      case 'trailer':
      case 'proxy-connection':
      case 'http2-settings':
        return null;
    }
    headers.push(name, value);
  }
  if (hosts !== 1) return null;
  return { method, target, headers, contentLength: Math.max(0, contentLength), close };
}
