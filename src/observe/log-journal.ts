/**
 * One function's log on disk: numbered segments of JSON lines, appended to in batches. Everything that touches
 * the files runs in one chain, so that a snapshot stands exactly between two batches.
 */
import { appendFile, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeLine, type LogLine } from './log-line.ts';

export interface Segment {
  readonly file: string;
  bytes: number;
  /** When it was last written to. */
  lastMs: number;
}

export interface JournalOptions {
  readonly namespace: string;
  readonly function: string;
  readonly folder: string;
  /** Oldest first, from an earlier process. */
  readonly segments: Segment[];
  readonly segmentBytes: number;
  readonly totalBytes: number;
  /** Bytes that may wait for the disk before lines are dropped. */
  readonly pendingBytes: number;
  onDropped(lines: number, cause: Error | null): void;
  onWritten(bytes: number): void;
}

const BATCH_DELAY_MS = 20;

export class LogJournal {
  readonly #options: JournalOptions;
  readonly #segments: Segment[];
  #pending: string[] = [];
  #pendingBytes = 0;
  /** Lines dropped since the last that was written; reported in the log itself once it can be. */
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #chain: Promise<void> = Promise.resolve();
  /** Whether the newest segment may end in the middle of a line. */
  #torn: boolean | null = null;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#segments = options.segments;
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  append(line: LogLine): void {
    const encoded = encodeLine(line);
    if (this.#pendingBytes + encoded.length > this.#options.pendingBytes) {
      this.#dropped += 1;
      this.#options.onDropped(1, null);
      return;
    }
    this.#pending.push(encoded);
    this.#pendingBytes += encoded.length;
    this.#timer ??= setTimeout(() => void this.flush(), BATCH_DELAY_MS);
  }

  /** Resolves when everything appended before is written, or dropped. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#pending;
    this.#pending = [];
    if (batch.length === 0) return this.#chain;
    return this.#enqueue(() => this.#write(batch));
  }

  /** What is on disk of the lines appended before this call, and nothing that is appended after it. */
  async snapshot(): Promise<{ file: string; bytes: number }[]> {
    void this.flush();
    let taken: { file: string; bytes: number }[] = [];
    await this.#enqueue(() => {
      taken = this.#segments.map(({ file, bytes }) => ({ file, bytes }));
      return Promise.resolve();
    });
    return taken;
  }

  /** Removes the oldest segment; the one being written to only when `all` says so. */
  dropOldest(all: boolean): Promise<void> {
    return this.#enqueue(() => this.#dropOldest(all));
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#chain = this.#chain.then(work);
    return this.#chain;
  }

  async #write(batch: readonly string[]): Promise<void> {
    const notice = this.#notice();
    const data = Buffer.from(notice + batch.join(''));
    this.#pendingBytes -= batch.reduce((sum, line) => sum + line.length, 0);
    try {
      const segment = await this.#writable();
      const start = (await this.#isTorn(segment)) ? '\n' : '';
      this.#torn = true;
      await appendFile(segment.file, start === '' ? data : Buffer.concat([Buffer.from(start), data]), {
        mode: 0o600,
      });
      this.#torn = false;
      segment.bytes += data.length + start.length;
      segment.lastMs = Date.now();
      if (notice !== '') this.#dropped = 0;
      await this.#shrink();
      this.#options.onWritten(data.length);
    } catch (thrown) {
      this.#dropped += batch.length;
      this.#options.onDropped(batch.length, thrown instanceof Error ? thrown : new Error(String(thrown)));
      await this.#measureNewest();
    }
  }

  #notice(): string {
    if (this.#dropped === 0) return '';
    const { namespace, function: name } = this.#options;
    return encodeLine({
      namespace,
      function: name,
      requestId: '',
      stream: 'platform',
      line: `${this.#dropped} lines before this one were lost: the disk was full or too slow.`,
      timeMs: Date.now(),
    });
  }

  async #writable(): Promise<Segment> {
    const newest = this.#segments.at(-1);
    if (newest !== undefined && newest.bytes < this.#options.segmentBytes) return newest;
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
    const last = newest === undefined ? 0 : segmentNumber(newest.file);
    const made: Segment = {
      file: join(this.#options.folder, `${String(last + 1).padStart(8, '0')}.jsonl`),
      bytes: 0,
      lastMs: Date.now(),
    };
    this.#segments.push(made);
    this.#torn = false;
    return made;
  }

  /** After a start, or a write that failed, a segment may end without a line end. */
  async #isTorn(segment: Segment): Promise<boolean> {
    if (this.#torn === false || segment.bytes === 0) return false;
    const handle = await open(segment.file, 'r');
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(1), 0, 1, segment.bytes - 1);
      return bytesRead === 1 && buffer[0] !== 0x0a;
    } finally {
      await handle.close();
    }
  }

  /** How much of a failed write arrived. */
  async #measureNewest(): Promise<void> {
    const newest = this.#segments.at(-1);
    if (newest === undefined) return;
    try {
      const handle = await open(newest.file, 'r');
      try {
        newest.bytes = (await handle.stat()).size;
      } finally {
        await handle.close();
      }
    } catch {
      newest.bytes = 0;
    }
  }

  async #shrink(): Promise<void> {
    while (this.#segments.length > 1 && total(this.#segments) > this.#options.totalBytes) {
      await this.#dropOldest(false);
    }
  }

  async #dropOldest(all: boolean): Promise<void> {
    if (this.#segments.length <= (all ? 0 : 1)) return;
    const oldest = this.#segments.shift();
    if (oldest === undefined) return;
    // One that cannot be removed is forgotten all the same: it counts again after a restart.
    await rm(oldest.file, { force: true }).catch(() => undefined);
  }
}

export function segmentNumber(file: string): number {
  return Number(/(\d+)\.jsonl$/.exec(file)?.[1] ?? 0);
}

function total(segments: readonly Segment[]): number {
  return segments.reduce((sum, { bytes }) => sum + bytes, 0);
}
