/**
 * `fissium fetcher`: runs beside a runtime or a builder in a pod, with the flags of Fission's fetcher. Small and
 * quick to start: it loads nothing of the rest of the platform, not even the command line's parser.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { pino } from 'pino';

import { decodeKey, RequestVerifier, serviceVerifier } from '../auth/internal-auth.ts';
import { clientVersion } from '../cli/client-version.ts';
import { FissiumError } from '../errors.ts';
import { readSpecializeRequest, requestFromVariables, type SpecializeRequest } from '../fetcher/contract.ts';
import { storageSigner } from '../fetcher/download.ts';
import { Fetcher, mayPass } from '../fetcher/fetcher.ts';
import { createFetcherHandler, describe } from '../fetcher/server.ts';
import { Backoff } from '../kube/backoff.ts';
import { KubeClient } from '../kube/client.ts';
import { loadKubeConfig } from '../kube/kube-config.ts';
import { startPlainServer } from './plain-server.ts';
import { onStopSignal } from './stop-signal.ts';

const USAGE = `Usage: fissium fetcher [-secret-dir DIR] [-cfgmap-dir DIR] [-port 8000] [-runtime-url URL]
         [-specialize-on-startup -specialize-request JSON] SHARED-VOLUME

Runs beside a container runtime in a pod, as Fission's fetcher does: POST /fetch, /specialize, /upload.
Environment: POD_NAMESPACE (or the file /podinfo/namespace), FISSION_INTERNAL_AUTH_SECRET and _OLD, or a tenant's own
FISSION_FETCHER_KEY and _OLD, FISSION_STORAGE_KEY.`;

const DRAIN_MS = 10_000;
const TERMINATION_LOG = '/dev/termination-log';

type Env = Readonly<Record<string, string | undefined>>;

export interface FetcherArguments {
  readonly sharedFolder: string;
  readonly secretFolder: string;
  readonly configFolder: string;
  readonly host: string;
  readonly port: number;
  readonly runtimeUrl: string;
  /** What is loaded before the pod is ready; null for a generic pod. */
  readonly specialize: SpecializeRequest | null;
}

