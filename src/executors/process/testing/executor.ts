/** A ProcessExecutor over a temporary folder, and calls of its functions. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { pino } from 'pino';
import { ZipFile } from 'yazl';

import type { InvokeRequest, Invoker } from '../../executor.ts';
import {
  type DeployedProcessFunction,
  ProcessExecutor,
  type ProcessExecutorOptions,
  type ProcessSpec,
} from '../process-executor.ts';

export interface TestLine {
  readonly requestId: string;
  readonly stream: string;
  readonly line: string;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly text: string;
  readonly coldStart: boolean;
}

/** Files of a package by name, or the text of the one file that is the code. */
export type TestCode = string | Readonly<Record<string, string>>;

export class TestExecutor {
  readonly executor: ProcessExecutor;
  readonly folder: string;
  readonly lines: TestLine[] = [];
  readonly #functions: DeployedProcessFunction[] = [];

  static async start(options: Partial<ProcessExecutorOptions> = {}): Promise<TestExecutor> {
    return new TestExecutor(await mkdtemp(join(tmpdir(), 'fissium-test-')), options);
  }

  private constructor(folder: string, options: Partial<ProcessExecutorOptions>) {
    this.folder = folder;
    this.executor = new ProcessExecutor({
      folder: join(folder, 'x'),
      logger: pino({ level: 'silent' }),
      graceMs: 5000,
      spares: 0,
      ...options,
    });
  }

  async deploy(
    image: string,
    code: TestCode,
    changes: Partial<ProcessSpec> = {},
  ): Promise<DeployedProcessFunction> {
    const fn = await this.executor.deploy({
      namespace: 'default',
      name: 'fn',
      uid: randomUUID(),
      image,
      envVersion: 3,
      archivePath: await this.archive(code),
      entrypoint: '',
      entrypointOptional: false,
      env: [],
      memoryBytes: null,
      concurrency: 4,
      requestsPerPod: 1,
      idleTimeoutMs: 60_000,
      onLog: (line) => this.lines.push(line),
      ...changes,
    });
    this.#functions.push(fn);
    return fn;
  }

  async archive(code: TestCode): Promise<string> {
    const path = join(this.folder, randomUUID());
    if (typeof code === 'string') await writeFile(path, code);
    else {
      const zip = new ZipFile();
      for (const [name, text] of Object.entries(code)) zip.addBuffer(Buffer.from(text), name);
      zip.end();
      await writeFile(path, zip.outputStream as unknown as Readable);
    }
    return path;
  }

  async close(): Promise<void> {
    await this.executor.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function request(path: string, changes: Partial<InvokeRequest> = {}): InvokeRequest {
  return {
    id: randomUUID(),
    method: 'GET',
    scheme: 'http',
    authority: 'fn.example',
    pathWithQuery: path,
    headers: [],
    body: null,
    signal: new AbortController().signal,
    ...changes,
  };
}

export async function call(
  fn: Invoker,
  path: string,
  changes: Partial<InvokeRequest> = {},
): Promise<TestAnswer> {
  const { status, headers, body, coldStart } = await fn.invoke(request(path, changes));
  const text =
    body instanceof Uint8Array
      ? Buffer.from(body)
      : Buffer.concat(await Array.fromAsync(body as AsyncIterable<Buffer>));
  return {
    status,
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
    text: text.toString(),
    coldStart,
  };
}

/** A POST with a body of this type. */
export function post(body: string | Uint8Array, type: string): Partial<InvokeRequest> {
  const bytes = Buffer.from(body);
  return {
    method: 'POST',
    headers: [
      ['content-type', type],
      ['content-length', String(bytes.length)],
    ],
    body: Readable.from([bytes]),
  };
}
