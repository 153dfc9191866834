/**
 * One guest executes at a time in a thread, of course; turns say which. A guest that waits gives its turn back
 * and takes it again before it goes on, so that CPU time is charged to exactly the guest that uses it. A guest
 * that computes for long gives way at its next check, and stands behind those that ask for little; among others like
 * it, it goes on by its function's share. So it is with one that has computed for long in all: by waiting for
 * nothing, again and again, nobody gets in front.
 */
import type { ControlBlock } from './control.ts';
import { ComputingGuests, CpuShare } from './cpu-shares.worker.ts';
import type { Turn } from './engine.ts';
import { threadMemory } from './pool/thread.ts';
import { yieldFunction, type Decision, type YieldFunction } from './yield.worker.ts';

/** How long short guests may go before a long computation that waits gets its turn all the same, ms. */
const LONG_WAITS_MS = 50;

/** What a guest may use in all and still be one that asks for little when it comes back from waiting, µs. */
const SHORT_US = 10_000;

export interface TurnOptions {
  /** CPU time that the guest may use, ms. @default no limit */
  readonly cpuTimeMs?: number;
  /** Called once, when the guest is entered for the first time. */
  readonly onEntered?: () => void;
  /** Whether nobody waits for this guest any more: then it ends instead of going on after it gave way. */
  readonly isAborted?: () => boolean;
  /** The guest is run at once or not at all: instead of giving way it ends, and is run again. @default false */
  readonly atOnce?: boolean;
  /** CPU time that its call has used before, µs. @default 0 */
  readonly usedUs?: number;
  /** The function's part of the thread's time. @default one of the guest's own, of the usual weight */
  readonly share?: CpuShare;
}

export class Turns {
  readonly control: ControlBlock;
  /** What rewritten guests of this thread import as `yield`. */
  readonly yield: YieldFunction;
  /** Guests that came new, or waited for something and have not used much. */
  readonly #short: (() => void)[] = [];
  /** Guests that had to give way, or have used much. */
  readonly #long = new ComputingGuests();
  #lives = 0;
  #held = false;
  #holder: GuestTurn | null = null;
  #longHolds = false;
  /** Time that short guests have used since a long one had its turn, ms. */
  #shortMs = 0;

