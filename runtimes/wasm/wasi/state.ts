/** Everything the host knows about one invocation. Each resource holds it; nothing about a guest is global. */
import { FissiumError } from '../../../src/errors.ts';
import type { GuestGrants, GuestLimits, InvocationContext } from '../engine.ts';
import type { Egress } from './egress.ts';
import { GuestVolume, tmpQuotaBytes } from './filesystem/volume.ts';
import { hostBytes } from './host-bytes.ts';
import { Answer } from './http/answer.ts';
import {
  ALL_FIELDS_BYTES_CAP,
  BUFFERED_BYTES_CAP,
  CALLS_WITHOUT_WAITING,
  HANDLE_CAPS,
  HANDLE_WEIGHT,
  HOST_BYTES_CAP,
  HOST_BYTES_FREE,
  HOST_BYTES_STEP,
  LOG_BYTES_CAP,
  LOG_LINE_WEIGHT,
  type ResourceKind,
} from './limits.ts';
import type { Disarm, Readiness } from './readiness.ts';
import { GuestEnded, GuestExit, GuestTrap, type AnyGuestStop } from './stops.ts';

/** One for all: an error takes longer to make than most requests take in the host. */
const RETURNED = new GuestEnded(new Error('the function has returned'));
const NOT_AT_ONCE = new GuestEnded(new Error('the function is run again, so that it can wait'));

/** Live handles by kind. A literal: it is copied faster than a map is filled. */
function noHandles(): Record<ResourceKind, number> {
  return {
    'io-error': 0,
    pollable: 0,
    'input-stream': 0,
    'output-stream': 0,
    fields: 0,
    'incoming-request': 0,
    'response-outparam': 0,
    'incoming-body': 0,
    'future-trailers': 0,
    'outgoing-response': 0,
    'outgoing-request': 0,
    'outgoing-body': 0,
    'request-options': 0,
    'future-incoming-response': 0,
    'incoming-response': 0,
    network: 0,
    descriptor: 0,
    'directory-entry-stream': 0,
  };
}

export interface GuestStateOptions {
  readonly context: InvocationContext;
  readonly grants: GuestGrants;
  readonly limits: GuestLimits;
  readonly egress: Egress;
}

export class GuestState {
  readonly context: InvocationContext;
  readonly grants: GuestGrants;
  readonly limits: GuestLimits;
  readonly egress: Egress;
  readonly answer: Answer;
  readonly #handles = noHandles();
  #volume: GuestVolume | null = null;
  /** Made when somebody asks to be told. */
  #atEnd: Set<() => void> | null = null;
  readonly #onAbort: () => void;
  #stop: AnyGuestStop | null = null;
  #closed = false;
  #ended = false;
  /** Everything that the host holds for this invocation, weighted. */
  #hostBytes = 0;
  /** What it may hold before it has to ask for more. */
  #grantedBytes = HOST_BYTES_FREE;
  #fieldBytes = 0;
  #bufferedBytes = 0;
  #logBytes = 0;
  #logCut = false;
  #outbound = 0;
  #callsWithoutWaiting = 0;
  #tookTime = false;

  constructor(options: GuestStateOptions) {
    this.context = options.context;
    this.grants = options.grants;
    this.limits = options.limits;
    this.egress = options.egress;
    this.answer = new Answer(this);
    const { signal } = options.context;
    this.#onAbort = () => this.end(signal.reason);
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Itself: see `StateSource` in `imports.ts`. */
  get state(): this {
    return this;
  }

  /** The guest's files; made when it asks for them first. */
  get volume(): GuestVolume {
    this.#volume ??= new GuestVolume(this.grants.files, tmpQuotaBytes(this.limits.memoryBytes), () =>
      this.takeTime(),
    );
    return this.#volume;
  }

  /** The files of an instance that keeps its state, left by the invocation before; closed with this one. */
  takeVolume(volume: GuestVolume): void {
    this.#volume = volume;
  }

  /** The files for the next invocation of the same instance, if any were made; whoever takes them closes them. */
  giveVolume(): GuestVolume | null {
    const volume = this.#volume;
    this.#volume = null;
    return volume;
  }

  /** Why the guest may not go on, or null. */
  get stop(): AnyGuestStop | null {
    return this.#stop;
  }

