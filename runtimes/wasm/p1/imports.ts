/**
 * WASI preview 1 as a CGI program gets it. Arguments, environment and random numbers come from @wasmer/wasi;
 * the streams, clocks, waiting and exit are written here, because there they hold the thread, keep all output
 * in memory, or end in a JavaScript frame below which nothing can be suspended. There are no files and no
 * sockets: every function of theirs answers that it is not allowed.
 */
import { CLOCK_RESOLUTION_NS, clockNs } from './clock.ts';
import { ERRNO } from './errno.ts';
import { Errno } from './guest-memory.ts';
import type { Invocation } from './invocation.ts';
import { readPoll } from './poll.ts';

export const PREVIEW1 = 'wasi_snapshot_preview1';

type HostFunction = (...args: number[]) => number;
/** A host function that may have to wait before it answers. */
type WaitingFunction = (...args: number[]) => number | Promise<number>;

const FD = { stdin: 0, stdout: 1, stderr: 2 };

/** What @wasmer/wasi answers. */
const FROM_WASMER = ['args_get', 'args_sizes_get', 'environ_get', 'environ_sizes_get', 'random_get'] as const;

const NOT_ALLOWED = (
  'path_create_directory path_filestat_get path_filestat_set_times path_link path_open path_readlink ' +
  'path_remove_directory path_rename path_symlink path_unlink_file sock_accept sock_recv sock_send sock_shutdown'
).split(' ');

/** They take a descriptor, and none but the standard streams exists. */
const OF_FILES = (
  'fd_advise fd_allocate fd_datasync fd_fdstat_set_rights fd_filestat_set_size fd_filestat_set_times ' +
  'fd_prestat_dir_name fd_prestat_get fd_readdir fd_renumber fd_sync'
).split(' ');

const OF_SEEKABLE_FILES = 'fd_pread fd_pwrite fd_seek fd_tell'.split(' ');

const FDSTAT_BYTES = 24;
const FILESTAT_BYTES = 64;
const CHARACTER_DEVICE = 2;
const RIGHT_READ = 1n << 1n;
const RIGHT_WRITE = 1n << 6n;
const RIGHT_POLL = 1n << 27n;

/**
 * The imports of `wasi_snapshot_preview1` for one run.
 * @param wasmer the same from @wasmer/wasi, bound to the guest's memory before the guest is entered
 */
export function preview1Imports(
  run: Invocation,
  wasmer: Record<string, HostFunction>,
): WebAssembly.ModuleImports {
  const imports: WebAssembly.ModuleImports = {};
  for (const name of FROM_WASMER) {
    imports[name] = guarded(run, (...args) => wasmer[name]?.(...args) ?? ERRNO.notsup);
  }
  for (const name of NOT_ALLOWED) imports[name] = guarded(run, () => ERRNO.notcapable);
  for (const name of OF_FILES) imports[name] = guarded(run, () => ERRNO.badf);
  for (const name of OF_SEEKABLE_FILES)
    imports[name] = guarded(run, (fd = 0) => (fd > FD.stderr ? ERRNO.badf : ERRNO.spipe));
  for (const [name, call] of Object.entries(ownFunctions(run))) imports[name] = guarded(run, call);
  for (const [name, call] of Object.entries(waitingFunctions(run))) {
    imports[name] = new WebAssembly.Suspending(guarded(run, call)) as unknown as WebAssembly.ImportValue;
  }
  return imports;
}

/** Checks that the guest may go on, and turns what is thrown as an error number into one. */
function guarded<R>(run: Invocation, call: (...args: number[]) => R): (...args: number[]) => R | number {
  return (...args) => {
    run.check();
    try {
      return call(...args);
    } catch (error) {
      if (error instanceof Errno) return error.code;
      throw error;
    }
  };
}

