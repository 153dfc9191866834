/** Warms the listener threads with a function of our own: the template of wasm-envs/rust, as it is shipped. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { WasmHost } from '../../runtimes/wasm/host.ts';
import type { Preparer } from '../../runtimes/wasm/prepare/index.ts';
import type { ListenerThreads } from '../router/index.ts';

export interface WarmUpParts {
  readonly preparer: Preparer;
  readonly host: WasmHost;
  readonly router: ListenerThreads;
  readonly logger: Logger;
}

/** Before the platform says that it is ready: V8 compiles to byte code what is called. */
const FIRST_CONNECTIONS = 2;
/**
 * A while later, when whoever waited for the start has been served, a request at a time and beside all else: V8
 * compiles to machine code what is called often.
 */
const MORE_CONNECTIONS = 60;
const MORE_AFTER_MS = 3000;

/**
 * Resolves when every listener thread has run requests through all of its code, so that the first caller does not
 * wait for the compiler; some more follow. At the first start in a data folder the function is not prepared yet:
 * nobody waits for that, and the threads are warmed when it is. Never rejects: a cold platform serves as well.
 */
export async function warmUp(parts: WarmUpParts): Promise<void> {
  const { preparer, logger } = parts;
  const cold = (err: unknown): void => logger.debug({ err }, 'the threads were not warmed up');
  try {
    const file = ['../../wasm-envs', '../../../wasm-envs']
      .map((place) => fileURLToPath(new URL(`${place}/rust/template/hello.wasm`, import.meta.url)))
      .find((path) => existsSync(path));
    if (file === undefined) return;
    const wasm = await readFile(file);
    const digest = createHash('sha256').update(wasm).digest('hex');
    const waits = await preparer.has(digest);
    const done = warmUpWith(parts, wasm, digest).catch(cold);
    if (waits) await done;
  } catch (err) {
    cold(err);
  }
}

async function warmUpWith(
  { preparer, host, router, logger }: WarmUpParts,
  wasm: Uint8Array,
  digest: string,
): Promise<void> {
  const { manifest, folder } = await preparer.prepare(wasm, digest);
  const deployed = await host.deploy({
    namespace: 'fissium',
    name: 'warm-up',
    manifest,
    folder,
    grants: { env: [], args: [], allowedOutboundHosts: [] },
    limits: { memoryBytes: 2 ** 27, cpuTimeMs: 2000, bodyLimitBytes: 2 ** 20 },
    onLog: () => undefined,
  });
  const { threadKey } = deployed;
  if (threadKey !== null) await router.warmUp(threadKey, FIRST_CONNECTIONS);
  void sleep(MORE_AFTER_MS, undefined, { ref: false })
    .then(() => (threadKey === null ? undefined : router.warmUp(threadKey, MORE_CONNECTIONS)))
    .then(() => deployed.close())
    .catch((err: unknown) => logger.debug({ err }, 'still cold'));
}
