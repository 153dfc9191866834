/** What functions write, kept by function and request id, over restarts, up to a size. */
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LogFollower } from './log-follower.ts';
import { matches, type LogQuery } from './log-query.ts';
import { LogJournal, segmentNumber, type Segment } from './log-journal.ts';
import { checkName, cutLine, decodeLine, type LogLine } from './log-line.ts';

export interface LogStoreOptions {
  /** Made where it is missing, mode 0700; files in it are 0600. */
  readonly folder: string;
  /** @default 10 MiB */
  readonly perFunctionBytes?: number;
  /** Over all functions; the oldest segments go first. @default 512 MiB */
  readonly totalBytes?: number;
  /** Bytes of one function that may wait for the disk. @default 4 MiB */
  readonly pendingBytes?: number;
  /** Told when lines are dropped: the disk is full, or slower than the function writes (then without a cause). */
  readonly onDropped?: (event: {
    namespace: string;
    function: string;
    lines: number;
    cause: Error | null;
  }) => void;
}

const MIB = 1024 * 1024;
/** A log shrinks by a segment at a time: by a quarter. */
const SEGMENTS = 4;

export class LogStore {
  readonly #folder: string;
  readonly #perFunctionBytes: number;
  readonly #totalBytes: number;
  readonly #pendingBytes: number;
  readonly #onDropped: LogStoreOptions['onDropped'];
  readonly #journals = new Map<string, LogJournal>();
  readonly #followers = new Map<string, Set<LogFollower>>();
  /** Lines that came before the folder was read. */
  #early: LogLine[] = [];
  readonly #ready: Promise<void>;
  #isReady = false;
  #closed = false;
  #dropped = 0;
  /** Since the total was last looked at; not yet, at the start. */
  #writtenBytes = Number.POSITIVE_INFINITY;
  #trimming: Promise<void> | null = null;

  constructor(options: LogStoreOptions) {
    this.#folder = options.folder;
    this.#perFunctionBytes = options.perFunctionBytes ?? 10 * MIB;
    this.#totalBytes = options.totalBytes ?? 512 * MIB;
    this.#pendingBytes = options.pendingBytes ?? 4 * MIB;
    this.#onDropped = options.onDropped;
    this.#ready = this.#load();
  }

  /** Lines that could not be kept since the start. */
  get droppedLines(): number {
    return this.#dropped;
  }

