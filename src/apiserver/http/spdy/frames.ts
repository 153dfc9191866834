/** SPDY/3.1 frames (draft-mbelshe-httpbis-spdy-00, section 2.2), as far as port forwarding needs them. */

export const FLAG_FIN = 1;

const VERSION = 3;

export const TYPE = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

export const STATUS = { protocolError: 1, refusedStream: 3, cancel: 5, internalError: 6 } as const;

/** A frame longer than this is refused: clients send 64 KiB at most. */
const FRAME_LIMIT_BYTES = 1024 * 1024;

export type Frame =
  | { readonly kind: 'data'; readonly stream: number; readonly flags: number; readonly payload: Buffer }
  | { readonly kind: 'control'; readonly type: number; readonly flags: number; readonly payload: Buffer };

const HEAD_BYTES = 8;

/** Cuts what arrives into frames. */
export class FrameParser {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that are whole by now. Throws where the peer speaks something else. */
  push(chunk: Buffer): Frame[] {
    let buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (buffer.length >= HEAD_BYTES) {
      const length = buffer.readUInt32BE(4) & 0xff_ff_ff;
      if (length > FRAME_LIMIT_BYTES) throw new Error(`a SPDY frame of ${length} bytes is too long`);
      if (buffer.length < HEAD_BYTES + length) break;
      frames.push(frameOf(buffer.subarray(0, HEAD_BYTES), buffer.subarray(HEAD_BYTES, HEAD_BYTES + length)));
      buffer = buffer.subarray(HEAD_BYTES + length);
    }
    this.#rest = buffer;
    return frames;
  }
}

function frameOf(head: Buffer, payload: Buffer): Frame {
  const first = head.readUInt32BE(0);
  const flags = head.readUInt8(4);
  if ((first & 0x80_00_00_00) === 0) return { kind: 'data', stream: first, flags, payload };
  const version = (first >>> 16) & 0x7f_ff;
  if (version !== VERSION) throw new Error(`SPDY version ${version} is not served, only 3`);
  return { kind: 'control', type: first & 0xff_ff, flags, payload };
}

export function dataFrame(stream: number, payload: Buffer, fin: boolean): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  frame.writeUInt32BE(stream, 0);
  frame.writeUInt32BE(payload.length, 4);
  frame.writeUInt8(fin ? FLAG_FIN : 0, 4);
  payload.copy(frame, HEAD_BYTES);
  return frame;
}

export function controlFrame(type: number, payload: Buffer, flags = 0): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  frame.writeUInt32BE((0x80_00_00_00 | (VERSION << 16) | type) >>> 0, 0);
  frame.writeUInt32BE(payload.length, 4);
  frame.writeUInt8(flags, 4);
  payload.copy(frame, HEAD_BYTES);
  return frame;
}

export function words(...values: readonly number[]): Buffer {
  const buffer = Buffer.allocUnsafe(4 * values.length);
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value >>> 0, 4 * index);
  return buffer;
}

/** The names and values of an inflated header block, names in lower case. Throws where it is cut short. */
export function readHeaders(block: Buffer): Map<string, string> {
  let at = 0;
  const number = (): number => {
    const value = block.readUInt32BE(at);
    at += 4;
    return value;
  };
  const text = (): string => {
    const length = number();
    if (at + length > block.length) throw new Error('a SPDY header block is cut short');
    at += length;
    return block.toString('utf8', at - length, at);
  };
  const headers = new Map<string, string>();
  for (let left = number(); left > 0; left--) headers.set(text().toLowerCase(), text());
  return headers;
}
