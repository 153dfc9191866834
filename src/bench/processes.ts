/** Child processes of the suite: started, waited for, measured and ended, and none left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

export interface StartedProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** When it was spawned, on the clock of `performance.now()`. */
  readonly spawnedAt: number;
  /** What it has printed so far, both streams. */
  readonly output: () => string;
  /** Resolves with the match once the output matches; rejects when the process ends first or time is up. */
  matched(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray>;
  readonly exited: Promise<number | null>;
  /** SIGTERM, and SIGKILL where that does not end it in five seconds. */
  readonly stop: () => Promise<void>;
}

const alive = new Set<ChildProcess>();
// Whatever ends the suite, nothing that it started stays.
process.on('exit', () => {
  for (const child of alive) killGroup(child, 'SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is empty.
  }
}

let leftBehind = 0;

/** CPU time of descendants that were ended together with the parent that would have accounted for them, ms. */
export function leftBehindMs(): number {
  return leftBehind;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

export function startProcess(
  command: string,
  args: readonly string[],
  options: StartOptions = {},
): StartedProcess {
  const spawnedAt = performance.now();
  const child = spawn(command, [...args], {
    cwd: options.cwd,
    env: options.env ?? cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: some rivals leave the server to a grandchild, which must end with them.
    detached: true,
  });
  alive.add(child);
  let output = '';
  const listeners = new Set<() => void>();
  const hear = (chunk: string): void => {
    // Enough to find a ready line or the reason of a failure in; a program under load may log without end.
    output = (output + chunk).slice(-65_536);
    for (const listener of listeners) listener();
  };
  child.stdout.setEncoding('utf8').on('data', hear);
  child.stderr.setEncoding('utf8').on('data', hear);
  let failed: Error | undefined;
  const exited = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      failed = error;
      resolve(null);
    });
    child.once('exit', (code) => resolve(code));
  });
  return {
    pid: child.pid ?? -1,
    child,
    spawnedAt,
    output: () => output,
    exited,
    matched: (pattern, timeoutMs) =>
      new Promise((resolve, reject) => {
        const done = (finish: () => void): void => {
          clearTimeout(timer);
          listeners.delete(look);
          finish();
        };
        const report = (what: string): void =>
          done(() => reject(new Error(`${command} ${args.join(' ')} ${what}\n${output.slice(-2000)}`)));
        const look = (): void => {
          const match = pattern.exec(output);
          if (match) done(() => resolve(match));
        };
        const timer = setTimeout(() => report(`did not print ${pattern} within ${timeoutMs} ms`), timeoutMs);
        listeners.add(look);
        void exited.then((code) =>
          report(failed ? `could not be started: ${failed.message}` : `ended with ${code}`),
        );
        look();
      }),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        leftBehind += cpuMs(processTree(child.pid ?? -1).slice(1)) ?? 0;
        killGroup(child, 'SIGTERM');
        const timer = setTimeout(() => killGroup(child, 'SIGKILL'), 5000);
        await exited;
        clearTimeout(timer);
      }
      killGroup(child, 'SIGKILL');
      alive.delete(child);
    },
  };
}

/** This process's environment without settings that would reach a platform or a test runner. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(FISSION_|FISSIUM_|KUBECONFIG$|VITEST|NODE_OPTIONS$|NODE_V8_COVERAGE$)/.test(name),
    ),
  );
}

/** A port that was free a moment ago, for rivals that cannot be told to take one and say which. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** The process and all its descendants. Linux only; elsewhere the process alone. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  try {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const parent = Number(statFields(Number(name))?.[1] ?? -1);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    }
  } catch {
    return [pid];
  }
  const found = [pid];
  for (const one of found) found.push(...(children.get(one) ?? []));
  return found;
}

/** The fields of /proc/PID/stat from the third one on (the name before may hold anything). */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** CPU time that the processes have used, ms; null where /proc is not there. Ticks of 10 ms. */
export function cpuMs(pids: readonly number[]): number | null {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    if (!fields) return null;
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * 10;
}

/** Memory of the processes, MiB: proportional set size, so that pages shared between them count once. */
export function memoryMiB(pids: readonly number[]): number | null {
  let kib = 0;
  for (const pid of pids) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      kib += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? NaN);
    } catch {
      return null;
    }
  }
  return kib / 1024;
}
