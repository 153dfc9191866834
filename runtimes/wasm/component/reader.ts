/** Reads the primitive encodings of the Wasm binary format (core specification, section 5.2). */

/** The binary is not what the specification allows; the message names the offset. */
export class DecodeError extends Error {
  constructor(message: string, offset: number) {
    super(`${message} at byte ${offset}`);
    this.name = 'DecodeError';
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

export class Reader {
  readonly bytes: Uint8Array;
  readonly end: number;
  offset: number;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.byteLength) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  get done(): boolean {
    return this.offset >= this.end;
  }

  fail(message: string): never {
    throw new DecodeError(message, this.offset);
  }

  byte(): number {
    const value = this.offset < this.end ? this.bytes[this.offset] : undefined;
    if (value === undefined) this.fail('unexpected end');
    this.offset++;
    return value;
  }

  peek(): number {
    const value = this.offset < this.end ? this.bytes[this.offset] : undefined;
    return value ?? this.fail('unexpected end');
  }

  /** LEB128, unsigned, 32 bits. */
  u32(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) this.fail('integer too large');
      result += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return result;
    }
    return this.fail('integer representation too long');
  }

  /** LEB128, signed, 33 bits: how type indices are told from type opcodes. */
  s33(): number {
    let result = 0n;
    let shift = 0n;
    for (;;) {
      const byte = this.byte();
      result |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return Number(BigInt.asIntN(Number(shift), result));
      if (shift > 33n) this.fail('integer representation too long');
    }
  }

  /** `n` bytes, not copied. */
  take(n: number): Uint8Array {
    if (n > this.end - this.offset)
      this.fail(`unexpected end: ${n} bytes wanted, ${this.end - this.offset} left`);
    const from = this.offset;
    this.offset += n;
    return this.bytes.subarray(from, this.offset);
  }

  name(): string {
    const length = this.u32();
    try {
      return utf8.decode(this.take(length));
    } catch (error) {
      if (error instanceof DecodeError) throw error;
      return this.fail('name is not UTF-8');
    }
  }

  /** A vector: its length, then its items. */
  vec<T>(item: () => T): T[] {
    const length = this.u32();
    // Each item takes at least one byte: a length beyond what is left is refused before anything is allocated.
    if (length > this.end - this.offset) this.fail(`vector of ${length} items is longer than its section`);
    const items: T[] = [];
    for (let i = 0; i < length; i++) items.push(item());
    return items;
  }

  /** A reader of the bytes from `start` to `end`. */
  between(start: number, end: number): Reader {
    return new Reader(this.bytes, start, end);
  }

  /** A reader of the same bytes from their start, for one that was never advanced. */
  restart(): Reader {
    return new Reader(this.bytes, this.offset, this.end);
  }

  /** A reader of the next `n` bytes, which this one skips. */
  slice(n: number): Reader {
    const from = this.offset;
    this.take(n);
    return new Reader(this.bytes, from, from + n);
  }
}
