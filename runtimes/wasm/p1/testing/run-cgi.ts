/** Runs a command through the real engine, in this thread, and collects what it answers. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HeaderList } from '../../../../src/executors/executor.ts';
import { ControlBlock } from '../../control.ts';
import type {
  Deployment,
  EngineReceipt,
  GuestBodySource,
  GuestGrants,
  GuestRequest,
  PreparedManifest,
  Specialised,
} from '../../engine.ts';
import { runPrepareJob } from '../../prepare/job.ts';
import { limitMemory } from '../../rewrite/index.ts';
import { Turns } from '../../turns.worker.ts';
import { p1Engine } from '../p1.worker.ts';

const GUESTS = join(import.meta.dirname, '../../../../test/guests/built');

export interface Answer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string;
  readonly bytes: Buffer;
  readonly log: string;
}

export interface CgiGuest {
  readonly manifest: PreparedManifest;
  readonly control: ControlBlock;
  readonly turns: Turns;
  run(request?: Partial<GuestRequest>, options?: RunOptions): Promise<Answer>;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly life?: number;
  readonly receipt?: EngineReceipt;
  onChunk?(chunk: Uint8Array): Promise<void> | void;
}

const MIB = 1024 * 1024;

/** A guest of `test/guests/built`. */
export function guestBytes(name: string): Promise<Uint8Array> {
  return readFile(join(GUESTS, name));
}

/** A guest of `test/guests/built` or any module, prepared, limited to 32 MiB and specialised. */
export async function cgiGuest(
  module: string | Uint8Array,
  grants: Partial<GuestGrants> = {},
  bodyLimitBytes = MIB,
): Promise<CgiGuest> {
  const wasm = typeof module === 'string' ? await guestBytes(module) : module;
  const cacheDir = await mkdtemp(join(tmpdir(), 'fissium-p1-'));
  try {
    const digest = createHash('sha256').update(wasm).digest('hex');
    const manifest = await runPrepareJob({ source: wasm, digest, cacheDir });
    const folder = join(cacheDir, `${digest}-${manifest.prepareVersion}`);
    const bytes = limitMemory(await readFile(join(folder, 'main.wasm')), 512) as Uint8Array<ArrayBuffer>;
    const deployment: Deployment = {
      key: 'test',
      namespace: 'default',
      name: 'guest',
      manifest,
      folder,
      modules: new Map([['main', await WebAssembly.compile(bytes)]]),
      codeBytes: bytes.byteLength,
      grants: { env: [], args: [], allowedOutboundHosts: [], ...grants },
      limits: { memoryBytes: 32 * MIB, cpuTimeMs: 1000, bodyLimitBytes },
    };
    const control = new ControlBlock();
    const turns = new Turns(control);
    const specialised = await p1Engine.specialise(deployment, { memory: control.memory, yield: turns.yield });
    let life = 0;
    return {
      manifest,
      control,
      turns,
      run: (request = {}, options = {}) => run(specialised, turns, request, { life: ++life, ...options }),
    };
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}

async function run(
  specialised: Specialised,
  turns: Turns,
  request: Partial<GuestRequest>,
  options: RunOptions & { readonly life: number },
): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  const log: Uint8Array[] = [];
  let head: Pick<Answer, 'status' | 'headers'> | null = null;
  let ended = false;
  await specialised.handle({
    request: {
      id: 'test',
      method: 'GET',
      scheme: 'http',
      authority: 'example.test:8888',
      pathWithQuery: '/hello',
      headers: [],
      body: null,
      ...request,
    },
    response: {
      head: (status, headers) => {
        if (head) throw new Error('two heads');
        head = { status, headers };
      },
      write: async (chunk) => {
        chunks.push(chunk);
        await options.onChunk?.(chunk);
      },
      end: () => {
        ended = true;
      },
    },
    log: (_stream, chunk) => log.push(chunk.slice()),
    signal: options.signal ?? new AbortController().signal,
    turn: turns.for(options.life),
    receipt: options.receipt ?? null,
  });
  const answered = head as Pick<Answer, 'status' | 'headers'> | null;
  if (!answered || !ended) throw new Error('handle resolved without a whole answer');
  const bytes = Buffer.concat(chunks);
  return { ...answered, body: bytes.toString(), bytes, log: Buffer.concat(log).toString() };
}

/** A body in chunks; `null` in it is a failure of its sender. */
export function bodyOf(
  chunks: readonly (string | Uint8Array | null)[],
): GuestBodySource & { readonly cancelled: boolean } {
  const left = [...chunks];
  let cancelled = false;
  return {
    get cancelled() {
      return cancelled;
    },
    read: async () => {
      await Promise.resolve();
      const chunk = left.shift();
      if (chunk === null) throw new Error('the sender went away');
      return chunk === undefined ? null : Buffer.from(chunk);
    },
    trailers: async () => Promise.resolve([]),
    cancel: () => {
      cancelled = true;
    },
  };
}
