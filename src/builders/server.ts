/** Fission's builder server: builds what the fetcher beside it has put into the shared volume. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Logger } from 'pino';

import type { RequestVerifier } from '../auth/internal-auth.ts';
import { FissiumError } from '../errors.ts';
import { BuildError } from './builder.ts';
import { runBuildCommand } from './run-command.ts';

export interface BuilderServerOptions {
  /** Shared with the fetcher. */
  readonly sharedFolder: string;
  readonly logger: Logger;
  readonly version: string;
  readonly timeoutMs: number;
  /** What builds get as their environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether each build gets a home and a temporary folder of its own. @default false, as in Fission */
  readonly ownHome?: boolean;
  /** @default everybody is let in */
  readonly verifier?: RequestVerifier | null;
}

const BODY_LIMIT_BYTES = 1024 * 1024;
/** A name that the builder manager gave: no path. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$/;

/**
 * `POST /` with `{"srcPkgFilename", "command"}` answers `{"artifactFilename", "buildLogs"}`, with 500 where the build
 * failed; `DELETE /clean?name=` removes a source. `GET /healthz`, `/version`.
 */
export function createBuilderHandler(
  options: BuilderServerOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { logger, version } = options;
  return async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://builder');
    if (url.pathname === '/healthz') return answer(response, 200, {});
    if (url.pathname === '/version') return answer(response, 200, { Version: version });
    try {
      const body = await readBody(request, options.verifier ?? null);
      if (url.pathname === '/' && request.method === 'POST') return await build(body, response, options);
      if (url.pathname === '/clean' && request.method === 'DELETE') {
        const name = nameOf(url.searchParams.get('name'));
        await rm(join(options.sharedFolder, name), { recursive: true, force: true });
        return answer(response, 200, { artifactFilename: name, buildLogs: '' });
      }
      return answer(response, 405, {
        artifactFilename: '',
        buildLogs: `method not allowed: ${request.method}`,
      });
    } catch (error) {
      const status = error instanceof FissiumError ? error.status : 500;
      const message = error instanceof Error ? error.message : String(error);
      logger.error({ err: error }, 'a request failed');
      if (!response.headersSent) answer(response, status, { artifactFilename: '', buildLogs: message });
    }
  };
}

async function build(body: Buffer, response: ServerResponse, options: BuilderServerOptions): Promise<void> {
  const { sharedFolder, logger, timeoutMs, env, ownHome = false } = options;
  const { srcPkgFilename, command = '' } = parse(body);
  const source = nameOf(srcPkgFilename);
  const artifact = `${source}-${randomBytes(3).toString('hex')}`;
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('nobody waits for the build any more')));
  const startMs = performance.now();
  try {
    const log = await inOwnHome(ownHome, (home) =>
      runBuildCommand({
        command,
        sourcePath: join(sharedFolder, source),
        deployPath: join(sharedFolder, artifact),
        env: { ...env, ...home },
        timeoutMs,
        signal: gone.signal,
      }),
    );
    logger.info({ source, ms: Math.round(performance.now() - startMs) }, 'built');
    answer(response, 200, { artifactFilename: artifact, buildLogs: log });
  } catch (error) {
    if (!(error instanceof FissiumError)) throw error;
    logger.info({ source, reason: error.message }, 'a build failed');
    const said = error instanceof BuildError ? error.log : `${error.message}\n`;
    answer(response, 500, { artifactFilename: artifact, buildLogs: said });
  }
}

/** A home and a temporary folder for one build, as variables. */
async function inOwnHome<T>(
  isWanted: boolean,
  work: (variables: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  if (!isWanted) return work({});
  const home = await mkdtemp(join(tmpdir(), 'build-'));
  try {
    await mkdir(join(home, 'tmp'));
    return await work({ HOME: home, TMPDIR: join(home, 'tmp') });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

function parse(body: Buffer): { readonly srcPkgFilename?: unknown; readonly command?: string } {
  try {
    const value = JSON.parse(body.toString('utf8')) as { srcPkgFilename?: unknown; command?: unknown } | null;
    const { srcPkgFilename, command = '' } = value ?? {};
    if (typeof command === 'string') return { srcPkgFilename, command };
  } catch {
    // Said below.
  }
  throw new FissiumError('BAD_REQUEST', 'The body must be {"srcPkgFilename", "command"} in JSON.');
}

function nameOf(value: unknown): string {
  if (typeof value === 'string' && NAME.test(value)) return value;
  throw new FissiumError(
    'BAD_REQUEST',
    `The source must be a name in the shared volume, but is ${JSON.stringify(value)}.`,
  );
}

async function readBody(request: IncomingMessage, verifier: RequestVerifier | null): Promise<Buffer> {
  const pending = verifier?.begin(request);
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  if (pending !== null) {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > BODY_LIMIT_BYTES)
        throw new FissiumError('BODY_TOO_LARGE', 'The body is larger than 1 MiB.');
      chunks.push(chunk);
    }
  }
  const body = Buffer.concat(chunks);
  const caller = pending?.finish(createHash('sha256').update(body).digest('hex'));
  if (pending === null || caller === null) {
    throw new FissiumError('NOT_SIGNED', 'The request is not signed for the builder of this pod.');
  }
  return body;
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
