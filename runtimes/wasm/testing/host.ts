/** A whole host with real threads and real guests, for tests. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pino } from 'pino';
import type { HeaderList, InvokeRequest, Invoker } from '../../../src/executors/executor.ts';
import type { GuestGrants, GuestLimits } from '../engine.ts';
import { WasmHost, type DeployedFunction, type GuestLogLine, type WasmHostOptions } from '../host.ts';
import { runPrepareJob, type ComponentEngine } from '../prepare/job.ts';

const GUESTS = join(import.meta.dirname, '../../../test/guests/built');
const MIB = 1024 * 1024;

export interface Answer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string;
  readonly trailers: HeaderList;
}

export type DeployOptions = Partial<GuestLimits> &
  Partial<GuestGrants> & { readonly engine?: ComponentEngine; readonly onLog?: (line: GuestLogLine) => void };

export class TestHost {
  readonly host: WasmHost;
  readonly #cacheDir: string;
  /** By engine and digest. */
  readonly #prepared = new Map<string, ReturnType<typeof runPrepareJob>>();

  static async start(threads: number, options: Partial<WasmHostOptions> = {}): Promise<TestHost> {
    const host = await WasmHost.start({ threads, logger: pino({ level: 'silent' }), ...options });
    return new TestHost(host, await mkdtemp(join(tmpdir(), 'fissium-host-')));
  }

  private constructor(host: WasmHost, cacheDir: string) {
    this.host = host;
    this.#cacheDir = cacheDir;
  }

  /** Deploys a guest of `test/guests/built`, or any module or component. */
  async deploy(guest: string | Uint8Array, options: DeployOptions = {}): Promise<DeployedFunction> {
    const { engine, onLog, ...rest } = options;
    const source = typeof guest === 'string' ? await readFile(join(GUESTS, guest)) : guest;
    const digest = createHash('sha256').update(source).digest('hex');
    const cacheDir = join(this.#cacheDir, engine ?? 'component');
    const key = `${engine} ${digest}`;
    const prepared =
      this.#prepared.get(key) ??
      runPrepareJob({ source, digest, cacheDir, ...(engine ? { componentEngine: engine } : {}) });
    this.#prepared.set(key, prepared);
    const manifest = await prepared;
    const limits = { memoryBytes: 64 * MIB, cpuTimeMs: 10_000, bodyLimitBytes: MIB };
    return this.host.deploy({
      namespace: 'default',
      name: 'guest',
      manifest,
      folder: join(cacheDir, `${digest}-${manifest.prepareVersion}`),
      grants: { env: [], args: [], allowedOutboundHosts: [], ...rest },
      limits: { ...limits, ...rest },
      onLog: onLog ?? (() => undefined),
    });
  }

  async close(): Promise<void> {
    await this.host.close();
    await rm(this.#cacheDir, { recursive: true, force: true });
  }
}

export function request(pathWithQuery: string, more: Partial<InvokeRequest> = {}): InvokeRequest {
  return {
    id: 'test',
    method: 'GET',
    scheme: 'http',
    authority: 'example.test',
    pathWithQuery,
    headers: [],
    body: null,
    signal: new AbortController().signal,
    ...more,
  };
}

/** The whole answer; rejects where the guest fails, before its head or after it. */
export async function call(
  fn: Invoker,
  pathWithQuery: string,
  more: Partial<InvokeRequest> = {},
): Promise<Answer> {
  const { status, headers, body, trailers } = await fn.invoke(request(pathWithQuery, more));
  return { status, headers, body: (await readAll(body)).toString(), trailers: await trailers };
}

export async function readAll(body: Readable | Uint8Array): Promise<Buffer> {
  if (!(body instanceof Readable)) return Buffer.from(body);
  const chunks: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