  /**
   * Takes a line; it is on disk some milliseconds later. Never waits and never fails for the disk's sake: what
   * cannot be written is dropped and counted.
   * @throws FissiumError BAD_REQUEST for a name that is none
   */
  append(given: LogLine): void {
    if (this.#closed) return;
    checkName('namespace', given.namespace);
    checkName('function', given.function);
    const line = cutLine(given);
    if (this.#isReady) this.#journal(line.namespace, line.function).append(line);
    else if (this.#early.length < 10_000) this.#early.push(line);
    else this.#countDropped(line.namespace, line.function, 1, null);
    for (const follower of this.#followers.get(keyOf(line)) ?? []) follower.offer(line);
  }

  /** Lines so far, oldest first. Everything appended before the call is among them. */
  async read(query: LogQuery): Promise<LogLine[]> {
    checkName('namespace', query.namespace);
    checkName('function', query.function);
    await this.#ready;
    const journal = this.#journals.get(keyOf(query));
    return journal === undefined ? [] : readSegments(await journal.snapshot(), query);
  }

  /**
   * Lines so far and then those to come, none lost and none twice in between, until the signal aborts or the
   * store closes.
   */
  async *follow(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine> {
    checkName('namespace', query.namespace);
    checkName('function', query.function);
    await this.#ready;
    if (signal.aborted || this.#closed) return;
    const key = keyOf(query);
    const follower = new LogFollower(query, signal);
    const followers = this.#followers.get(key) ?? new Set();
    // In one turn: what is appended from here on goes to the follower and not into the snapshot.
    followers.add(follower);
    this.#followers.set(key, followers);
    const snapshot = this.#journals.get(key)?.snapshot() ?? Promise.resolve([]);
    try {
      yield* await readSegments(await snapshot, query);
      yield* follower.lines();
    } finally {
      follower.close();
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(key) === followers) this.#followers.delete(key);
    }
  }

  /** Forgets a function's log. */
  async remove(namespace: string, functionName: string): Promise<void> {
    checkName('namespace', namespace);
    checkName('function', functionName);
    await this.#ready;
    const key = keyOf({ namespace, function: functionName });
    const journal = this.#journals.get(key);
    this.#journals.delete(key);
    await journal?.flush();
    await rm(join(this.#folder, namespace, functionName), { recursive: true, force: true });
  }

  /** Writes what waits and ends all followers. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#ready;
    for (const followers of this.#followers.values()) for (const follower of followers) follower.close();
    await Promise.all([...this.#journals.values()].map((journal) => journal.flush()));
    await this.#trimming;
  }

  #journal(namespace: string, functionName: string, segments: Segment[] = []): LogJournal {
    const key = keyOf({ namespace, function: functionName });
    const known = this.#journals.get(key);
    if (known !== undefined) return known;
    const made = new LogJournal({
      namespace,
      function: functionName,
      folder: join(this.#folder, namespace, functionName),
      segments,
      segmentBytes: Math.ceil(this.#perFunctionBytes / SEGMENTS),
      totalBytes: this.#perFunctionBytes,
      pendingBytes: this.#pendingBytes,
      onDropped: (lines, cause) => this.#countDropped(namespace, functionName, lines, cause),
      onWritten: (bytes) => this.#noteWritten(bytes),
    });
    this.#journals.set(key, made);
    return made;
  }

  #countDropped(namespace: string, functionName: string, lines: number, cause: Error | null): void {
    this.#dropped += lines;
    this.#onDropped?.({ namespace, function: functionName, lines, cause });
  }

  /** Looks at the total only now and then: it passes over all functions. */
  #noteWritten(bytes: number): void {
    this.#writtenBytes += bytes;
    if (this.#writtenBytes < this.#totalBytes / 64) return;
    this.#writtenBytes = 0;
    this.#trimming ??= this.#trim().finally(() => {
      this.#trimming = null;
    });
  }

  /** Keeps the total: the segment that was longest not written to goes first. */
  async #trim(): Promise<void> {
    for (;;) {
      let total = 0;
      let oldest: { journal: LogJournal; lastMs: number } | null = null;
      for (const journal of this.#journals.values()) {
        for (const segment of journal.segments) total += segment.bytes;
        const [first] = journal.segments;
        if (first !== undefined && (oldest === null || first.lastMs < oldest.lastMs)) {
          oldest = { journal, lastMs: first.lastMs };
        }
      }
      if (total <= this.#totalBytes || oldest === null) return;
      await oldest.journal.dropOldest(true);
    }
  }

  async #load(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      for (const namespace of await names(this.#folder)) {
        for (const functionName of await names(join(this.#folder, namespace))) {
          const segments = await readSegmentList(join(this.#folder, namespace, functionName));
          if (segments.length > 0) this.#journal(namespace, functionName, segments);
        }
      }
    } catch (thrown) {
      // Old lines are unreadable then; new ones are tried, and counted where they cannot be written.
      this.#onDropped?.({
        namespace: '',
        function: '',
        lines: 0,
        cause: thrown instanceof Error ? thrown : new Error(String(thrown)),
      });
    }
    this.#isReady = true;
    for (const line of this.#early) this.#journal(line.namespace, line.function).append(line);
    this.#early = [];
  }
}

function keyOf(line: { readonly namespace: string; readonly function: string }): string {
  return `${line.namespace}/${line.function}`;
}

async function names(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.flatMap((entry) => {
    try {
      checkName('namespace', entry.name);
    } catch {
      return [];
    }
    return entry.isDirectory() ? [entry.name] : [];
  });
}

async function readSegmentList(folder: string): Promise<Segment[]> {
  const files = (await readdir(folder)).filter((name) => /^\d{8}\.jsonl$/.test(name));
  files.sort((a, b) => segmentNumber(a) - segmentNumber(b));
  return Promise.all(
    files.map(async (name): Promise<Segment> => {
      const file = join(folder, name);
      const { size, mtimeMs } = await stat(file);
      return { file, bytes: size, lastMs: mtimeMs };
    }),
  );
}

/** Newest first on disk, so that a short tail reads one segment; oldest first in the result. */
async function readSegments(
  segments: readonly { readonly file: string; readonly bytes: number }[],
  query: LogQuery,
): Promise<LogLine[]> {
  const wanted = query.tail ?? Number.POSITIVE_INFINITY;
  const batches: LogLine[][] = [];
  let found = 0;
  for (const { file, bytes } of segments.toReversed()) {
    if (found >= wanted) break;
    const text = await readStart(file, bytes);
    const lines: LogLine[] = [];
    for (const stored of text.split('\n')) {
      const line = stored === '' ? null : decodeLine(stored, query.namespace, query.function);
      if (line !== null && matches(line, query)) lines.push(line);
    }
    found += lines.length;
    batches.unshift(lines);
  }
  const all = batches.flat();
  return found > wanted ? all.slice(found - wanted) : all;
}

/** The file's first bytes; '' where it was dropped meanwhile. */
async function readStart(file: string, bytes: number): Promise<string> {
  try {
    const handle = await open(file, 'r');
    try {
      const buffer = Buffer.alloc(bytes);
      let at = 0;
      while (at < bytes) {
        const { bytesRead } = await handle.read(buffer, at, bytes - at, at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return buffer.toString('utf8', 0, at);
    } finally {
      await handle.close();
    }
  } catch {
    return '';
  }
}
