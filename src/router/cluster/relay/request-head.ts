/** What goes to a pod or to another router: the head of a request whose body is there, or which has none. */
import type { HeaderList } from '../../../executors/executor.ts';
import { isFieldName, isFieldValue } from '../../headers.ts';

export interface RelayedHead {
  readonly method: string;
  /** Path and query, with whatever stands before them at the pod. */
  readonly target: string;
  readonly authority: string;
  readonly headers: HeaderList;
  readonly requestId: string;
  /** Bytes of the body; null where there is none. */
  readonly bodyBytes: number | null;
}

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TARGET = /^\/[\x21-\x7e\x80-\xff]*$/;
/** Whose requests say that there is no body (RFC 9110 section 8.6). */
const EXPECTS_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** The head, one character a byte; null where it holds what no head may, or names a body of its own. */
export function requestHead(head: RelayedHead): string | null {
  const { method, target, authority, headers, requestId, bodyBytes } = head;
  if (!METHOD.test(method) || !TARGET.test(target) || !isFieldValue(authority)) return null;
  let text = `${method} ${target} HTTP/1.1\r\nhost: ${authority === '' ? 'localhost' : authority}\r\n`;
  let hasId = false;
  for (const [name, value] of headers) {
    if (name === 'host' || name === 'content-length') continue;
    if (name === 'transfer-encoding' || name === 'trailer' || name === 'upgrade') return null;
    if (name === 'x-fission-request-id') hasId = true;
    if (!isFieldName(name) || !isFieldValue(value)) return null;
    text += `${name}: ${value}\r\n`;
  }
  if (!hasId) text += `x-fission-request-id: ${requestId}\r\n`;
  if (bodyBytes !== null) text += `content-length: ${bodyBytes}\r\n`;
  else if (EXPECTS_BODY.has(method)) text += 'content-length: 0\r\n';
  return `${text}\r\n`;
}
