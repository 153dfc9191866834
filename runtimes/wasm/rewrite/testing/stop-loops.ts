/**
 * A program of its own: starts each endless guest in a thread, ends it by the control word, and prints which
 * of them stopped. Run under V8's flags for one compiler or the other; nothing else can choose the compiler.
 */
import { once } from 'node:events';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

interface Task {
  readonly wasm: Uint8Array<ArrayBuffer>;
  readonly memory: WebAssembly.Memory;
}

const LIFE = 42;
/** Word 1 of the control memory: the life that runs. */
const RUNNING = 1;
const STOPPED_WITHIN_MS = 5000;

if (isMainThread) {
  const { wat } = await import('./wat.ts');
  const { ENDLESS } = await import('./endless.ts');
  const { addInterruptionCheck } = await import('../interrupt.ts');
  for (const [name, text] of Object.entries(ENDLESS)) {
    const wasm = addInterruptionCheck(await wat(text)) as Uint8Array<ArrayBuffer>;
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const worker = new Worker(new URL(import.meta.url), { workerData: { wasm, memory } satisfies Task });
    const words = new Int32Array(memory.buffer);
    await once(worker, 'message');
    await Atomics.waitAsync(words, RUNNING, 0).value;
    // Long enough for a function that is called in a loop to reach the better compiler.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = performance.now();
    Atomics.store(words, 0, LIFE);
    const timer = setTimeout(() => void worker.terminate(), STOPPED_WITHIN_MS);
    const [how] = (await Promise.race([once(worker, 'message'), once(worker, 'exit')])) as [unknown];
    clearTimeout(timer);
    process.stdout.write(`${JSON.stringify({ name, how, ms: performance.now() - before })}\n`);
    await worker.terminate();
  }
} else {
  const { wasm, memory } = workerData as Task;
  const { yieldFunction } = await import('../../yield.worker.ts');
  const module = new WebAssembly.Module(wasm);
  const words = new Int32Array(memory.buffer);
  parentPort?.postMessage('compiled');
  try {
    Atomics.store(words, RUNNING, LIFE);
    Atomics.notify(words, RUNNING);
    const instance = new WebAssembly.Instance(module, {
      fissium: {
        control: memory,
        yield: yieldFunction({ decide: () => 'go', wait: () => Promise.resolve('go') }),
      },
      host: {
        nothing: () => undefined,
        fail: () => {
          throw new Error('caught by the guest');
        },
      },
    });
    (instance.exports['run'] as () => void)();
    parentPort?.postMessage('returned');
  } catch (error) {
    const trapped = error instanceof WebAssembly.RuntimeError && error.message === 'unreachable';
    parentPort?.postMessage(trapped ? 'trapped' : String(error));
  }
}
