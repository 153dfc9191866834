/**
 * A whole platform for integration tests: `bin/fissium up` as a process of its own, in a temporary data
 * directory and on ports that the system chose, and the CLI run against it the way a user runs it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The launcher that users start. */
export const FISSIUM = join(import.meta.dirname, '../../../bin/fissium');

export interface PlatformOptions {
  /** An existing data directory; it is kept at `stop`. Without it a temporary one is made and removed. */
  readonly dataDir?: string;
  /** Executor threads. @default 2 */
  readonly workers?: number;
  /** Deploy the example function. @default false */
  readonly example?: boolean;
  /** More arguments for `up`, after the others (so that they win). */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A program and its arguments that start the platform in their place, with its own behind them. @default none */
  readonly under?: readonly string[];
  /** How long `up` may take until it says that it is ready. @default 60000 */
  readonly startTimeoutMs?: number;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  /** The command is killed after it. @default 60000 */
  readonly timeoutMs?: number;
}

export interface Platform {
  /** Base address of the router, without a slash at its end: `http://127.0.0.1:40123`. */
  readonly router: string;
  /** Base address of the internal listener. */
  readonly internal: string;
  /** Base address of the embedded Kubernetes API (https). */
  readonly api: string;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  readonly dataDir: string;
  readonly process: ChildProcess;
  /** What the process has printed on stderr so far: its log. */
  log(): string;
  /** Runs `bin/fissium <args>` against this platform. */
  cli(args: readonly string[], options?: CliOptions): Promise<CommandResult>;
  /** Ends the process and waits for it; removes the data directory if it was made here. @default SIGTERM */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

interface ReadyLine {
  readonly router: string | number;
  readonly internal: string | number;
  readonly api: string | number;
  readonly kubeconfig: string;
}

/** Starts a platform and resolves when it serves. Rejects with its output if it ends or is silent for too long. */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'fissium-it-')));
  const args = ['up', '--data', dataDir, '--port', '0', '--internal-port', '0', '--api-port', '0'];
  args.push('--workers', String(options.workers ?? 2));
  if (options.example === true) args.push('--example');
  args.push(...(options.args ?? []));

  const [command = FISSIUM, ...commandArgs] = [...(options.under ?? []), FISSIUM, ...args];
  const child = spawn(command, commandArgs, {
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (log += chunk));
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const removeData = async (): Promise<void> => {
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  };

  let ready: ReadyLine;
  try {
    ready = await readyLine(child, exited, options.startTimeoutMs ?? 60_000, () => log);
  } catch (error) {
    child.kill('SIGKILL');
    await exited;
    await removeData();
    throw error;
  }

  return {
    router: address(ready.router, 'http'),
    internal: address(ready.internal, 'http'),
    api: address(ready.api, 'https'),
    kubeconfig: ready.kubeconfig,
    dataDir,
    process: child,
    log: () => log,
    cli: (cliArgs, cliOptions = {}) =>
      runFissium(cliArgs, { ...cliOptions, env: { KUBECONFIG: ready.kubeconfig, ...cliOptions.env } }),
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const result = await exited;
      await removeData();
      return result;
    },
  };
}

/** Runs `bin/fissium` with nothing of this process's own Fissium settings; `KUBECONFIG` only if given. */
export function runFissium(args: readonly string[], options: CliOptions = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(FISSIUM, [...args], {
      cwd: options.cwd,
      env: { ...cleanEnvironment(), ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    // A command that ends without reading its input closes the pipe: not a failure of the test.
    child.stdin.on('error', () => {});
    child.stdin.end(options.stdin);
  });
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (name.startsWith('FISSION_') || name === 'KUBECONFIG' || name.startsWith('VITEST')) delete env[name];
  }
  return env;
}

function address(value: string | number, scheme: string): string {
  const text = String(value);
  return (/^\d+$/.test(text) ? `${scheme}://127.0.0.1:${text}` : text).replace(/\/$/, '');
}

function readyLine(
  child: ChildProcess,
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>,
  timeoutMs: number,
  log: () => string,
): Promise<ReadyLine> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    const report = (what: string): void =>
      reject(new Error(`fissium up ${what}\n--- stdout\n${stdout}\n--- stderr\n${log()}`));
    const timer = setTimeout(() => report(`was not ready after ${timeoutMs} ms`), timeoutMs);
    child.once('error', (error) => report(`could not be started: ${error.message}`));
    void exited.then(({ code, signal }) => {
      clearTimeout(timer);
      report(`ended before it was ready (code ${code}, signal ${signal})`);
    });
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
      const line = /^fissium ready (\{.*\})$/m.exec(stdout)?.[1];
      if (line === undefined) return;
      clearTimeout(timer);
      resolve(JSON.parse(line) as ReadyLine);
    });
  });
}
