/** The folder that a standalone platform keeps everything in, held by one process at a time. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FissiumError } from '../errors.ts';

export interface DataDir {
  readonly path: string;
  /** Lets another process have the folder. */
  release(): void;
}

interface Holder {
  readonly pid: number;
  readonly since: string;
}

/**
 * Creates the folder (mode 0700) where it is missing and takes its lock. The lock is SQLite's own, an fcntl
 * lock on `lock.db` that the kernel drops when the process dies, however it dies; `holder.json` only names the
 * holder for the message.
 * @throws FissiumError DATA_DIR_IN_USE with the process that holds it
 */
export function openDataDir(folder: string): DataDir {
  const path = resolve(folder);
  try {
    makeFolder(path);
    chmodSync(path, 0o700);
  } catch (cause) {
    throw new FissiumError('BAD_OPTION', `--data ${path} cannot be used: ${(cause as Error).message}`, {
      cause,
    });
  }
  const holderFile = join(path, 'holder.json');
  const database = new DatabaseSync(join(path, 'lock.db'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    const holder = readHolder(holderFile);
    const who = holder ? `process ${holder.pid} (since ${holder.since})` : 'another process';
    throw new FissiumError(
      'DATA_DIR_IN_USE',
      `${path} is in use by ${who}: stop it, or give this platform its own folder with --data DIR`,
      { cause },
    );
  }
  const holder: Holder = { pid: process.pid, since: new Date().toISOString() };
  writeFileSync(holderFile, JSON.stringify(holder), { mode: 0o600 });
  locks.add(database);
  return {
    path,
    release: () => {
      locks.delete(database);
      database.close();
    },
  };
}

/** A connection that nobody refers to is closed by the garbage collector, and its lock is gone. */
const locks = new Set<DatabaseSync>();

/** `mkdirSync` with `recursive` never returns where mkdir answers ENOENT for ever, as below /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

function readHolder(file: string): Holder | null {
  try {
    const holder = JSON.parse(readFileSync(file, 'utf8')) as Partial<Holder>;
    return typeof holder.pid === 'number' && typeof holder.since === 'string'
      ? { pid: holder.pid, since: holder.since }
      : null;
  } catch {
    return null;
  }
}
