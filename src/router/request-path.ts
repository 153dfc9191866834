/**
 * What a request's target means for matching, decided once and in one place:
 *
 * - Fission's router compares the decoded path; so do we, but **an encoded slash stays `%2F`**: it is part of
 *   a segment and never separates two, so `/a%2Fb` matches neither `/a/b` nor the prefix `/a/`.
 * - Control characters and bytes that are not UTF-8 stay encoded as well; a malformed escape (`%zz`) is a 400,
 *   as Go's `net/url` has it.
 * - `.` and `..` segments, plain or encoded, are resolved before matching (RFC 3986 section 6.2.2.3) and never
 *   climb above the root, so a prefix cannot be left by what comes after it.
 * - Double slashes are kept: `//hello` is not `/hello`, and `/proxy/https://x/` reaches the function whole.
 * - The function gets the path as the client escaped it, so it can tell `%2F` from `/` itself.
 */

export interface RequestTarget {
  /** As escaped by the client, dot segments resolved, visible ASCII only; starts with `/`, or is `*`. */
  readonly path: string;
  /** With its question mark; '' where there is none. */
  readonly query: string;
  /** From an absolute-form target (RFC 9112 section 3.2.2), which then wins over the Host header. */
  readonly authority: string | null;
}

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)/i;
const PLAIN_PATH = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:@/|[\]^{}\\`"<>]*$/;
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;
const BAD_ESCAPE = /%(?![0-9a-fA-F]{2})/;
// oxlint-disable-next-line no-control-regex -- Anything but visible ASCII is what it looks for.
const NOT_VISIBLE = /[\x00-\x20\x7f-\xff]/g;
const ESCAPES = /(?:%[0-9a-fA-F]{2})+/g;

/** The target of a request line, or null where it is not one that a server can answer. */
export function parseTarget(target: string): RequestTarget | null {
  let rest = target;
  let authority: string | null = null;
  if (!rest.startsWith('/')) {
    if (rest === '*') return { path: '*', query: '', authority };
    const absolute = ABSOLUTE_FORM.exec(rest);
    if (absolute === null || absolute[1] === undefined || absolute[1] === '') return null;
    authority = absolute[1];
    rest = rest.slice(absolute[0].length);
    if (!rest.startsWith('/')) rest = `/${rest}`;
  }
  if (rest.includes('#')) return null;
  const mark = rest.indexOf('?');
  const query = mark === -1 ? '' : encodeInvisible(rest.slice(mark));
  let path = mark === -1 ? rest : rest.slice(0, mark);
  if (PLAIN_PATH.test(path) && !path.includes('/.')) return { path, query, authority };
  if (BAD_ESCAPE.test(path)) return null;
  path = encodeInvisible(path);
  if (DOT_SEGMENT.test(path)) path = withoutDotSegments(path);
  return { path, query, authority };
}

function encodeInvisible(text: string): string {
  return text.replace(
    NOT_VISIBLE,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/** RFC 3986 section 5.2.4, with encoded dots taken as dots. */
function withoutDotSegments(path: string): string {
  const segments = path.split('/').slice(1);
  const kept: string[] = [];
  segments.forEach((segment, index) => {
    const plain = segment.replaceAll(/%2e/gi, '.');
    const last = index === segments.length - 1;
    if (plain === '..') kept.pop();
    else if (plain !== '.') kept.push(segment);
    if (last && (plain === '.' || plain === '..')) kept.push('');
  });
  return `/${kept.join('/')}`;
}

/** The form of an escaped path that routes are compared with; see the head of this file. */
export function matchForm(path: string): string {
  return path.includes('%') ? path.replace(ESCAPES, decodeRun) : path;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeRun(run: string): string {
  let out = '';
  let pending: number[] = [];
  const flush = (): void => {
    if (pending.length === 0) return;
    try {
      out += utf8.decode(Uint8Array.from(pending));
    } catch {
      for (const byte of pending) out += byte < 0x80 ? String.fromCharCode(byte) : escapeByte(byte);
    }
    pending = [];
  };
  for (let at = 1; at < run.length; at += 3) {
    const byte = Number.parseInt(run.slice(at, at + 2), 16);
    if (byte === 0x2f || byte < 0x20 || byte === 0x7f) {
      flush();
      out += escapeByte(byte);
    } else pending.push(byte);
  }
  flush();
  return out;
}

function escapeByte(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** An escaped path from its `count`-th segment on, with the slash before it; `/` where nothing is left. */
export function pathFromSegment(path: string, count: number): string {
  let at = 0;
  for (let seen = 0; seen < count; seen += 1) {
    at = path.indexOf('/', at + 1);
    if (at === -1) return '/';
  }
  return path.slice(at);
}
