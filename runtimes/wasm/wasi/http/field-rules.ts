/** What a header field may be called and hold (RFC 9110, section 5), and which ones are not a guest's to touch. */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * About the connection, which is the host's, or about where a message goes, which `authority` says. Setting
 * one fails with `forbidden`; they are taken out of what a guest receives. The same set as wasmtime's.
 */
const FORBIDDEN = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** @param name lower case */
export function isForbidden(name: string): boolean {
  return FORBIDDEN.has(name);
}

/** Visible characters, space, tab and what is over 0x7f; no other control characters, so no line breaks. */
export function isFieldValue(value: Uint8Array): boolean {
  for (let i = 0; i < value.byteLength; i++) {
    const byte = value[i] ?? 0;
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return false;
  }
  return true;
}
