/** Reading and writing the primitives of the binary format (core spec 5.2: bytes, LEB128, names). */
import { RewriteDeclined } from './declined.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A cursor over part of a module. Every read is checked against `end`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    const value = this.at < this.end ? this.bytes[this.at] : undefined;
    if (value === undefined) throw new RewriteDeclined('malformed', 'the module ends too early', this.at);
    this.at++;
    return value;
  }

  /** Unsigned LEB128 of at most 32 bits. */
  u32(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const next = this.byte();
      // Not `<<`: the fifth byte reaches bit 31, where JavaScript's shifts turn negative.
      result += (next & 0x7f) * 2 ** shift;
      if (next < 0x80) {
        if (result > 0xffff_ffff) throw this.#tooLong();
        return result;
      }
    }
    throw this.#tooLong();
  }

  /** Unsigned LEB128 of at most 64 bits; exact below 2^53, which page counts and offsets that matter are. */
  u64(): number {
    let result = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const next = this.byte();
      result += (next & 0x7f) * 2 ** shift;
      if (next < 0x80) return result;
    }
    throw this.#tooLong();
  }

  /** Passes over a LEB128 of any sign with at most `bits` bits. */
  skipLeb(bits: number): void {
    const limit = this.at + Math.ceil(bits / 7);
    while (this.at < limit) if (this.byte() < 0x80) return;
    throw this.#tooLong();
  }

  skip(count: number): void {
    if (count > this.end - this.at)
      throw new RewriteDeclined('malformed', 'the module ends too early', this.at);
    this.at += count;
  }

  name(): string {
    const length = this.u32();
    const start = this.at;
    this.skip(length);
    try {
      return decoder.decode(this.bytes.subarray(start, this.at));
    } catch {
      throw new RewriteDeclined('malformed', 'a name is not UTF-8', start);
    }
  }

  #tooLong(): RewriteDeclined {
    return new RewriteDeclined('malformed', 'a number is too long', this.at);
  }
}

/** A buffer that grows as it is written. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 1024) {
    this.#bytes = new Uint8Array(Math.max(capacity, 16));
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    let left = value;
    while (left >= 0x80) {
      this.byte((left % 0x80) | 0x80);
      left = Math.floor(left / 0x80);
    }
    this.byte(left);
  }

  copy(source: Uint8Array, start = 0, end: number = source.length): void {
    const count = end - start;
    if (count <= 0) return;
    if (this.#length + count > this.#bytes.length) this.#grow(count);
    if (count < 24) {
      // `set(subarray())` makes an object; most runs between two changed instructions are this short.
      for (let at = start, to = this.#length; at < end; at++, to++) this.#bytes[to] = source[at] ?? 0;
    } else {
      this.#bytes.set(source.subarray(start, end), this.#length);
    }
    this.#length += count;
  }

  name(text: string): void {
    const encoded = new TextEncoder().encode(text);
    this.u32(encoded.length);
    this.copy(encoded);
  }

  /** Puts bytes in at an earlier position and moves what is behind it. */
  insert(at: number, source: Uint8Array): void {
    const end = this.#length;
    this.copy(source);
    this.#bytes.copyWithin(at + source.length, at, end);
    this.#bytes.set(source, at);
  }

  /** What was written so far; valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + needed));
    larger.set(this.view());
    this.#bytes = larger;
  }
}
