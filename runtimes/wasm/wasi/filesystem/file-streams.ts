/** Streams over files. Nothing in memory has to be waited for: they are always ready. */
import { FILE_READ_BYTES_CAP, OUTPUT_BUFFER_BYTES } from '../limits.ts';
import type { StreamFailure } from '../io-error.ts';
import { ALWAYS_READY, type Disarm } from '../readiness.ts';
import type { InputSource, OutputSink } from '../streams.ts';
import type { FilesystemErrorCode } from './error-code.ts';
import { TmpFile } from './tmp-tree.ts';
import type { FileNode } from './volume.ts';

/** Reads a file from an offset on; ends where the file does. */
export class FileSource implements InputSource {
  readonly #file: FileNode;
  #offset: number;

  constructor(file: FileNode, offset: number) {
    this.#file = file;
    this.#offset = offset;
    if (file instanceof TmpFile) file.hold(1);
  }

  get ended(): boolean {
    return this.#offset >= this.#file.size;
  }

  isReady(): boolean {
    return true;
  }

  arm(wake: () => void): Disarm {
    return ALWAYS_READY.arm(wake);
  }

  takeFailure(): null {
    return null;
  }

  /** A copy: it may go on to a client while the file is written to, and shared memory cannot leave its thread. */
  take(maxBytes: number): Uint8Array {
    const bytes = this.#file.read(this.#offset, Math.min(maxBytes, FILE_READ_BYTES_CAP)).slice();
    this.#offset += bytes.byteLength;
    return bytes;
  }

  dropped(): void {
    if (this.#file instanceof TmpFile) this.#file.hold(-1);
  }
}

/** Writes to a file: from an offset on, or always at its end. Closed by the first write that fails. */
export class FileSink implements OutputSink {
  readonly #file: TmpFile;
  /** Null: at the end, wherever that is then. */
  #offset: number | null;
  #failure: StreamFailure | null = null;
  #closed = false;

  constructor(file: TmpFile, offset: number | null) {
    this.#file = file;
    this.#offset = offset;
    file.hold(1);
  }

  isReady(): boolean {
    return true;
  }

  arm(wake: () => void): Disarm {
    return ALWAYS_READY.arm(wake);
  }

  room(): number | null {
    return this.#closed ? null : OUTPUT_BUFFER_BYTES;
  }

  takeFailure(): StreamFailure | null {
    const failure = this.#failure;
    this.#failure = null;
    return failure;
  }

  write(chunk: Uint8Array): void {
    const problem = this.#file.write(this.#offset ?? this.#file.size, chunk);
    if (problem === null) {
      if (this.#offset !== null) this.#offset += chunk.byteLength;
      return;
    }
    this.#closed = true;
    this.#failure = writeFailure(problem);
  }

  dropped(): void {
    this.#file.hold(-1);
  }
}

function writeFailure(filesystemErrorCode: FilesystemErrorCode): StreamFailure {
  const message =
    filesystemErrorCode === 'quota'
      ? 'the file would make /tmp larger than the function may have it'
      : 'there is no memory left for files in /tmp';
  return { message, filesystemErrorCode };
}
