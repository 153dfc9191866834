/** `wasi:http/types.error-code`, and what each failure of Node, TLS, DNS and undici is in its terms. */

interface FieldSize {
  readonly fieldName: string | undefined;
  readonly fieldSize: number | undefined;
}

type PlainErrorCode =
  | 'DNS-timeout'
  | 'destination-not-found'
  | 'destination-unavailable'
  | 'destination-IP-prohibited'
  | 'destination-IP-unroutable'
  | 'connection-refused'
  | 'connection-terminated'
  | 'connection-timeout'
  | 'connection-read-timeout'
  | 'connection-write-timeout'
  | 'connection-limit-reached'
  | 'TLS-protocol-error'
  | 'TLS-certificate-error'
  | 'HTTP-request-denied'
  | 'HTTP-request-length-required'
  | 'HTTP-request-method-invalid'
  | 'HTTP-request-URI-invalid'
  | 'HTTP-request-URI-too-long'
  | 'HTTP-response-incomplete'
  | 'HTTP-response-timeout'
  | 'HTTP-upgrade-failed'
  | 'HTTP-protocol-error'
  | 'loop-detected'
  | 'configuration-error';

export type ErrorCode =
  | { readonly tag: PlainErrorCode }
  | {
      readonly tag: 'DNS-error';
      readonly val: { readonly rcode: string | undefined; readonly infoCode: number | undefined };
    }
  | {
      readonly tag: 'TLS-alert-received';
      readonly val: { readonly alertId: number | undefined; readonly alertMessage: string | undefined };
    }
  | { readonly tag: 'HTTP-request-body-size' | 'HTTP-response-body-size'; readonly val: bigint | undefined }
  | {
      readonly tag:
        | 'HTTP-request-header-section-size'
        | 'HTTP-request-trailer-section-size'
        | 'HTTP-response-header-section-size'
        | 'HTTP-response-trailer-section-size';
      readonly val: number | undefined;
    }
  | { readonly tag: 'HTTP-request-header-size'; readonly val: FieldSize | undefined }
  | {
      readonly tag: 'HTTP-request-trailer-size' | 'HTTP-response-header-size' | 'HTTP-response-trailer-size';
      readonly val: FieldSize;
    }
  | {
      readonly tag: 'HTTP-response-transfer-coding' | 'HTTP-response-content-coding' | 'internal-error';
      readonly val: string | undefined;
    };

/** A failure that knows its error-code already; thrown through undici and Node's sockets. */
export class OutboundFailure extends Error {
  readonly errorCode: ErrorCode;

  constructor(errorCode: ErrorCode, message: string) {
    super(message);
    this.errorCode = errorCode;
  }
}

const dnsError = (rcode: string): ErrorCode => ({ tag: 'DNS-error', val: { rcode, infoCode: undefined } });