  constructor(control: ControlBlock) {
    this.control = control;
    this.yield = yieldFunction({ decide: () => this.#decide(), wait: () => this.#giveWay() });
  }

  /** A life that no other instance of this thread has, or had lately: a positive 31-bit number. */
  nextLife(): number {
    this.#lives = this.#lives === 0x7fffffff ? 1 : this.#lives + 1;
    return this.#lives;
  }

  /** A turn-taker for one life of an instance. */
  for(life: number, options: TurnOptions = {}): GuestTurn {
    return new GuestTurn(this, life, options);
  }

  /** Whether the thread is the caller's at once. Only for {@link GuestTurn}. */
  tryAcquire(turn: GuestTurn): boolean {
    if (this.#held) return false;
    this.#held = true;
    this.#holder = turn;
    this.#longHolds = false;
    return true;
  }

  /** Resolves when the thread is the caller's. Only for {@link GuestTurn}. */
  async acquire(turn: GuestTurn): Promise<void> {
    const isLong = turn.usedUs > SHORT_US;
    if (this.#held) {
      await new Promise<void>((resolve) => {
        if (isLong) this.#long.add(turn.share, resolve);
        else this.#short.push(resolve);
      });
    }
    this.#held = true;
    this.#holder = turn;
    this.#longHolds = isLong;
    if (isLong) this.#shortMs = 0;
  }

  /**
   * Lets the thread's event loop turn once, which may bring new guests, then those that wait; resolves when the
   * thread is the caller's again. Only for {@link GuestTurn}.
   */
  async stepBack(turn: GuestTurn, usedMs: number, sliceMs: number): Promise<void> {
    this.#count(usedMs);
    this.#long.charge(turn.share, sliceMs);
    await new Promise<void>((resolve) => setImmediate(resolve));
    const again = new Promise<void>((resolve) => this.#long.add(turn.share, resolve));
    this.#next();
    await again;
    this.#holder = turn;
    this.#longHolds = true;
    this.#shortMs = 0;
  }

  /**
   * Passes the thread on, after so long. Only for {@link GuestTurn}.
   * @param sliceMs CPU time of it, which a guest that computes for long is charged with
   */
  pass(turn: GuestTurn, usedMs: number, sliceMs: number): void {
    this.#count(usedMs);
    if (this.#longHolds) this.#long.charge(turn.share, sliceMs);
    this.#next();
  }

  #count(usedMs: number): void {
    this.#holder = null;
    if (this.#long.isEmpty) this.#shortMs = 0;
    else if (!this.#longHolds) this.#shortMs += usedMs;
  }

  #next(): void {
    const next =
      this.#shortMs > LONG_WAITS_MS
        ? (this.#long.next() ?? this.#short.shift())
        : (this.#short.shift() ?? this.#long.next());
    // The turn passes on directly: `#held` stays true, so that nobody slips in between.
    if (next) next();
    else this.#held = false;
  }

  #decide(): Decision {
    const turn = this.#holder;
    if (turn?.atOnce === true) return this.#decideAtOnce(turn);
    if (!threadMemory.findRoom() && turn) turn.outOfRoom = true;
    if (!turn) {
      // The host calls an instance outside of any request.
      this.control.forget();
      return 'go';
    }
    const asked = this.control.asked(turn.life);
    if (asked === 'end') return 'end';
    // Where it cannot be suspended, it is asked again a little later.
    return asked === 'yield' && turn.suspendable() ? 'wait' : 'go';
  }

  /**
   * On the stack of the guest, which may have left next to nothing of it: whatever is called here may be cut short. So
   * nothing of the thread's is changed, but what one store changes.
   */
  #decideAtOnce(turn: GuestTurn): Decision {
    return threadMemory.hasRoom() && this.control.asked(turn.life) === 'nothing' ? 'go' : 'end';
  }

  async #giveWay(): Promise<'go' | 'end'> {
    return (await this.#holder?.giveWay()) ?? 'go';
  }
}

export class GuestTurn implements Turn {
  readonly life: number;
  suspendable: () => boolean = () => false;
  outOfRoom = false;
  gaveWay = false;
  readonly #turns: Turns;
  readonly #options: TurnOptions;
  #usedUs = 0;
  #heldMs = 0;
  #cpuMs = 0;
  #enteredAtMs = 0;
  /** The thread's CPU time when this guest went on, µs; -1 where nobody looked. */
  #enteredAtCpuUs = -1;
  #holds = false;
  #entered = false;
  #closed = false;
  #overCpu = false;
  #share: CpuShare | undefined;
  #sliceUs = 0;

  constructor(turns: Turns, life: number, options: TurnOptions) {
    this.#turns = turns;
    this.life = life;
    this.#options = options;
    this.#share = options.share;
    this.#usedUs = options.usedUs ?? 0;
    this.#heldMs = this.#usedUs / 1000;
    this.#cpuMs = this.#heldMs;
  }

  get atOnce(): boolean {
    return this.#options.atOnce === true;
  }

  get share(): CpuShare {
    // Few guests compute for so long that anybody asks.
    return (this.#share ??= new CpuShare());
  }

  /** CPU time that was charged up to the last release, µs. */
  get usedUs(): number {
    return this.#usedUs;
  }

  /** Whether the guest was ended because it had used up its CPU time. */
  get overCpu(): boolean {
    return this.#overCpu;
  }

  takeNow(): boolean {
    if (!this.#turns.tryAcquire(this)) return false;
    this.#enter();
    return true;
  }

  async take(): Promise<void> {
    await this.#turns.acquire(this);
    this.#enter();
    if (this.#usedUs > SHORT_US) this.#enteredAtCpuUs = threadCpuUs();
  }

  release(): void {
    if (!this.#holds) return;
    const heldMs = this.#stop();
    this.#turns.pass(this, heldMs, this.#sliceUs / 1000);
  }

  /** The call is over, whatever is left of its guest: that gets no turn any more. */
  close(): void {
    this.#closed = true;
    this.release();
  }

  /** Lets the thread do what it has to, and the other guests go first. The turn must be held. */
  async giveWay(): Promise<'go' | 'end'> {
    this.gaveWay = true;
    const heldMs = this.#stop();
    await this.#turns.stepBack(this, heldMs, this.#sliceUs / 1000);
    if (this.#closed || this.#options.isAborted?.() === true) {
      // Nothing of it runs but the trap, and what it ran before is charged.
      this.#turns.pass(this, 0, 0);
      return 'end';
    }
    this.#enter();
    this.#enteredAtCpuUs = threadCpuUs();
    return 'go';
  }

  /** Charges what was used; gives how long the turn was held, ms. */
  #stop(): number {
    this.#holds = false;
    const heldMs = performance.now() - this.#enteredAtMs;
    // A thread that the system did not run did not compute. To ask costs more than most turns, so it is asked
    // only for guests that compute for long.
    const cpuMs =
      this.#enteredAtCpuUs < 0 ? heldMs : Math.max(threadCpuUs() - this.#enteredAtCpuUs, 0) / 1000;
    this.#heldMs += heldMs;
    this.#cpuMs += cpuMs;
    // Compared as sums: the system counts CPU time in steps of some milliseconds, longer than a slice may be.
    const usedUs = Math.round(Math.min(this.#heldMs, this.#cpuMs) * 1000);
    this.#sliceUs = usedUs - this.#usedUs;
    this.#usedUs = usedUs;
    // It may have met its end without calling anybody. Other guests are ended because nobody waits for them.
    if (this.#turns.control.isKilled(this.life)) this.#overCpu = this.#options.isAborted?.() !== true;
    this.#turns.control.leave();
    return heldMs;
  }

  #enter(): void {
    threadMemory.settle();
    this.#holds = true;
    this.#enteredAtMs = performance.now();
    this.#enteredAtCpuUs = -1;
    this.#turns.control.enter(this.life, this.#usedUs, this.#options.cpuTimeMs);
    if (this.#entered) return;
    this.#entered = true;
    this.#options.onEntered?.();
  }
}

function threadCpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}
