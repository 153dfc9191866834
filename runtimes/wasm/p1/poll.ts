/** `poll_oneoff` (WASI preview 1) for what a CGI program can wait for: time, and its standard streams. */
import { CLOCK, clockNs } from './clock.ts';
import { ERRNO } from './errno.ts';
import { Errno, type GuestMemory } from './guest-memory.ts';

const SUBSCRIPTION_BYTES = 48;
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

/** @throws Errno inval for no subscriptions or unknown ones */
export function readPoll(
  memory: GuestMemory,
  input: number,
  output: number,
  count: number,
  countPointer: number,
): Poll {
  if (count === 0 || count >>> 0 > MAX_SUBSCRIPTIONS) throw new Errno(ERRNO.inval);
  const subscriptions = Array.from({ length: count }, (_, index) =>
    readSubscription(memory.view(input + index * SUBSCRIPTION_BYTES, SUBSCRIPTION_BYTES)),
  );
  const firstMs = Math.min(...subscriptions.map(({ dueMs }) => dueMs));
  return {
    sleepMs: Math.min(firstMs, LONGEST_SLEEP_MS),
    finish: (after) => {
      const due = subscriptions.filter(({ dueMs }) => dueMs <= firstMs);
      for (const [index, { userdata, type }] of due.entries()) {
        const event = after.view(output + index * EVENT_BYTES, EVENT_BYTES);
        event.setBigUint64(0, userdata, true);
        event.setUint16(8, ERRNO.success, true);
        event.setUint8(10, type);
        event.setBigUint64(16, type === TYPE.clock ? 0n : 1n, true);
        event.setUint16(24, 0, true);
      }
      after.setU32(countPointer, due.length);
    },
  };
}

function readSubscription(view: DataView): Subscription {
  const userdata = view.getBigUint64(0, true);
  const type = view.getUint8(8);
  if (type === TYPE.fdRead || type === TYPE.fdWrite) return { userdata, type, dueMs: 0 };
  const clock = view.getUint32(16, true);
  if (type !== TYPE.clock || clock > CLOCK.monotonic) throw new Errno(ERRNO.inval);
  const timeoutNs = view.getBigUint64(24, true);
  const absolute = (view.getUint16(40, true) & ABSOLUTE) !== 0;
  const dueMs = Number(absolute ? timeoutNs - clockNs(clock) : timeoutNs) / 1e6;
  return { userdata, type, dueMs: Math.max(0, dueMs) };
}
