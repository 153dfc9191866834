/**
 * What a server sends on a connection that was upgraded, with an end that its client understands: a WebSocket is told
 * that the other side goes away (RFC 6455 section 7.4.1), so that it connects again instead of taking it for a fault.
 */
import { Transform, type TransformCallback } from 'node:stream';

/** A close frame of a server: 1001, going away. */
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

export class UpgradedStream extends Transform {
  /** null for a protocol that is not known here. */
  readonly #frames: FrameReader | null;
  #leaving = false;
  #over = false;

  /** @param protocol as the Upgrade header names it */
  constructor(protocol: string) {
    super();
    this.#frames = protocol.toLowerCase() === 'websocket' ? new FrameReader() : null;
  }

  /** Whether {@link goAway} would end the stream at once. */
  get mayLeave(): boolean {
    return !this.#over && this.#frames?.isBetween !== false;
  }

  /** Ends the stream where one message ends, and passes nothing on that comes later. */
  goAway(): void {
    if (this.#over || this.#leaving) return;
    this.#leaving = true;
    if (this.#frames === null || this.#frames.isBetween) this.#leave();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    if (this.#over) {
      callback();
      return;
    }
    const taken = this.#frames?.read(chunk, this.#leaving) ?? chunk.length;
    this.push(taken === chunk.length ? chunk : chunk.subarray(0, taken));
    if (this.#leaving && this.#frames?.isBetween !== false) this.#leave();
    callback();
  }

  override _flush(callback: TransformCallback): void {
    this.#over = true;
    callback();
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#frames !== null) this.push(GOING_AWAY);
    this.push(null);
  }
}

const LONG_LENGTH = 126;
const LONGER_LENGTH = 127;

/** Follows frames (RFC 6455 section 5.2) as far as is needed to know where one ends. */
class FrameReader {
  readonly #header = new Uint8Array(14);
  #headerBytes = 0;
  /** Of the payload that is still to come. */
  #payloadBytes = 0;

  /** Whether a frame may begin here. */
  get isBetween(): boolean {
    return this.#headerBytes === 0 && this.#payloadBytes === 0;
  }

  /** Reads the chunk, or as much of it as there is up to the end of a frame. @returns how many bytes */
  read(chunk: Uint8Array, toBoundary: boolean): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadBytes > 0) {
        const part = Math.min(this.#payloadBytes, chunk.length - at);
        this.#payloadBytes -= part;
        at += part;
      } else {
        this.#header[this.#headerBytes++] = chunk[at++] ?? 0;
        if (this.#headerBytes >= 2 && this.#headerBytes === this.#headerLength) this.#begin();
      }
      if (toBoundary && this.isBetween) break;
    }
    return at;
  }

  get #length(): number {
    return (this.#header[1] ?? 0) & 0x7f;
  }

  get #lengthBytes(): number {
    return this.#length === LONG_LENGTH ? 2 : this.#length === LONGER_LENGTH ? 8 : 0;
  }

  get #headerLength(): number {
    const isMasked = ((this.#header[1] ?? 0) & 0x80) !== 0;
    return 2 + this.#lengthBytes + (isMasked ? 4 : 0);
  }

  #begin(): void {
    const lengthBytes = this.#lengthBytes;
    let bytes = this.#length;
    if (lengthBytes > 0) {
      bytes = 0;
      for (let at = 2; at < 2 + lengthBytes; at++) bytes = bytes * 256 + (this.#header[at] ?? 0);
    }
    this.#payloadBytes = bytes;
    this.#headerBytes = 0;
  }
}