/** Reads Fission's flags, with one dash or two. @throws FissiumError BAD_OPTION */
export function parseFetcherArguments(args: readonly string[], env: Env = {}): FetcherArguments | 'help' {
  const { values, positionals } = parse(args);
  if (values.help === true) return 'help';
  const [sharedFolder, ...others] = positionals;
  if (sharedFolder === undefined || others.length > 0) {
    throw new FissiumError('BAD_OPTION', `Give one folder, the shared volume.\n\n${USAGE}`);
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new FissiumError('BAD_OPTION', `-port must be a port, but is "${values.port}".`);
  }
  return {
    sharedFolder,
    secretFolder: values['secret-dir'],
    configFolder: values['cfgmap-dir'],
    host: values.host,
    port,
    runtimeUrl: values['runtime-url'],
    specialize:
      values['specialize-on-startup'] === true
        ? parseSpecialize(values['specialize-request'] || requestFromVariables(env))
        : null,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      // Go takes long names behind one dash.
      args: args.map((arg) => (/^-[a-z]{2}/.test(arg) ? `-${arg}` : arg)),
      allowPositionals: true,
      options: {
        'secret-dir': { type: 'string', default: '/secrets' },
        'cfgmap-dir': { type: 'string', default: '/configs' },
        'specialize-on-startup': { type: 'boolean' },
        'specialize-request': { type: 'string', default: '' },
        host: { type: 'string', default: '0.0.0.0' },
        port: { type: 'string', default: '8000' },
        'runtime-url': { type: 'string', default: 'http://127.0.0.1:8888' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new FissiumError('BAD_OPTION', `${(error as Error).message}\n\n${USAGE}`, { cause: error });
  }
}

function parseSpecialize(text: string): SpecializeRequest {
  try {
    return readSpecializeRequest(JSON.parse(text));
  } catch (error) {
    throw new FissiumError('BAD_OPTION', `-specialize-request cannot be read: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

/** Runs until it is told to stop; resolves with the exit code. */
export async function fetcher(args: readonly string[], env: Env): Promise<number> {
  const logger = pino({ level: 'info' }, pino.destination({ fd: 2, sync: true })).child({
    component: 'fetcher',
  });
  try {
    const options = parseFetcherArguments(args, env);
    if (options === 'help') {
      process.stdout.write(`${USAGE}\n`);
      return 0;
    }
    return await serve(options, env, logger);
  } catch (error) {
    return fail(error, logger);
  }
}

async function serve(options: FetcherArguments, env: Env, logger: pino.Logger): Promise<number> {
  const stopped = onStopSignal();
  const { sharedFolder, secretFolder, configFolder, specialize } = options;
  for (const folder of [sharedFolder, secretFolder, configFolder]) mkdirSync(folder, { recursive: true });
  await using parts = new AsyncDisposableStack();
  // A pod whose requests bring everything along has no account to read the API with.
  let connected: Promise<KubeClient> | null = null;
  const client = (): Promise<KubeClient> => {
    connected ??= connect(env);
    return connected;
  };
  parts.defer(async () => (await connected?.catch(() => null))?.close());
  const signer = storageSigner(env, namespaceOfPod(env));
  const worker = new Fetcher({ ...options, client, logger, signer });
  let ready = specialize === null;
  const handler = createFetcherHandler({
    fetcher: worker,
    logger,
    version: clientVersion(),
    ready: () => ready,
    verifier: verifierOf(env),
  });
  const server = await startPlainServer({ host: options.host, port: options.port, handler });
  parts.defer(() => server.close(DRAIN_MS));
  logger.info({ port: server.port }, 'fetcher listens');
  const abort = new AbortController();
  void stopped.then(() => abort.abort());
  if (specialize !== null) {
    await specializeAtStart(worker, specialize, abort.signal, logger);
    ready = true;
  }
  await stopped;
  return 0;
}

async function connect(env: Env): Promise<KubeClient> {
  return new KubeClient(await loadKubeConfig(undefined, { env }), { userAgent: 'fissium-fetcher' });
}

/** What may pass is tried for ever: the pod is not ready meanwhile, and the log says why. */
async function specializeAtStart(
  worker: Fetcher,
  request: SpecializeRequest,
  signal: AbortSignal,
  logger: pino.Logger,
): Promise<void> {
  const backoff = new Backoff(500, 10_000);
  for (;;) {
    try {
      return await worker.specialize(request, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!mayPass(error)) throw error;
      logger.warn({ err: error }, 'specializing failed, will try again');
      await new Promise((resolve) => {
        setTimeout(resolve, backoff.next());
      });
    }
  }
}

/** Where `kubectl describe pod` shows it, beside the log. */
function fail(error: unknown, logger: pino.Logger): number {
  const [, message] = describe(error);
  logger.fatal({ err: error }, 'the fetcher ends');
  try {
    writeFileSync(TERMINATION_LOG, message, { flag: 'r+' });
  } catch {
    // Not in a pod.
  }
  return 1;
}

/** A tenant's pod has its own keys, and never the secret that they come from. */
function verifierOf(env: Env): RequestVerifier | null {
  const own = [decodeKey(env['FISSION_FETCHER_KEY']), decodeKey(env['FISSION_FETCHER_KEY_OLD'])];
  const keys = own.filter((key) => key !== null);
  if (keys.length > 0) return new RequestVerifier({ keys });
  const { FISSION_INTERNAL_AUTH_SECRET: secret, FISSION_INTERNAL_AUTH_SECRET_OLD: old = '' } = env;
  if (secret === '') throw new FissiumError('BAD_OPTION', 'FISSION_INTERNAL_AUTH_SECRET is set but empty.');
  return serviceVerifier('fetcher', [secret ?? '', old]);
}

function namespaceOfPod(env: Env): string {
  const named = env['POD_NAMESPACE'] ?? '';
  if (named !== '') return named;
  try {
    return readFileSync('/podinfo/namespace', 'utf8').trim();
  } catch {
    return '';
  }
}
