/** The command line and the environment of a function's process: nothing of the platform's own is inherited. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
}

export interface LaunchOptions {
  /** The process's own folder: its home, its working and its temporary directory. */
  readonly folder: string;
  readonly socketPath: string;
  readonly graceMs: number;
  /** Requests that it has at once. */
  readonly threads: number;
}

const OPEN_FILES = 4096;
const NICE = 5;
/** The child's descriptor whose end tells it that the platform is gone. */
export const LIFELINE_FD = 3;

/**
 * The command with what the system offers around it: killed with the platform (`setpriv --pdeathsig`), no
 * privileges to gain, few open files, no core dumps, and a lower priority than the platform's.
 */
export function wrap({ command, args }: Launch): Launch {
  const words: string[] = [];
  if (process.platform === 'linux') {
    const setpriv = findProgram('setpriv');
    const prlimit = findProgram('prlimit');
    if (setpriv !== null) words.push(setpriv, '--pdeathsig', 'KILL', '--no-new-privs', '--');
    if (prlimit !== null) words.push(prlimit, `--nofile=${OPEN_FILES}`, '--core=0', '--');
  }
  const nice = findProgram('nice');
  if (nice !== null) words.push(nice, '-n', String(NICE));
  const [first = command, ...rest] = [...words, command, ...args];
  return { command: first, args: rest };
}

/** What every process gets; a function's own variables come with the request to specialise. */
export function environmentOf(options: LaunchOptions): Record<string, string> {
  const timezone = process.env['TZ'];
  return {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: options.folder,
    TMPDIR: options.folder,
    LANG: 'C.UTF-8',
    ...(timezone === undefined ? {} : { TZ: timezone }),
    PYTHONUNBUFFERED: '1',
    RUNTIME_SOCKET: options.socketPath,
    RUNTIME_GRACE_S: String(Math.ceil(options.graceMs / 1000)),
    RUNTIME_THREADS: String(options.threads),
    // The platform specialises a process that takes the place of another.
    FISSIUM_STATE_FILE: '',
    FISSIUM_LOG_MARKS: '1',
    FISSIUM_LIFELINE_FD: String(LIFELINE_FD),
  };
}

/** A program on the PATH, or null. */
export function findProgram(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next folder.
    }
  }
  return null;
}
