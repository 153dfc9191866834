/**
 * What one invocation may make the host hold. The numbers are generous for an honest guest and small for the
 * process; whatever goes past one ends the guest with a trap that names it, unless the interface has an error
 * for the case. Lengths that a guest names are compared with these before anything is allocated.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

/** Live handles of one kind at a time. */
export const HANDLE_CAPS = {
  'io-error': 1024,
  pollable: 4096,
  'input-stream': 1024,
  'output-stream': 1024,
  fields: 1024,
  'incoming-request': 1,
  'response-outparam': 1,
  'incoming-body': 256,
  'future-trailers': 256,
  'outgoing-response': 256,
  'outgoing-request': 256,
  'outgoing-body': 256,
  'request-options': 256,
  'future-incoming-response': 256,
  'incoming-response': 256,
  network: 256,
  descriptor: 1024,
  'directory-entry-stream': 256,
} as const satisfies Record<string, number>;

export type ResourceKind = keyof typeof HANDLE_CAPS;

/**
 * What all of it costs the host together: bytes, and what JavaScript adds to each thing, however small it is
 * (the weights below). Checked before anything is kept.
 */
export const HOST_BYTES_CAP = 16 * MIB;
/** Of these, what an invocation may hold in any case. */
export const HOST_BYTES_FREE = 256 * KIB;
/** What the invocations in one thread may hold beyond that, together; who asks for more gets 503. */
export const HOST_BYTES_OF_A_THREAD_CAP = 256 * MIB;
/** By how much an invocation's share of that grows at a time. */
export const HOST_BYTES_STEP = 256 * KIB;
/** A handle: the object behind it and its place in the table. */
export const HANDLE_WEIGHT = 512;
/** A header field that a guest made or looks at, beside its name and value: measured 330. */
export const FIELD_WEIGHT = 400;
/** A header field as two strings. */
export const FIELD_TEXT_WEIGHT = 160;
/** A chunk that waits, beside its bytes. */
export const CHUNK_WEIGHT = 256;
/** One of the pollables, or of the events of `poll_oneoff`, that a guest waits for. */
export const WAIT_WEIGHT = 192;
/** A name in `/tmp`. */
export const TMP_ENTRY_WEIGHT = 1024;
/** An entry of a folder that `fd_readdir` goes through, beside its name. */
export const LISTED_ENTRY_WEIGHT = 96;
/** A line of the log, beside its text: it counts towards {@link LOG_BYTES_CAP}. */
export const LOG_LINE_WEIGHT = 64;

/** Entries of one `fields`. */
export const FIELD_ENTRIES_CAP = 1024;
/** Names and values of one `fields`, bytes. */
export const FIELDS_BYTES_CAP = 128 * KIB;
/** Names and values of all `fields` of one invocation, bytes. */
export const ALL_FIELDS_BYTES_CAP = MIB;
/** Elements of one list given to `poll`; a handle may be named more than once. */
export const POLL_LIST_CAP = 16_384;
/** Outbound requests under way at once; one more answers `connection-limit-reached`. */
export const OUTBOUND_REQUESTS_CAP = 64;
/** Bytes that one output stream takes before its reader must go on; also the largest permit. */
export const OUTPUT_BUFFER_BYTES = 128 * KIB;
/** Bytes in all output streams of one invocation that nobody has taken yet. */
export const BUFFERED_BYTES_CAP = 8 * MIB;
/** `blocking-write-and-flush` and `blocking-write-zeroes-and-flush` take no more (wasi:io/streams). */
export const BLOCKING_WRITE_BYTES_CAP = 4096;
/** stdout and stderr of one invocation together; what comes after is dropped, with a line that says so. */
export const LOG_BYTES_CAP = 4 * MIB;
/** Bytes that one write of a preview 1 command to stdout or stderr takes; it writes the rest again. */
export const STANDARD_WRITE_BYTES_CAP = MIB;
/** All strings and lists that one call hands over, bytes: a list may name the same string a million times. */
export const TRANSFER_BYTES_CAP = 64 * MIB;
/** Random bytes of one call. */
export const RANDOM_BYTES_CAP = MIB;
/** Method, scheme and authority of an outbound request, characters each. */
export const OUTBOUND_PART_CHARS_CAP = 1024;
/** Of a message that a guest gives for an error, characters; the rest is cut off. */
export const ERROR_MESSAGE_CHARS_CAP = 4096;
/** Path and query of an outbound request, bytes. */
export const OUTBOUND_PATH_BYTES_CAP = 64 * KIB;
/** Blocking calls that need not wait which a guest may make before the thread looks after its other events. */
export const CALLS_WITHOUT_WAITING = 64;
/** Bytes in an instance's `/tmp`; less where a quarter of the function's memory limit is less. */
export const TMP_BYTES_CAP = 16 * MIB;
/** Files and folders in an instance's `/tmp`. */
export const TMP_ENTRIES_CAP = 4096;
/** Bytes that the tmp folders of all instances in one thread take together. */
export const TMP_BYTES_OF_A_THREAD_CAP = 256 * MIB;
/** One name in a path, UTF-8 bytes. */
export const FILE_NAME_BYTES_CAP = 255;
/** A whole path, UTF-8 bytes. */
export const FILE_PATH_BYTES_CAP = 4096;
/** Bytes that one read of a file gives. */
export const FILE_READ_BYTES_CAP = MIB;
