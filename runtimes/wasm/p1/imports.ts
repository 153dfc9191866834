/**
 * WASI preview 1 as a CGI program gets it: its arguments and environment, the request's body as standard input,
 * its answer as standard output, clocks, random numbers, waiting, and the files that its spec grants. There are
 * no sockets: their functions answer that they are not allowed.
 */
import { ERRNO } from './errno.ts';
import { CLOCK_RESOLUTION_NS, clockNs } from './clock.ts';
import {
  FD,
  UNSTABLE,
  type Answer,
  type CommandGuest,
  type HostFunction,
  type HostFunctions,
} from './guest.ts';
import { Errno } from './guest-memory.ts';
import { FILE_FUNCTIONS } from './file-functions.ts';
import type { Invocation } from './invocation.ts';
import { readPoll } from './poll.ts';
import { STANDARD_WRITE_BYTES_CAP, WAIT_WEIGHT } from '../wasi/limits.ts';
import { randomBytes } from '../wasi/random.ts';

const SOCKETS = 'sock_accept sock_recv sock_send sock_shutdown'.split(' ');

/** The functions that may have to wait before they answer. */
const WAITING: ReadonlySet<string> = new Set(['fd_read', 'fd_write', 'poll_oneoff', 'sched_yield']);

/** @param overrides functions to link instead of these, already bound to the guest */
export function commandImports(
  guest: CommandGuest,
  overrides: Readonly<Record<string, (...args: number[]) => number>> = {},
): WebAssembly.ModuleImports {
  const imports: WebAssembly.ModuleImports = {};
  for (const [name, call] of Object.entries(FUNCTIONS)) {
    const override = overrides[name];
    const bound = guarded(guest, override ? (_, ...args: number[]) => override(...args) : call);
    imports[name] = (
      WAITING.has(name) ? new WebAssembly.Suspending(bound) : bound
    ) as WebAssembly.ImportValue;
  }
  return imports;
}

/** Checks that the guest may go on, turns what is thrown as an error number into one, and ends it for the rest. */
function guarded(guest: CommandGuest, call: HostFunction): (...args: never[]) => Answer {
  const work = (...args: never[]): Answer => {
    try {
      guest.run.state.check();
      guest.memory.refresh();
      const answer = call(guest, ...args);
      return typeof answer === 'number' ? answer : answer.catch((error: unknown) => answerOf(guest, error));
    } catch (error) {
      return answerOf(guest, error);
    }
  };
  return (...args) => {
    const { receipt } = guest.run;
    if (!receipt) return work(...args);
    const startedMs = performance.now();
    const waitedMs = receipt.waitingMs;
    const count = (): void => {
      receipt.hostMs += performance.now() - startedMs - (receipt.waitingMs - waitedMs);
    };
    const answer = work(...args);
    if (typeof answer === 'number') count();
    else answer.then(count, count);
    return answer;
  };
}

/** A `catch_all` of the guest's catches what is thrown here, but not the trap at its next check. */
function answerOf(guest: CommandGuest, error: unknown): number {
  if (error instanceof Errno) return error.code;
  guest.kill();
  throw error;
}

/** Waits as {@link Invocation.suspend} does, then answers with what `then` gives. */
export async function afterWaiting(
  guest: CommandGuest,
  wait: () => Promise<void>,
  then?: () => number,
): Promise<number> {
  const { run } = guest;
  guest.suspended();
  try {
    await run.suspend(wait);
  } finally {
    guest.resumed();
  }
  guest.memory.refresh();
  return then ? then() : ERRNO.success;
}