function ownFunctions(run: Invocation): Record<string, HostFunction> {
  const { memory } = run;
  return {
    proc_exit: (code = 0) => run.exit(code),
    proc_raise: () => ERRNO.notsup,
    fd_close: (fd = 0) => (fd > FD.stderr ? ERRNO.badf : ERRNO.success),
    fd_fdstat_set_flags: (fd = 0) => (fd > FD.stderr ? ERRNO.badf : ERRNO.success),
    fd_fdstat_get: (fd = 0, pointer = 0) => {
      if (fd > FD.stderr) return ERRNO.badf;
      const view = memory.view(pointer, FDSTAT_BYTES);
      view.setUint8(0, CHARACTER_DEVICE);
      view.setUint16(2, 0, true);
      view.setBigUint64(8, RIGHT_POLL | (fd === FD.stdin ? RIGHT_READ : RIGHT_WRITE), true);
      view.setBigUint64(16, 0n, true);
      return ERRNO.success;
    },
    fd_filestat_get: (fd = 0, pointer = 0) => {
      if (fd > FD.stderr) return ERRNO.badf;
      memory.bytes(pointer, FILESTAT_BYTES).fill(0);
      memory.view(pointer, FILESTAT_BYTES).setUint8(16, CHARACTER_DEVICE);
      return ERRNO.success;
    },
    clock_res_get: (clock = 0, pointer = 0) => {
      const resolution = CLOCK_RESOLUTION_NS[clock];
      if (resolution === undefined) return ERRNO.inval;
      memory.view(pointer, 8).setBigUint64(0, resolution, true);
      return ERRNO.success;
    },
    clock_time_get: (clock = 0, _precision = 0, pointer = 0) => {
      if (CLOCK_RESOLUTION_NS[clock] === undefined) return ERRNO.inval;
      memory.view(pointer, 8).setBigUint64(0, clockNs(clock), true);
      return ERRNO.success;
    },
  };
}

function waitingFunctions(run: Invocation): Record<string, WaitingFunction> {
  const { memory, stdin, stdout } = run;
  const read = (pointer: number, count: number, sizePointer: number): number => {
    memory.setU32(sizePointer, stdin.take(memory.parts(pointer, count)));
    return ERRNO.success;
  };
  return {
    fd_read: (fd = 0, pointer = 0, count = 0, sizePointer = 0) => {
      if (fd !== FD.stdin) return ERRNO.badf;
      if (stdin.ready) return read(pointer, count, sizePointer);
      return afterWaiting(
        run,
        () => stdin.wait(),
        () => read(pointer, count, sizePointer),
      );
    },
    fd_write: (fd = 0, pointer = 0, count = 0, sizePointer = 0) => {
      if (fd !== FD.stdout && fd !== FD.stderr) return ERRNO.badf;
      const parts = memory.parts(pointer, count);
      memory.setU32(
        sizePointer,
        parts.reduce((sum, { length }) => sum + length, 0),
      );
      try {
        for (const part of parts)
          if (fd === FD.stdout) stdout.push(part);
          else run.log(part);
      } catch (error) {
        run.fail(error);
      }
      return stdout.full ? afterWaiting(run, () => stdout.flush()) : ERRNO.success;
    },
    poll_oneoff: (input = 0, output = 0, count = 0, countPointer = 0) => {
      const poll = readPoll(memory, input, output, count, countPointer);
      const finish = (): number => {
        poll.finish(memory);
        return ERRNO.success;
      };
      return poll.sleepMs === 0 ? finish() : afterWaiting(run, () => sleep(run, poll.sleepMs), finish);
    },
    // A guest that yields in a loop still lets the others of its thread go first.
    sched_yield: () => afterWaiting(run, () => new Promise((resolve) => setImmediate(resolve))),
  };
}

async function afterWaiting(
  run: Invocation,
  wait: () => Promise<void>,
  then?: () => number,
): Promise<number> {
  await run.suspend(wait);
  return then ? guarded(run, then)() : ERRNO.success;
}

function sleep(run: Invocation, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const { signal } = run.context;
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
