/** `fissium builder`: Fission's builder server, in the images of our builders. */
import { pino } from 'pino';

import { decodeKey, RequestVerifier, serviceVerifier } from '../auth/internal-auth.ts';
import type { ToolchainName } from '../builders/images.ts';
import { createBuilderHandler } from '../builders/server.ts';
import { toolchainEnv } from '../builders/toolchain.ts';
import { clientVersion } from '../cli/client-version.ts';
import { startPlainServer } from './plain-server.ts';
import { onStopSignal } from './stop-signal.ts';

export interface BuilderRoleOptions {
  readonly sharedFolder: string;
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  /** Whose `build` is first in PATH; null: the image has its own. */
  readonly toolchain: ToolchainName | null;
  /** Of the process: builds get it without the keys. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The installation's secret, and the one before it. */
  readonly secrets: readonly string[];
  readonly verbose: boolean;
}

const DRAIN_MS = 10_000;
const SECRET = /^FISSION_.*(?:SECRET|KEY)(?:_OLD)?$/;

/** Serves until it is told to stop. @throws FissiumError BAD_OPTION */
export async function builder(options: BuilderRoleOptions): Promise<void> {
  const { env, host, port, sharedFolder, timeoutMs, toolchain, verbose } = options;
  const stopped = onStopSignal();
  const logger = pino({ level: verbose ? 'debug' : 'info' }, pino.destination({ fd: 2, sync: true }));
  await using parts = new AsyncDisposableStack();
  const given = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !SECRET.test(entry[0]),
  );
  const handler = createBuilderHandler({
    sharedFolder,
    logger,
    version: clientVersion(),
    timeoutMs,
    env: {
      ...Object.fromEntries(given),
      ...(toolchain === null ? {} : toolchainEnv(toolchain, env['PATH'])),
    },
    ownHome: toolchain !== null,
    verifier: verifierOf(env, options.secrets),
  });
  const server = await startPlainServer({ host, port, handler });
  parts.defer(() => server.close(DRAIN_MS));
  logger.info({ port: server.port }, 'builder listens');
  await stopped;
}

/** A tenant's pod has its own keys, and never the secret that they come from. */
function verifierOf(env: BuilderRoleOptions['env'], secrets: readonly string[]): RequestVerifier | null {
  const own = [decodeKey(env['FISSION_BUILDER_KEY']), decodeKey(env['FISSION_BUILDER_KEY_OLD'])];
  const keys = own.filter((key) => key !== null);
  return keys.length > 0 ? new RequestVerifier({ keys }) : serviceVerifier('builder', secrets);
}
