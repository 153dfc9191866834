/**
 * The platform for the CLI's own tests, in this process: the embedded API, control loops, listeners, storage and
 * logs are the real ones; only what runs WebAssembly is replaced by functions that answer with what they are.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import { startApiServer } from '../../apiserver/server.ts';
import { ensureDefaults, startControl, type HostPort, type PreparerPort } from '../../control/index.ts';
import { FissiumError } from '../../errors.ts';
import { bodyStream } from '../../executors/body-stream.ts';
import { ProcessExecutor } from '../../executors/process/index.ts';
import { KubeClient, loadKubeConfig } from '../../kube/index.ts';
import { createMetrics, LogStore } from '../../observe/index.ts';
import { ArchiveStore, createStorageHandler, FolderStorage } from '../../packages/index.ts';
import { createInternalListener, createRouter, FunctionTable, RouteTable } from '../../router/index.ts';
import { runCli } from '../run.ts';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  /** Called with each piece of stdout as it comes. */
  readonly onStdout?: (text: string) => void;
  readonly onStderr?: (text: string) => void;
}

/** A whole number of bytes of the code that the test platform takes: `\0asm` and any text after it. */
export function testWasm(text: string, bytes = 0): Buffer {
  const head = Buffer.from(`\0asm${text}`);
  return Buffer.concat([head, Buffer.alloc(Math.max(0, bytes - head.length), ' ')]);
}

/** Runs the CLI in this process. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<CliResult> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const sink = (name: 'stdout' | 'stderr') => ({
    write(chunk: string | Uint8Array) {
      chunks[name].push(Buffer.from(chunk));
      const listener = name === 'stdout' ? options.onStdout : options.onStderr;
      listener?.(Buffer.from(chunk).toString());
      return true;
    },
  });
  const { signal } = options;
  const code = await runCli(args, {
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    stdin: Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]),
    env: { HOME: '/nonexistent', ...options.env },
    cwd: options.cwd ?? tmpdir(),
    ...(signal === undefined ? {} : { interrupt: () => signal }),
  });
  const text = (name: 'stdout' | 'stderr'): string => Buffer.concat(chunks[name]).toString();
  return { code, stdout: text('stdout'), stderr: text('stderr') };
}

/** Runs whatever begins with `\0asm`; refuses the rest in the words of the real one. */
const preparer: PreparerPort = {
  async prepare(wasm, digest) {
    const { readFile } = await import('node:fs/promises');
    const bytes = typeof wasm === 'string' ? await readFile(wasm) : Buffer.from(wasm);
    if (!bytes.subarray(0, 4).equals(Buffer.from('\0asm'))) {
      throw new FissiumError('PACKAGE_REFUSED', 'The file is not WebAssembly.');
    }
    const script = bytes.subarray(4).toString().trim();
    const manifest = {
      prepareVersion: 1,
      engine: 'p1',
      reason: 'for tests',
      digest,
      entry: '_start',
      imports: [],
      modules: [],
      script,
    } as const;
    return { manifest, folder: '/nonexistent' };
  },
};

/** A function answers with its code's text, its path and the body; with the text `fail` it fails and logs why. */
const host: HostPort = {
  async deploy({ manifest, onLog }) {
    const text = manifest.script ?? '';
    if (text === 'undeployable') throw new FissiumError('FUNCTION_FAILED', 'It does not start.');
    return {
      async invoke(request) {
        request.onReceipt?.(null);
        const stream = bodyStream(request.body);
        const body = stream === null ? '' : (await buffer(stream)).toString();
        onLog({
          requestId: request.id,
          stream: 'stderr',
          line: `${text} ${request.method} ${request.pathWithQuery}`,
        });
        if (text === 'fail') throw new FissiumError('GUEST_TRAPPED', 'The function trapped: unreachable.');
        return {
          status: 200,
          headers: [['content-type', 'text/plain']],
          body: Readable.from([
            Buffer.from(`${text} ${request.method} ${request.pathWithQuery} ${body}`.trim()),
          ]),
          trailers: Promise.resolve([]),
          coldStart: false,
        };
      },
      close: async () => {},
    };
  },
};

export interface TestPlatform extends AsyncDisposable {
  readonly client: KubeClient;
  readonly kubeconfig: string;
  readonly router: string;
  /** Working folder of the CLI. */
  readonly cwd: string;
  cli(args: readonly string[], options?: RunOptions): Promise<CliResult>;
  /** Writes a file into the working folder. */
  write(name: string, content: string | Uint8Array): Promise<void>;
}

export async function startTestPlatform(): Promise<TestPlatform> {
  const parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'fissium-cli-'));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const logger = pino({ level: 'silent' });
  const api = await startApiServer({ dataDir: join(folder, 'data'), port: 0, release: '0.1.0' }, logger);
  parts.defer(() => api.close());
  const client = new KubeClient(await loadKubeConfig(api.kubeconfigPath));
  parts.defer(() => client.close());

  const functions = new FunctionTable();
  const routes = new RouteTable();
  const metrics = createMetrics();
  const logs = new LogStore({ folder: join(folder, 'logs') });
  parts.defer(() => logs.close());
  const archives = await ArchiveStore.open(join(folder, 'archives'));
  const router = createRouter({ functions, routes, metrics, logs, logger, version: '0.1.0' });
  const internal = createInternalListener({
    services: router.services,
    logger,
    metrics,
    logs,
    version: '0.0.0',
    ready: () => true,
    mounts: { '/v1/archive': createStorageHandler({ storage: new FolderStorage(archives), logger }) },
  });
  const routerUrl = `http://127.0.0.1:${await router.listen('127.0.0.1', 0)}`;
  parts.defer(() => router.close({ graceMs: 100 }));
  const internalUrl = `http://127.0.0.1:${await internal.listen('127.0.0.1', 0)}`;
  parts.defer(() => internal.close({ graceMs: 100 }));
  api.setUpstreams({ router: routerUrl, 'router-internal': internalUrl, storagesvc: internalUrl });

  await ensureDefaults(client);
  const processes = new ProcessExecutor({ folder: join(folder, 'processes'), logger, spares: 0 });
  parts.defer(() => processes.close());
  const control = await startControl({
    client,
    functions,
    routes,
    host,
    preparer,
    processes,
    archives,
    logs,
    logger,
  });
  parts.defer(() => control.close());
  await control.synced();

  const cwd = await mkdtemp(join(folder, 'work-'));
  return {
    client,
    kubeconfig: api.kubeconfigPath,
    router: routerUrl,
    cwd,
    cli: (args, options = {}) =>
      run(args, { cwd, ...options, env: { KUBECONFIG: api.kubeconfigPath, ...options.env } }),
    write: (name, content) => writeFile(join(cwd, name), content),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
