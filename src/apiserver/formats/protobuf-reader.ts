/** The protobuf wire format (encoding.md of protobuf.dev), read with every length checked against the buffer. */
import { ProtobufError } from './format-error.ts';

/** The wire types that exist today; groups (3, 4) are refused. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const MAX_VARINT_BYTES = 10;

/** Reads one message; each call moves on or throws a ProtobufError, so a loop until `done` always ends. */
export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The next field's number and wire type. */
  tag(): { field: number; wire: number } {
    const tag = this.varint();
    const field = Number(tag >> 3n);
    if (field < 1 || field > 0x1fff_ffff) throw this.#error(`the field number ${field} is out of range`);
    return { field, wire: Number(tag & 7n) };
  }

  /** An unsigned 64-bit varint. */
  varint(): bigint {
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw this.#error('the body ends within a varint');
      this.#at += 1;
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) {
        if (value > 0xffff_ffff_ffff_ffffn) throw this.#error('a varint is over 64 bits');
        return value;
      }
    }
    throw this.#error(`a varint is longer than ${MAX_VARINT_BYTES} bytes`);
  }

  /** A signed 64-bit integer; negative ones are ten bytes long, in two's complement. */
  int64(): bigint {
    return BigInt.asIntN(64, this.varint());
  }

  /** A view of the next length-delimited field. */
  bytes(): Uint8Array {
    const length = this.varint();
    const left = this.#bytes.length - this.#at;
    if (length > BigInt(left))
      throw this.#error(`a length of ${length} is beyond the ${left} bytes that are left`);
    const from = this.#at;
    this.#at += Number(length);
    return this.#bytes.subarray(from, this.#at);
  }

  string(): string {
    const from = this.#at;
    try {
      return utf8.decode(this.bytes());
    } catch (thrown) {
      if (thrown instanceof ProtobufError) throw thrown;
      throw new ProtobufError(400, `protobuf body: the string at offset ${from} of its message is not UTF-8`);
    }
  }

  /** Passes over a field that no table names. */
  skip(wire: number): void {
    switch (wire) {
      case WIRE.varint:
        this.varint();
        return;
      case WIRE.bytes:
        this.bytes();
        return;
      case WIRE.fixed64:
      case WIRE.fixed32: {
        const size = wire === WIRE.fixed64 ? 8 : 4;
        if (this.#bytes.length - this.#at < size)
          throw this.#error('the body ends within a fixed-size number');
        this.#at += size;
        return;
      }
      default:
        throw this.#error(`the wire type ${wire} is not supported`);
    }
  }

  #error(message: string): ProtobufError {
    return new ProtobufError(400, `protobuf body: ${message} (offset ${this.#at} of its message)`);
  }
}
