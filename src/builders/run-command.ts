/** Runs a build command as Fission's builder does: no shell, `SRC_PKG` and `DEPLOY_PKG` in its environment. */
import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { accessSync, constants } from 'node:fs';

import { FissiumError } from '../errors.ts';
import { BuildError } from './builder.ts';
import { BuildLog } from './build-log.ts';

export interface BuildCommand {
  /** Words; '' for `build`. */
  readonly command: string;
  /** The source: a folder, or one file. */
  readonly sourcePath: string;
  /** Where the result is to be, a file or a folder; not there yet. */
  readonly deployPath: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Puts something around the command, such as limits. @default nothing */
  readonly wrap?: (launch: { command: string; args: readonly string[] }) => {
    command: string;
    args: readonly string[];
  };
}

/** Fission refuses the same: no shell reads the command, so that they can only be meant for one. */
const SHELL = /[;|&`$()<>\n\r]/;
const DEFAULT_COMMAND = 'build';
const END_MS = 2_000;

/** The words of a build command. @throws FissiumError BUILD_FAILED where a shell would be needed */
export function parseBuildCommand(text: string): [program: string, ...args: string[]] {
  const bad = SHELL.exec(text);
  if (bad !== null) {
    throw new FissiumError(
      'BUILD_FAILED',
      `The build command holds ${JSON.stringify(bad[0])}, which only a shell understands; it is run without one. Put the steps into a script in the source and name that (./build.sh).`,
    );
  }
  const [program = DEFAULT_COMMAND, ...args] = text
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '');
  return [program, ...args];
}

/**
 * Resolves with what the command said when it ended well.
 * @throws BuildError BUILD_FAILED with its output and why it failed; what the signal was aborted with
 */
export async function runBuildCommand(build: BuildCommand): Promise<string> {
  const { sourcePath, deployPath, env, timeoutMs, signal, wrap = (launch) => launch } = build;
  const [program, ...args] = parseBuildCommand(build.command);
  const isFolder = (await stat(sourcePath)).isDirectory();
  const cwd = isFolder ? sourcePath : dirname(sourcePath);
  const path = findCommand(program, cwd, env['PATH'] ?? '');
  if (path === null) {
    throw failed(
      `there is no ${program} ${program.includes('/') ? 'in the source' : 'among the builder’s programs'}`,
      '',
    );
  }
  signal.throwIfAborted();
  const launch = wrap({ command: path, args });
  const log = new BuildLog();
  const child = spawn(launch.command, launch.args, {
    cwd,
    env: { ...env, SRC_PKG: sourcePath, DEPLOY_PKG: deployPath },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its own group, so that it ends with whatever it started.
    detached: true,
  });
  child.stdout.on('data', (chunk: Uint8Array) => log.push(chunk));
  child.stderr.on('data', (chunk: Uint8Array) => log.push(chunk));
  const { promise: ended, resolve } = Promise.withResolvers<string | null>();
  child.once('error', (error) => resolve(`could not be started: ${error.message}`));
  child.once('exit', (code, exitSignal) => {
    const how =
      exitSignal === null
        ? code === 0
          ? null
          : `ended with exit code ${code}`
        : `was ended by ${exitSignal}`;
    // What it left running may hold its output open.
    const timer = setTimeout(() => resolve(how), END_MS);
    child.once('close', () => {
      clearTimeout(timer);
      resolve(how);
    });
  });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    endGroup(child.pid);
  }, timeoutMs);
  const onAbort = (): void => endGroup(child.pid);
  signal.addEventListener('abort', onAbort, { once: true });
  const how = await ended;
  clearTimeout(timer);
  signal.removeEventListener('abort', onAbort);
  endGroup(child.pid);
  signal.throwIfAborted();
  if (isLate) throw failed(`it took longer than ${timeoutMs / 1000} s and was ended`, log.text());
  if (how !== null) throw failed(`${[program, ...args].join(' ')} ${how}${lastLine(log.text())}`, log.text());
  return log.text();
}

/** What the source brings along comes from its folder; anything else from the builder's PATH. */
function findCommand(program: string, cwd: string, path: string): string | null {
  const candidates = program.includes('/')
    ? [join(program.startsWith('/') ? '/' : cwd, program)]
    : path.split(delimiter).map((folder) => join(folder, program));
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // The next one.
    }
  }
  // Archives made elsewhere often lose the mark of a program.
  const script = program.startsWith('./') ? join(cwd, program) : null;
  if (script === null) return null;
  try {
    accessSync(script, constants.R_OK);
  } catch {
    return null;
  }
  throw failed(`${program} is there, but is not executable: make it so before it is zipped (chmod +x)`, '');
}

/** What a build says at its end is most often why it failed; the message reaches people who never see the log. */
function lastLine(log: string): string {
  const line = log.trim().split('\n').at(-1)?.trim() ?? '';
  return line === '' ? '' : ` (${line.slice(0, 300)})`;
}

function failed(why: string, log: string): BuildError {
  const reason = `The build failed: ${why}.`;
  const said = log === '' || log.endsWith('\n') ? log : `${log}\n`;
  return new BuildError('BUILD_FAILED', reason, `${said}${reason}\n`);
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // There is nothing left of it.
  }
}
