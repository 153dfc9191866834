/**
 * `fissium up`: the whole platform in one process. Here is what must come first: the data folder's lock and the
 * thread of the API, which starts while this one loads the rest (`platform.ts`).
 */
import { pino } from 'pino';
import type { RewriteStep } from '../../runtimes/wasm/prepare/index.ts';
import type { AuthSecrets } from '../auth/request-signer.ts';
import { startApiServerThread } from '../apiserver/index.ts';
import { clientVersion } from '../cli/client-version.ts';
import { openDataDir } from './data-dir.ts';
import { onStopSignal } from './stop-signal.ts';

export interface UpOptions {
  readonly dataDir: string;
  /** Address and port of the router; a port of 0 takes a free one (so for the others). */
  readonly host: string;
  readonly port: number;
  readonly internalHost: string;
  readonly internalPort: number;
  readonly apiHost: string;
  readonly apiPort: number;
  /** Threads that run functions. */
  readonly workers: number;
  /** Which engine runs components: `component` gives what it declines to jco's; `jco` is there to compare. */
  readonly engine: 'component' | 'jco';
  /** What is not done to core modules when packages are prepared. @default none */
  readonly without?: readonly RewriteStep[];
  /** Deploy the example function and its route. */
  readonly example: boolean;
  /** Fission's internal authentication, for the internal listener. */
  readonly auth: AuthSecrets;
  readonly verbose: boolean;
}

/**
 * Runs the platform until it is told to stop; resolves when everything is closed.
 * @throws FissiumError DATA_DIR_IN_USE, or BAD_OPTION where a port or folder cannot be had
 */
export async function up(options: UpOptions): Promise<void> {
  const stopped = onStopSignal();
  // Whatever this process writes is its owner's alone.
  process.umask(0o077);
  const dataDir = openDataDir(options.dataDir);
  const logger = pino({ level: options.verbose ? 'debug' : 'warn' }, pino.destination({ fd: 2, sync: true }));
  // What is started is closed in the opposite order, also when a later part does not start.
  await using parts = new AsyncDisposableStack();
  parts.defer(() => dataDir.release());

  const version = clientVersion();
  const api = startApiServerThread(
    {
      dataDir: dataDir.path,
      host: options.apiHost,
      port: options.apiPort,
      release: version,
      authSecret: options.auth.current,
      logLevel: logger.level,
      onFailure: (err) => {
        // Without its API the platform serves what it knows, but can learn nothing new: better started again.
        logger.fatal({ err }, 'the API server ended');
        process.exitCode = 1;
        process.kill(process.pid, 'SIGTERM');
      },
    },
    logger,
  );
  parts.defer(() =>
    api.then(
      (started) => started.close(),
      () => undefined,
    ),
  );
  const { runPlatform } = await import('./platform.ts');
  await runPlatform(options, { dataDir: dataDir.path, api, logger, version, stopped });
}