/** By the `code` of the error. */
const BY_CODE: Readonly<Record<string, ErrorCode>> = {
  // DNS: getaddrinfo and c-ares
  ENOTFOUND: dnsError('NXDOMAIN'),
  ENODATA: dnsError('NODATA'),
  EAI_NODATA: dnsError('NODATA'),
  EAI_NONAME: dnsError('NXDOMAIN'),
  EAI_AGAIN: dnsError('SERVFAIL'),
  EAI_FAIL: dnsError('SERVFAIL'),
  ESERVFAIL: dnsError('SERVFAIL'),
  EREFUSED: dnsError('REFUSED'),
  EBADNAME: dnsError('FORMERR'),
  EFORMERR: dnsError('FORMERR'),
  EBADRESP: dnsError('FORMERR'),
  ENOTIMP: dnsError('NOTIMP'),
  ETIMEOUT: { tag: 'DNS-timeout' },
  // Sockets
  ECONNREFUSED: { tag: 'connection-refused' },
  ECONNRESET: { tag: 'connection-terminated' },
  ECONNABORTED: { tag: 'connection-terminated' },
  EPIPE: { tag: 'connection-terminated' },
  ERR_STREAM_PREMATURE_CLOSE: { tag: 'connection-terminated' },
  ERR_STREAM_DESTROYED: { tag: 'connection-terminated' },
  ERR_SOCKET_CLOSED: { tag: 'connection-terminated' },
  ETIMEDOUT: { tag: 'connection-timeout' },
  ERR_SOCKET_CONNECTION_TIMEOUT: { tag: 'connection-timeout' },
  EHOSTUNREACH: { tag: 'destination-unavailable' },
  EHOSTDOWN: { tag: 'destination-unavailable' },
  ENETUNREACH: { tag: 'destination-IP-unroutable' },
  ENETDOWN: { tag: 'destination-IP-unroutable' },
  EADDRNOTAVAIL: { tag: 'destination-IP-unroutable' },
  EINVAL: { tag: 'destination-IP-unroutable' },
  EACCES: { tag: 'destination-IP-prohibited' },
  EPERM: { tag: 'destination-IP-prohibited' },
  EMFILE: { tag: 'connection-limit-reached' },
  ENFILE: { tag: 'connection-limit-reached' },
  ENOBUFS: { tag: 'connection-limit-reached' },
  // Certificates (X509_V_ERR_* as Node names them)
  CERT_HAS_EXPIRED: { tag: 'TLS-certificate-error' },
  CERT_NOT_YET_VALID: { tag: 'TLS-certificate-error' },
  CERT_REVOKED: { tag: 'TLS-certificate-error' },
  CERT_REJECTED: { tag: 'TLS-certificate-error' },
  CERT_UNTRUSTED: { tag: 'TLS-certificate-error' },
  CERT_CHAIN_TOO_LONG: { tag: 'TLS-certificate-error' },
  CERT_SIGNATURE_FAILURE: { tag: 'TLS-certificate-error' },
  DEPTH_ZERO_SELF_SIGNED_CERT: { tag: 'TLS-certificate-error' },
  SELF_SIGNED_CERT_IN_CHAIN: { tag: 'TLS-certificate-error' },
  UNABLE_TO_GET_ISSUER_CERT: { tag: 'TLS-certificate-error' },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: { tag: 'TLS-certificate-error' },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { tag: 'TLS-certificate-error' },
  HOSTNAME_MISMATCH: { tag: 'TLS-certificate-error' },
  INVALID_CA: { tag: 'TLS-certificate-error' },
  INVALID_PURPOSE: { tag: 'TLS-certificate-error' },
  ERR_TLS_CERT_ALTNAME_INVALID: { tag: 'TLS-certificate-error' },
  ERR_TLS_CERT_ALTNAME_FORMAT: { tag: 'TLS-certificate-error' },
  ERR_TLS_HANDSHAKE_TIMEOUT: { tag: 'connection-timeout' },
  EPROTO: { tag: 'TLS-protocol-error' },
  // undici
  UND_ERR_CONNECT_TIMEOUT: { tag: 'connection-timeout' },
  UND_ERR_HEADERS_TIMEOUT: { tag: 'HTTP-response-timeout' },
  UND_ERR_BODY_TIMEOUT: { tag: 'connection-read-timeout' },
  UND_ERR_HEADERS_OVERFLOW: { tag: 'HTTP-response-header-section-size', val: undefined },
  UND_ERR_RES_EXCEEDED_MAX_SIZE: { tag: 'HTTP-response-body-size', val: undefined },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: { tag: 'HTTP-response-incomplete' },
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: { tag: 'HTTP-request-body-size', val: undefined },
  UND_ERR_SOCKET: { tag: 'connection-terminated' },
  UND_ERR_ABORTED: { tag: 'connection-terminated' },
  UND_ERR_ABORT: { tag: 'connection-terminated' },
  UND_ERR_INFO: { tag: 'connection-terminated' },
  UND_ERR_DESTROYED: { tag: 'connection-terminated' },
  UND_ERR_CLOSED: { tag: 'connection-terminated' },
  UND_ERR_INVALID_ARG: { tag: 'HTTP-protocol-error' },
  UND_ERR_NOT_SUPPORTED: { tag: 'HTTP-protocol-error' },
  HPE_CLOSED_CONNECTION: { tag: 'HTTP-response-incomplete' },
  HPE_INVALID_EOF_STATE: { tag: 'HTTP-response-incomplete' },
  HPE_HEADER_OVERFLOW: { tag: 'HTTP-response-header-section-size', val: undefined },
  HPE_INVALID_TRANSFER_ENCODING: { tag: 'HTTP-response-transfer-coding', val: undefined },
};

