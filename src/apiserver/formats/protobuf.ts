/**
 * Bodies of `application/vnd.kubernetes.protobuf`: kubectl sends them for `create configmap|secret|namespace`
 * and `auth can-i` and does not fall back to JSON. Only decoding: answers are always JSON.
 */
import { ProtobufError } from './format-error.ts';
import { isJsonObject, ownString, ownValue, setOwn } from './json.ts';
import type { JsonObject } from './json.ts';
import { WIRE, WireReader } from './protobuf-reader.ts';
import { MESSAGES, TYPE_META } from './protobuf-tables.ts';
import type { FieldDefinition, MessageDefinition, ScalarType } from './protobuf-tables.ts';

export const PROTOBUF_MEDIA_TYPE = 'application/vnd.kubernetes.protobuf';

/** `k8s` and a zero byte: what every such body begins with. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00];

/** Kinds that {@link decodeProtobuf} takes, as `apiVersion/kind`. */
export function protobufKinds(): readonly string[] {
  return [...MESSAGES.keys()];
}

/**
 * The object that the body holds, as its JSON would be: with `apiVersion` and `kind`, bytes in base64, times
 * in RFC 3339, zero values left out. managedFields and fields that no table names are dropped.
 * @throws ProtobufError 400 where the bytes do not decode, 415 for a kind that has no table
 */
export function decodeProtobuf(body: Uint8Array): JsonObject {
  if (MAGIC.some((byte, index) => body[index] !== byte)) {
    const seen = Buffer.from(body.subarray(0, 4)).toString('hex');
    throw new ProtobufError(
      400,
      `protobuf body: it begins with ${seen || 'nothing'}, not with 6b387300 ("k8s\\0")`,
    );
  }
  const { apiVersion, kind, raw } = readEnvelope(body.subarray(MAGIC.length));
  const definition = MESSAGES.get(`${apiVersion}/${kind}`);
  if (definition === undefined) {
    throw new ProtobufError(
      415,
      `no protobuf decoder for ${apiVersion || '(no apiVersion)'} ${kind || '(no kind)'}; send application/json. Known: ${protobufKinds().join(', ')}`,
    );
  }
  const object: JsonObject = { apiVersion, kind };
  readMessage(new WireReader(raw), definition, object);
  return object;
}

function readEnvelope(bytes: Uint8Array): { apiVersion: string; kind: string; raw: Uint8Array } {
  const reader = new WireReader(bytes);
  const typeMeta: JsonObject = {};
  let raw: Uint8Array | undefined;
  let encoding = '';
  while (!reader.done) {
    const { field, wire } = reader.tag();
    if (field === 1 && wire === WIRE.bytes) readMessage(new WireReader(reader.bytes()), TYPE_META, typeMeta);
    else if (field === 2 && wire === WIRE.bytes) raw = reader.bytes();
    else if (field === 3 && wire === WIRE.bytes) encoding = reader.string();
    else reader.skip(wire);
  }
  if (raw === undefined) throw new ProtobufError(400, 'protobuf body: the envelope holds no object');
  if (encoding !== '')
    throw new ProtobufError(415, `protobuf body: the content encoding '${encoding}' is not supported`);
  return { apiVersion: ownString(typeMeta, 'apiVersion'), kind: ownString(typeMeta, 'kind'), raw };
}

function readMessage(reader: WireReader, definition: MessageDefinition, into: JsonObject): void {
  while (!reader.done) {
    const { field, wire } = reader.tag();
    const known = definition[field];
    if (known === undefined) reader.skip(wire);
    else readField(reader, wire, known, into);
  }
}

function readField(reader: WireReader, wire: number, field: FieldDefinition, into: JsonObject): void {
  const { name, type } = field;
  const isVarint = type === 'int' || type === 'optionalInt' || type === 'bool' || type === 'optionalBool';
  const wanted = isVarint ? WIRE.varint : WIRE.bytes;
  if (wire !== wanted) {
    throw new ProtobufError(400, `protobuf body: '${name}' has the wire type ${wire} instead of ${wanted}`);
  }
  if (typeof type === 'object') {
    // A message that is sent in pieces is merged, says the format; a repeated one begins anew each time.
    const existing = field.repeated ? undefined : ownValue(into, name);
    const message = isJsonObject(existing) ? existing : {};
    readMessage(new WireReader(reader.bytes()), type, message);
    store(into, field, message);
  } else if (type === 'stringMap' || type === 'bytesMap') {
    const existing = ownValue(into, name);
    const map = isJsonObject(existing) ? existing : {};
    const entry: JsonObject = {};
    const valueType = type === 'bytesMap' ? 'bytes' : 'optionalString';
    readMessage(new WireReader(reader.bytes()), MAP_ENTRIES[valueType], entry);
    setOwn(map, ownString(entry, 'key'), entry.value ?? '');
    into[name] = map;
  } else {
    const value = readScalar(reader, name, type);
    if (field.repeated || value !== undefined) store(into, field, value ?? '');
    else delete into[name];
  }
}

const MAP_ENTRIES = {
  optionalString: { 1: { name: 'key', type: 'string' }, 2: { name: 'value', type: 'optionalString' } },
  bytes: { 1: { name: 'key', type: 'string' }, 2: { name: 'value', type: 'bytes' } },
} as const satisfies Record<string, MessageDefinition>;

function store(into: JsonObject, field: FieldDefinition, value: unknown): void {
  const list = ownValue(into, field.name);
  if (!field.repeated) into[field.name] = value;
  else if (Array.isArray(list)) list.push(value);
  else into[field.name] = [value];
}

/** The value as JSON has it, or undefined where JSON would leave it out. */
function readScalar(
  reader: WireReader,
  name: string,
  type: Exclude<ScalarType, 'stringMap' | 'bytesMap'>,
): unknown {
  switch (type) {
    case 'string':
      return reader.string() || undefined;
    case 'optionalString':
      return reader.string();
    case 'int':
      return readInteger(reader, name) || undefined;
    case 'optionalInt':
      return readInteger(reader, name);
    case 'bool':
      return reader.varint() !== 0n || undefined;
    case 'optionalBool':
      return reader.varint() !== 0n;
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'time':
    case 'microTime':
      return readTime(new WireReader(reader.bytes()), name, type);
  }
}

function readInteger(reader: WireReader, name: string): number {
  const value = Number(reader.int64());
  if (!Number.isSafeInteger(value)) {
    throw new ProtobufError(
      400,
      `protobuf body: '${name}' is ${value}, more than JSON can hold exactly (2^53)`,
    );
  }
  return value;
}

/** `Time` and `MicroTime`: seconds (1) since 1970 and nanoseconds (2), all zero for a time that is not set. */
function readTime(reader: WireReader, name: string, type: 'time' | 'microTime'): string | undefined {
  let seconds = 0n;
  let nanos = 0n;
  while (!reader.done) {
    const { field, wire } = reader.tag();
    if (wire === WIRE.varint && field === 1) seconds = reader.int64();
    else if (wire === WIRE.varint && field === 2) nanos = reader.int64();
    else reader.skip(wire);
  }
  if (seconds === 0n && nanos === 0n) return undefined;
  // The years 1 to 9999, which is what RFC 3339 can write.
  if (seconds < -62_135_596_800n || seconds > 253_402_300_799n || nanos < 0n || nanos > 999_999_999n) {
    throw new ProtobufError(400, `protobuf body: '${name}' is no time: ${seconds} s and ${nanos} ns`);
  }
  const base = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return type === 'time' ? `${base}Z` : `${base}.${String(nanos / 1000n).padStart(6, '0')}Z`;
}