  /** First in each function that a guest can call: a stopped guest gets nothing more, whatever it catches. */
  check(): void {
    if (this.#stop) throw this.#stop;
  }

  /** Ends the guest for what it did. */
  trap(message: string): never {
    this.#stop ??= new GuestTrap(message);
    throw this.#stop;
  }

  /** Whether the guest waited, or did what cannot be taken back: it could not have been run at once. */
  get tookTime(): boolean {
    return this.#tookTime;
  }

  /**
   * First in whatever takes time, cannot be taken back, or changes what is not the invocation's alone. A guest that is
   * run at once or not at all (`handleAtOnce` in `engine.ts`) ends here, and is run again. Its host functions are on its
   * own stack: where it has left too little of that, they are cut short wherever they are. So below such a guest nothing
   * is changed that outlives it.
   */
  takeTime(): void {
    this.#tookTime = true;
    if (this.context.commit === undefined) return;
    this.#stop ??= NOT_AT_ONCE;
    throw this.#stop;
  }

  exit(exitCode: number): never {
    this.#stop ??= new GuestExit(exitCode);
    throw this.#stop;
  }

  /** Ends the guest because nobody waits for it, and everything that is under way for it. */
  end(reason: unknown): void {
    this.#stop ??= new GuestEnded(reason);
    this.#ended = true;
    const atEnd = this.#atEnd;
    if (!atEnd) return;
    this.#atEnd = null;
    for (const listener of atEnd) listener();
  }

  /** Like `end`, after the guest returned or failed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.context.signal.removeEventListener('abort', this.#onAbort);
    this.#stop ??= RETURNED;
    this.#volume?.close();
    hostBytes.give(this.#grantedBytes - HOST_BYTES_FREE);
    this.#grantedBytes = HOST_BYTES_FREE;
    this.end(null);
  }

  /** Calls `listener` when the invocation ends; at once if it has. */
  onEnd(listener: () => void): Disarm {
    if (this.#ended) {
      listener();
      return () => undefined;
    }
    const atEnd = (this.#atEnd ??= new Set());
    atEnd.add(listener);
    return () => atEnd.delete(listener);
  }

  /**
   * Waits until `readiness` is ready, without holding the thread or the turn; undefined where there is nothing
   * to wait for. Ends with the guest's stop when the invocation ends meanwhile.
   */
  until(readiness: Readiness): Promise<void> | undefined {
    this.check();
    if (!readiness.isReady()) {
      this.takeTime();
      return this.#wait(readiness);
    }
    this.#callsWithoutWaiting += 1;
    if (this.#callsWithoutWaiting < CALLS_WITHOUT_WAITING) return undefined;
    // A guest that polls what is always ready would keep the thread from everything else that it waits for.
    this.takeTime();
    return this.suspend((wake) => {
      const immediate = setImmediate(wake);
      return () => clearImmediate(immediate);
    });
  }

  async #wait(readiness: Readiness): Promise<void> {
    do {
      await this.suspend((wake) => readiness.arm(wake));
    } while (!readiness.isReady());
  }

  /** Gives the turn back until `arm`'s wake is called or the invocation ends; then takes it again. */
  async suspend(arm: (wake: () => void) => Disarm): Promise<void> {
    this.check();
    const { turn } = this.context;
    this.#callsWithoutWaiting = 0;
    turn.release();
    let disarm: Disarm | undefined;
    let forget: Disarm | undefined;
    try {
      await new Promise<void>((resolve) => {
        forget = this.onEnd(resolve);
        disarm = arm(resolve);
      });
    } finally {
      disarm?.();
      forget?.();
      await turn.take();
    }
    this.check();
  }

  acquire(kind: ResourceKind): void {
    const live = this.#handles[kind] + 1;
    if (live > HANDLE_CAPS[kind]) {
      this.trap(`the function holds ${HANDLE_CAPS[kind]} ${kind} handles, which is the most it may at once`);
    }
    this.#handles[kind] = live;
    this.hold(HANDLE_WEIGHT);
  }

  release(kind: ResourceKind): void {
    this.#handles[kind] -= 1;
    this.#hostBytes -= HANDLE_WEIGHT;
  }

  /** Weighted bytes that the host holds for the guest. */
  get heldBytes(): number {
    return this.#hostBytes;
  }

  /**
   * Counts what is about to be held for the guest, weighted; a negative number gives it back. Ends the guest where
   * it is too much: for its own fault, or with PLATFORM_BUSY where the guests of its thread together hold too much.
   */
  hold(bytes: number): void {
    this.#hostBytes += bytes;
    if (this.#hostBytes <= this.#grantedBytes) return;
    if (this.#grant()) return;
    this.#hostBytes -= bytes;
    if (this.#stop) throw this.#stop;
    if (this.#hostBytes + bytes > HOST_BYTES_CAP) {
      this.trap(
        `the function makes its host hold more than ${HOST_BYTES_CAP} bytes (handles, header fields, unsent bodies)`,
      );
    }
    this.end(
      new FissiumError(
        'PLATFORM_BUSY',
        'the functions in this thread make their host hold as much (handles, header fields, unsent bodies) as it may',
      ),
    );
    this.check();
  }

  /** Like {@link hold}, for what comes from elsewhere while the guest may not even run; false where it is too much. */
  tryHold(bytes: number): boolean {
    this.#hostBytes += bytes;
    if (this.#hostBytes <= this.#grantedBytes || this.#grant()) return true;
    this.#hostBytes -= bytes;
    return false;
  }

  #grant(): boolean {
    this.takeTime();
    const missing = this.#hostBytes - this.#grantedBytes;
    const step = Math.ceil(missing / HOST_BYTES_STEP) * HOST_BYTES_STEP;
    if (this.#closed || this.#hostBytes > HOST_BYTES_CAP || !hostBytes.take(step)) return false;
    this.#grantedBytes += step;
    return true;
  }

  /** How many handles of a kind are live. */
  live(kind: ResourceKind): number {
    return this.#handles[kind];
  }

  /** Counts bytes of header fields; a negative number gives them back. */
  holdFieldBytes(bytes: number): void {
    if (bytes > 0 && this.#fieldBytes + bytes > ALL_FIELDS_BYTES_CAP) {
      this.trap(`the function's header fields hold more than ${ALL_FIELDS_BYTES_CAP} bytes together`);
    }
    this.#fieldBytes += bytes;
  }

  /** Counts bytes written that nobody has taken yet; a negative number gives them back. */
  holdBufferedBytes(bytes: number): void {
    if (bytes > 0 && this.#bufferedBytes + bytes > BUFFERED_BYTES_CAP) {
      this.trap(`the function's output streams hold more than ${BUFFERED_BYTES_CAP} unsent bytes together`);
    }
    this.#bufferedBytes += bytes;
  }

  get outboundRequests(): number {
    return this.#outbound;
  }

  countOutbound(change: 1 | -1): void {
    this.#outbound += change;
  }

  /** A guest's words for its log; past the cap one line says that the rest is dropped. */
  log(stream: 'stdout' | 'stderr', chunk: Uint8Array): void {
    if (this.#logCut || chunk.byteLength === 0) return;
    const end = this.#logRoom(chunk);
    if (end > 0) this.context.log(stream, end === chunk.byteLength ? chunk : chunk.slice(0, end));
    if (end === chunk.byteLength) return;
    this.#logCut = true;
    this.context.log(
      'stderr',
      Buffer.from(`\nfissium: this request logged ${LOG_BYTES_CAP} bytes; what follows is dropped\n`),
    );
  }

  /** How much of a chunk the log still takes, which is counted: bytes, and something for each line. */
  #logRoom(chunk: Uint8Array): number {
    let from = 0;
    while (from < chunk.byteLength) {
      const newline = chunk.indexOf(10, from);
      const end = newline < 0 ? chunk.byteLength : newline + 1;
      const room = LOG_BYTES_CAP - this.#logBytes;
      this.#logBytes += end - from + (newline < 0 ? 0 : LOG_LINE_WEIGHT);
      if (this.#logBytes > LOG_BYTES_CAP) return from + Math.max(0, Math.min(end - from, room));
      from = end;
    }
    return from;
  }

  /** The platform's own words to the guest's author. */
  note(line: string): void {
    this.log('stderr', Buffer.from(`fissium: ${line}\n`));
  }
}