/** TLS alerts (RFC 8446, section 6) as OpenSSL names them in its codes. */
const TLS_ALERTS: Readonly<Record<string, number>> = {
  UNEXPECTED_MESSAGE: 10,
  BAD_RECORD_MAC: 20,
  RECORD_OVERFLOW: 22,
  HANDSHAKE_FAILURE: 40,
  BAD_CERTIFICATE: 42,
  UNSUPPORTED_CERTIFICATE: 43,
  CERTIFICATE_REVOKED: 44,
  CERTIFICATE_EXPIRED: 45,
  CERTIFICATE_UNKNOWN: 46,
  ILLEGAL_PARAMETER: 47,
  UNKNOWN_CA: 48,
  ACCESS_DENIED: 49,
  DECODE_ERROR: 50,
  DECRYPT_ERROR: 51,
  PROTOCOL_VERSION: 70,
  INSUFFICIENT_SECURITY: 71,
  INTERNAL_ERROR: 80,
  UNRECOGNIZED_NAME: 112,
  CERTIFICATE_REQUIRED: 116,
  NO_APPLICATION_PROTOCOL: 120,
};

/** The error-code for whatever an outbound request or a body failed with; `internal-error` for the unknown. */
export function errorCodeOf(error: unknown): ErrorCode {
  for (const each of chain(error)) {
    if (each instanceof OutboundFailure) return each.errorCode;
    const code = 'code' in each && typeof each.code === 'string' ? each.code : '';
    const known = BY_CODE[code];
    if (known) return withMessage(known, code, each);
    const alert = /^ERR_SSL_(?:SSL.*_|TLSV1_|TLSV13_)?ALERT_(?:BAD_)?(.+)$/.exec(code);
    if (alert) return tlsAlert(code);
    if (code.startsWith('ERR_SSL_')) return { tag: 'TLS-protocol-error' };
    if (code.startsWith('ERR_TLS_')) return { tag: 'TLS-protocol-error' };
    // undici's parser leaves the code out of some of its errors.
    if (code.startsWith('HPE_') || each.name === 'HTTPParserError') return { tag: 'HTTP-protocol-error' };
  }
  return { tag: 'internal-error', val: error instanceof Error ? error.message : String(error) };
}

/** The error, then its causes, then what it bundles: happy eyeballs reports all attempts in one. */
function* chain(error: unknown, depth = 0): Generator<Error> {
  if (!(error instanceof Error) || depth > 4) return;
  yield error;
  yield* chain(error.cause, depth + 1);
  if (error instanceof AggregateError) {
    for (const each of error.errors as unknown[]) yield* chain(each, depth + 1);
  }
}

function withMessage(known: ErrorCode, code: string, error: Error): ErrorCode {
  // EPROTO wraps OpenSSL's own words, where an alert is named with its number.
  if (code !== 'EPROTO') return known;
  const alert = /alert number (\d+)/i.exec(error.message);
  return alert
    ? { tag: 'TLS-alert-received', val: { alertId: Number(alert[1]), alertMessage: undefined } }
    : known;
}

function tlsAlert(code: string): ErrorCode {
  const name = Object.keys(TLS_ALERTS).find((alert) => code.endsWith(`ALERT_${alert}`));
  const alertMessage = (name ?? code.replace(/^.*ALERT_/, '')).toLowerCase().replaceAll('_', ' ');
  return {
    tag: 'TLS-alert-received',
    val: { alertId: name === undefined ? undefined : TLS_ALERTS[name], alertMessage },
  };
}

/** The error-code for a log line or an answer. */
export function describeErrorCode(code: ErrorCode): string {
  if (!('val' in code) || code.val === undefined) return code.tag;
  if (typeof code.val !== 'object') return `${code.tag} (${code.val})`;
  const parts = Object.entries(code.val).filter(([, value]) => value !== undefined);
  return parts.length === 0 ? code.tag : `${code.tag} (${parts.map((part) => part.join(' ')).join(', ')})`;
}
