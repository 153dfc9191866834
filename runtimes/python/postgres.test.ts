/** The article's connection pool, with a real PostgreSQL: globals live across calls, so that the engine is made once. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { call, TestExecutor } from '../../src/executors/process/testing/executor.ts';
import { zipFolder } from '../../src/executors/process/testing/zip-folder.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const run = promisify(execFile);
const PACKAGES = ['SQLAlchemy==2.0.36', 'pg8000==1.31.2', 'typing_extensions==4.12.2'];
const CACHE = join(homedir(), '.cache', 'fissium');

const CODE = `
from sqlalchemy import create_engine, text
import os
DB_ENGINE = None
MADE = 0

def main(context):
    global DB_ENGINE, MADE
    if DB_ENGINE is None:
        DB_ENGINE = create_engine(os.getenv("DB_URL"), pool_size=5, max_overflow=10)
        MADE += 1
    with DB_ENGINE.connect() as connection:
        backend = connection.execute(text("select pg_backend_pid()")).scalar()
    return {"made": MADE, "backend": backend, "process": os.getpid()}
`;

const postgresFolder = findPostgres();
const skipReason =
  postgresFolder === null ? ' (skipped: no PostgreSQL here; apt-get install postgresql)' : '';

describe.skipIf(postgresFolder === null)(`a pooled SQLAlchemy engine${skipReason}`, () => {
  let folder: string;
  let server: ChildProcess;
  let platform: TestExecutor;
  let databaseUrl: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-pg-'));
    ({ server, url: databaseUrl } = await startPostgres(postgresFolder ?? '', folder));
    platform = await TestExecutor.start();
  });

  afterAll(async () => {
    await platform.close();
    const ended = new Promise((resolve) => server.once('close', resolve));
    // Fast shutdown: connections are closed by it.
    server.kill('SIGINT');
    await ended;
    await rm(folder, { recursive: true, force: true });
  });

  it('is made once in a process and keeps its connection between calls', async () => {
    const archivePath = join(folder, 'code.zip');
    await zipFolder(await vendored(), archivePath, { 'main.py': CODE });
    const fn = await platform.deploy('fission/python-env:3.9', '', {
      archivePath,
      env: [['DB_URL', databaseUrl]],
    });
    const answers: unknown[] = [];
    for (let count = 0; count < 5; count += 1) {
      const { status, text } = await call(fn, '/');
      expect([status, text]).toEqual([200, expect.stringContaining('backend')]);
      answers.push(JSON.parse(text));
    }
    expect(answers[0]).toMatchObject({ made: 1, backend: expect.any(Number) as number });
    // The same engine, connection and process each time.
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });
});

/** PostgreSQL refuses to run as root: there it runs as `nobody`. */
async function startPostgres(bin: string, folder: string): Promise<{ server: ChildProcess; url: string }> {
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? { uid: 65_534, gid: 65_534 } : {};
  const data = join(folder, 'pg');
  const socketFolder = join(folder, 's');
  await chmod(folder, 0o755);
  for (const each of [data, socketFolder]) {
    await mkdir(each, { mode: 0o700 });
    if (isRoot) await chown(each, 65_534, 65_534);
  }
  await run(join(bin, 'initdb'), ['-D', data, '-U', 'fn', '-A', 'trust', '--no-sync'], {
    ...user,
    cwd: folder,
  });
  // On a Unix socket alone: no port to collide on.
  const args = [
    '-D',
    data,
    '-c',
    'listen_addresses=',
    '-c',
    `unix_socket_directories=${socketFolder}`,
    '-c',
    'fsync=off',
  ];
  const server = spawn(join(bin, 'postgres'), args, {
    ...user,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  let said = '';
  server.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    if (said.includes('ready to accept connections')) resolve();
  });
  server.once('close', () => reject(new Error(`postgres ended: ${said}`)));
  await ready;
  return { server, url: `postgresql+pg8000://fn@/postgres?unix_sock=${socketFolder}/.s.PGSQL.5432` };
}

/** A folder with the function's packages, installed once and kept outside the repository. */
async function vendored(): Promise<string> {
  const key = createHash('sha256').update(PACKAGES.join(' ')).digest('hex').slice(0, 12);
  const target = join(CACHE, `test-packages-${key}`);
  if (existsSync(target)) return target;
  await mkdir(CACHE, { recursive: true });
  const fresh = await mkdtemp(`${target}.`);
  await run('python3', ['-m', 'pip', 'install', '--quiet', '--no-compile', '--target', fresh, ...PACKAGES]);
  await rename(fresh, target);
  return target;
}

function findPostgres(): string | null {
  const base = '/usr/lib/postgresql';
  if (!existsSync(base)) return null;
  const version = readdirSync(base)
    .toSorted((a, b) => Number(a) - Number(b))
    .at(-1);
  const bin = join(base, version ?? '', 'bin');
  return existsSync(join(bin, 'initdb')) ? bin : null;
}
