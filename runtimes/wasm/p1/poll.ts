/** `poll_oneoff` (WASI preview 1) for what a CGI program can wait for: time, and its standard streams. */
import { CLOCK, clockNs } from './clock.ts';
import { ERRNO } from './errno.ts';
import { Errno, type GuestMemory } from './guest-memory.ts';

interface Layout {
  readonly bytes: number;
  readonly clock: number;
  readonly timeout: number;
  readonly flags: number;
}

/** Where the parts of a subscription to a clock are. */
const LAYOUT: Layout = { bytes: 48, clock: 16, timeout: 24, flags: 40 };
/** In 2019 a clock had a name of its own before its number. */
const UNSTABLE_LAYOUT: Layout = { bytes: 56, clock: 24, timeout: 32, flags: 48 };
const EVENT_BYTES = 32;
const MAX_SUBSCRIPTIONS = 1024;
const TYPE = { clock: 0, fdRead: 1, fdWrite: 2 };
const ABSOLUTE = 1;
/** What `setTimeout` takes; a guest that wants to sleep longer is woken once a day. */
const LONGEST_SLEEP_MS = 86_400_000;

interface Subscription {
  readonly userdata: bigint;
  readonly type: number;
  /** Milliseconds until it is due; 0 for what is always ready. */
  readonly dueMs: number;
}

/** How long the guest has to sleep for its subscriptions, ms; 0 where something is ready at once. */
export interface Poll {
  readonly sleepMs: number;
  /** Writes the events of what is due after the sleep, and their number. */
  finish(memory: GuestMemory): void;
}

export interface PollArguments {
  readonly input: number;
  readonly output: number;
  readonly count: number;
  readonly countPointer: number;
  /** Whether the subscriptions are laid out as in 2019. */
  readonly unstable: boolean;
}

/** @throws Errno inval for no subscriptions or unknown ones */
export function readPoll(memory: GuestMemory, args: PollArguments): Poll {
  const { input, output, count, countPointer } = args;
  if (count === 0 || count >>> 0 > MAX_SUBSCRIPTIONS) throw new Errno(ERRNO.inval);
  const layout = args.unstable ? UNSTABLE_LAYOUT : LAYOUT;
  const subscriptions = Array.from({ length: count }, (_, index) =>
    readSubscription(memory, input + index * layout.bytes, layout),
  );
  const firstMs = Math.min(...subscriptions.map(({ dueMs }) => dueMs));
  return {
    sleepMs: Math.min(firstMs, LONGEST_SLEEP_MS),
    finish: (after) => {
      const due = subscriptions.filter(({ dueMs }) => dueMs <= firstMs);
      for (const [index, { userdata, type }] of due.entries()) {
        const event = output + index * EVENT_BYTES;
        after.setU64(event, userdata);
        after.setU16(event + 8, ERRNO.success);
        after.setU8(event + 10, type);
        after.setU64(event + 16, type === TYPE.clock ? 0n : 1n);
        after.setU16(event + 24, 0);
      }
      after.setU32(countPointer, due.length);
    },
  };
}

function readSubscription(memory: GuestMemory, at: number, layout: Layout): Subscription {
  const userdata = memory.getU64(at);
  const type = memory.getU8(at + 8);
  if (type === TYPE.fdRead || type === TYPE.fdWrite) return { userdata, type, dueMs: 0 };
  const clock = memory.getU32(at + layout.clock);
  if (type !== TYPE.clock || clock > CLOCK.monotonic) throw new Errno(ERRNO.inval);
  const timeoutNs = memory.getU64(at + layout.timeout);
  const absolute = (memory.getU16(at + layout.flags) & ABSOLUTE) !== 0;
  const dueMs = Number(absolute ? timeoutNs - clockNs(clock) : timeoutNs) / 1e6;
  return { userdata, type, dueMs: Math.max(0, dueMs) };
}
