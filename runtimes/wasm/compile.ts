/** Compiles core modules: whole, or each function of them when it is called first. */
import { setFlagsFromString } from 'node:v8';

/** `lazy` is V8's way: cheap for a large program of which a request uses little. */
export type CompileMode = 'whole' | 'lazy';

const FLAGS: Readonly<Record<CompileMode, string>> = {
  whole: '--no-wasm-lazy-compilation',
  lazy: '--wasm-lazy-compilation',
};
/** The process stays up for it: while V8's own threads compile, nothing in the event loop says that something is awaited. */
const HOLD_MS = 60_000;

interface Waiter {
  readonly mode: CompileMode;
  readonly enter: () => void;
}

let current: CompileMode = 'lazy';
let running = 0;
const waiting: Waiter[] = [];

/**
 * V8 has a flag for the whole process, which it reads somewhere on the way: so what compiles at a time compiles in one
 * mode, first come, first served.
 */
function enter(mode: CompileMode): Promise<void> | undefined {
  if (waiting.length === 0 && (running === 0 || current === mode)) {
    begin(mode);
    return undefined;
  }
  return new Promise((resolve) => waiting.push({ mode, enter: resolve }));
}

function begin(mode: CompileMode): void {
  running++;
  if (current === mode) return;
  current = mode;
  setFlagsFromString(FLAGS[mode]);
}

function leave(): void {
  running--;
  for (let next = waiting[0]; next && (running === 0 || next.mode === current); next = waiting[0]) {
    waiting.shift();
    begin(next.mode);
    next.enter();
  }
}

/** @throws WebAssembly.CompileError as a rejection, where the bytes are no module */
export async function compileModule(bytes: Uint8Array, mode: CompileMode): Promise<WebAssembly.Module> {
  const hold = setInterval(() => undefined, HOLD_MS);
  await enter(mode);
  try {
    return await WebAssembly.compile(bytes as BufferSource);
  } finally {
    leave();
    clearInterval(hold);
  }
}
