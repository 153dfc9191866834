/** A real S3 server for tests: Versity's gateway over a folder, built once from its Go module. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { findProgram } from '../../src/executors/process/launch.ts';

const run = promisify(execFile);
const MODULE = 'github.com/versity/versitygw/cmd/versitygw';
const VERSION = 'v1.8.0';
const ACCESS_KEY = 'test-access';
const SECRET_KEY = 'test-secret-key';

export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Where the bucket's objects lie. */
  readonly bucketFolder: string;
  close(): Promise<void>;
}

/** Whether the server can be had: it is there, or Go is there to build it. */
export async function canStartS3(): Promise<boolean> {
  return findProgram('go') !== null || (await isThere(programPath()));
}

/** Builds the server where that was not done yet (a minute or two), and starts it with an empty bucket. */
export async function startS3(): Promise<S3Server> {
  const program = await ensureProgram();
  const folder = await mkdtemp(join(tmpdir(), 'fissium-s3-'));
  const bucket = 'archives';
  await mkdir(join(folder, 'data', bucket), { recursive: true });
  await mkdir(join(folder, 'meta'));
  const port = await freePort();
  const child = spawn(
    program,
    // The sidecar holds what would else be extended attributes, which not every file system has.
    [
      '--port',
      `127.0.0.1:${port}`,
      '--quiet',
      'posix',
      '--sidecar',
      join(folder, 'meta'),
      join(folder, 'data'),
    ],
    {
      env: { ROOT_ACCESS_KEY_ID: ACCESS_KEY, ROOT_SECRET_ACCESS_KEY: SECRET_KEY, HOME: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
  const ended = once(child, 'close');
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const endpoint = `http://127.0.0.1:${port}`;
  for (let waited = 0; ; waited += 20) {
    if (child.exitCode !== null || waited > 20_000) {
      await close();
      throw new Error(`the S3 server did not start: ${said}`);
    }
    const answer = await fetch(endpoint).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer !== undefined) break;
    await delay(20);
  }
  return {
    endpoint,
    bucket,
    accessKeyId: ACCESS_KEY,
    secretAccessKey: SECRET_KEY,
    bucketFolder: join(folder, 'data', bucket),
    close,
  };
}

function programPath(): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(cache, 'fissium-tools', `versitygw-${VERSION}`);
}

async function ensureProgram(): Promise<string> {
  const program = programPath();
  if (await isThere(program)) return program;
  const folder = await mkdtemp(join(tmpdir(), 'fissium-s3-build-'));
  try {
    const env = { ...process.env, GOBIN: folder };
    await run('go', ['install', `${MODULE}@${VERSION}`], {
      env,
      timeout: 900_000,
      maxBuffer: 16 * 1024 * 1024,
    });
    await mkdir(join(program, '..'), { recursive: true });
    const fresh = `${program}.${process.pid}`;
    await run('cp', [join(folder, 'versitygw'), fresh]);
    await rename(fresh, program);
    return program;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
