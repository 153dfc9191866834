/** Reading a stream chunk by chunk, no faster than asked. */
import type { Readable } from 'node:stream';

/** The next chunk of a stream, or null at its end; rejects when it fails. */
export async function nextChunk(stream: Readable): Promise<Uint8Array<ArrayBuffer> | null> {
  for (;;) {
    const chunk: unknown = stream.read();
    if (chunk !== null) return chunk as Uint8Array<ArrayBuffer>;
    if (stream.readableEnded || (stream.destroyed && !stream.errored)) return null;
    if (stream.errored) throw stream.errored;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        for (const event of ['readable', 'end', 'close', 'error'] as const)
          stream.removeListener(event, settle);
        resolve();
      };
      for (const event of ['readable', 'end', 'close', 'error'] as const) stream.once(event, settle);
    });
  }
}
