/** Header lines, as the platform's own readers of heads take them: of requests (`quick/`) and of answers (`cluster/relay/`). */

/**
 * RFC 9110 section 5.5; blanks around the value are not part of it, and no line goes on in the next. Sticky: where it
 * looks is `lastIndex`.
 */
export const FIELD = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)\r\n/y;
/** Of a Content-Length that is read here. */
export const LENGTH = /^\d{1,10}$/;

/** Not `trimEnd`: that takes 0xa0 too, which ends many a character of UTF-8. */
export function withoutBlanksBehind(value: string): string {
  let end = value.length;
  for (; end > 0; end--) {
    const last = value.charCodeAt(end - 1);
    if (last !== 0x20 && last !== 0x09) break;
  }
  return end === value.length ? value : value.slice(0, end);
}
