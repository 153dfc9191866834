/** Says what a guest's failure was, from whatever was thrown out of it. */
import { FissiumError } from '../../src/errors.ts';

const MIB = 1024 * 1024;
/** A guest whose memory is this close to its limit when it fails most likely failed to grow it. */
const NEARLY_FULL = 0.5;

/**
 * The error for a call whose guest threw. A guest that cannot get memory usually answers with `unreachable`:
 * then the memory it holds tells the two apart, and the message shows both.
 */
export function guestFailure(
  thrown: unknown,
  memories: readonly WebAssembly.Memory[],
  memoryLimitBytes: number,
): FissiumError {
  if (thrown instanceof FissiumError) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const used = memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
  const holding = `it held ${(used / MIB).toFixed(1)} of ${(memoryLimitBytes / MIB).toFixed(0)} MiB of memory`;
  const guestStack = readableStack(error);
  if (error instanceof RangeError && /call stack/i.test(error.message)) {
    return new FissiumError('GUEST_TRAPPED', `the function's call stack is exhausted; ${holding}`, {
      guestStack,
    });
  }
  if (!(error instanceof WebAssembly.RuntimeError)) {
    return new FissiumError('GUEST_TRAPPED', `the function failed: ${error.message}`, {
      guestStack,
      cause: error,
    });
  }
  if (/unreachable/.test(error.message) && used > memoryLimitBytes * NEARLY_FULL) {
    return new FissiumError(
      'GUEST_OUT_OF_MEMORY',
      `the function trapped and ${holding}; it most likely ran out of it (resources.limits.memory)`,
      { guestStack },
    );
  }
  return new FissiumError('GUEST_TRAPPED', `the function trapped: ${error.message}; ${holding}`, {
    guestStack,
  });
}

/** The guest's frames of a stack, by name where the module has names. */
function readableStack(error: Error): string {
  const frames = (error.stack ?? '').split('\n').slice(1);
  const guest = frames
    .map((frame) => /at (\S+) \(wasm:\/\/wasm\/(\S+?):wasm-function\[(\d+)\]:(0x[0-9a-f]+)\)/.exec(frame))
    .filter((match) => match !== null)
    .map(
      ([, name, module, index, offset]) => `    at ${name} (${module} function ${index}, offset ${offset})`,
    );
  return [`${error.name}: ${error.message}`, ...guest.slice(0, 50)].join('\n');
}