const ofProcess: HostFunctions = {
  proc_exit: ({ run }, code: number) => run.state.exit(code >>> 0),
  proc_raise: () => ERRNO.notsup,
  args_sizes_get: ({ run, memory }, count: number, bytes: number) => {
    run.args.writeSizes(memory, count, bytes);
    return ERRNO.success;
  },
  args_get: ({ run, memory }, table: number, bytes: number) => {
    run.args.write(memory, table, bytes);
    return ERRNO.success;
  },
  environ_sizes_get: ({ run, memory }, count: number, bytes: number) => {
    run.environment.writeSizes(memory, count, bytes);
    return ERRNO.success;
  },
  environ_get: ({ run, memory }, table: number, bytes: number) => {
    run.environment.write(memory, table, bytes);
    return ERRNO.success;
  },
  random_get: ({ run, memory }, pointer: number, length: number) => {
    // Whether the place is there is asked first: the bytes are not made for nothing.
    const place = memory.place(pointer, length);
    place.set(randomBytes(run.state, BigInt(length >>> 0)));
    return ERRNO.success;
  },
  clock_res_get: ({ memory }, clock: number, pointer: number) => {
    const resolution = CLOCK_RESOLUTION_NS[clock];
    if (resolution === undefined) return ERRNO.inval;
    memory.setU64(pointer, resolution);
    return ERRNO.success;
  },
  clock_time_get: ({ memory }, clock: number, _precision: bigint, pointer: number) => {
    if (CLOCK_RESOLUTION_NS[clock] === undefined) return ERRNO.inval;
    memory.setU64(pointer, clockNs(clock));
    return ERRNO.success;
  },
};

const ofStreams: HostFunctions = {
  fd_read: (guest, fd: number, pointer: number, count: number, sizePointer: number) => {
    const { run, memory } = guest;
    if (fd !== FD.stdin) {
      memory.setU32(sizePointer, run.files.read(fd, memory.placeParts(pointer, count)));
      return ERRNO.success;
    }
    const read = (): number => {
      memory.setU32(sizePointer, run.stdin.take(memory.placeParts(pointer, count)));
      return ERRNO.success;
    };
    return run.stdin.ready ? read() : afterWaiting(guest, () => run.stdin.wait(), read);
  },
  fd_write: (guest, fd: number, pointer: number, count: number, sizePointer: number) => {
    const { run, memory } = guest;
    const given = memory.readParts(pointer, count);
    if (fd !== FD.stdout && fd !== FD.stderr) {
      memory.setU32(sizePointer, run.files.write(fd, given));
      return ERRNO.success;
    }
    const { parts, bytes } = within(given, STANDARD_WRITE_BYTES_CAP);
    memory.setU32(sizePointer, bytes);
    if (fd === FD.stderr) {
      for (const part of parts) run.state.log('stderr', part);
      return ERRNO.success;
    }
    try {
      for (const part of parts) run.stdout.push(part);
    } catch (error) {
      run.state.check();
      run.fail(error);
    }
    if (!run.stdout.full) return ERRNO.success;
    const flushed = run.stdout.flush();
    return flushed ? afterWaiting(guest, () => flushed) : ERRNO.success;
  },
  poll_oneoff: (guest, input: number, output: number, count: number, countPointer: number) => {
    const { memory, run, dialect } = guest;
    const poll = readPoll(memory, { input, output, count, countPointer, unstable: dialect === UNSTABLE });
    run.state.hold(count * WAIT_WEIGHT);
    const finish = (): number => {
      run.state.hold(-count * WAIT_WEIGHT);
      poll.finish(memory);
      return ERRNO.success;
    };
    return poll.sleepMs === 0 ? finish() : afterWaiting(guest, () => sleep(run, poll.sleepMs), finish);
  },
  // A guest that yields in a loop still lets the others of its thread go first.
  sched_yield: (guest) => afterWaiting(guest, () => new Promise((resolve) => setImmediate(resolve))),
};

const sockets: HostFunctions = Object.fromEntries(SOCKETS.map((name) => [name, () => ERRNO.notcapable]));

const FUNCTIONS: HostFunctions = { ...ofProcess, ...ofStreams, ...sockets, ...FILE_FUNCTIONS };

/** The first of the parts, up to so many bytes: a guest may name the same ones in each. */
function within(
  parts: readonly Uint8Array[],
  mostBytes: number,
): { readonly parts: readonly Uint8Array[]; readonly bytes: number } {
  const taken: Uint8Array[] = [];
  let bytes = 0;
  for (const part of parts) {
    const now = part.subarray(0, mostBytes - bytes);
    taken.push(now);
    bytes += now.length;
    if (bytes === mostBytes) break;
  }
  return { parts: taken, bytes };
}

/** Ends early where nobody waits for the guest any more, so that no timer outlives it. */
function sleep(run: Invocation, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      forget();
      resolve();
    }, ms);
    const forget = run.state.onEnd(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
