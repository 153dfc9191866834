/** Runs Fission's own CLI, and writes down what it says without what differs from run to run. */
import { execFile } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { ZipFile } from 'yazl';
import type { Step } from './scenarios.ts';

const HERE = import.meta.dirname;
const GUESTS = join(HERE, '../guests/built');

/** The program; '' where it was not built, which is said. */
export async function findFissionCli(): Promise<string> {
  const built =
    process.env['FISSION_CLI'] ?? (await output(join(HERE, 'build.sh'), ['--if-built'])).stdout.trim();
  if (built === '') {
    process.stdout.write(
      'SKIPPED: the tests of Fission’s CLI; test/fission-cli/build.sh builds it (with Go)\n',
    );
  }
  return built;
}

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever comes of it. */
export function output(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Output> {
  return new Promise((resolve) => {
    execFile(program, args, { ...options, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

/** What the CLI says of itself behind each failure. */
const HELP = /\n(?:Aliases|Options|Global Options|Usage):\n(?:[^\n]*\n)*?(?=\nError:|Error:|\n*$)/g;

/** Without what differs from run to run: ids, times, addresses, and how wide a table's columns are for them. */
export function steady({ code, stdout, stderr }: Output): string {
  const errors = stripVTControlCharacters(stderr)
    .split('\n')
    .filter((line) => /^(?:Error|Warning|✗|  detail)/.test(line))
    .join('\n');
  const text = stripVTControlCharacters(`\n${stdout}\n${errors}\n`)
    .replaceAll(HELP, '\n')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
    .replaceAll(/\b(hello|big|wrong|viapkg|hello-python)-[0-9a-f]{8}\b/g, '$1-POD')
    .replaceAll(/-(\w{4})' to 'specs/g, "-XXXX' to 'specs")
    .replaceAll(/(archive:\/\/[\w-]+)-\w{4}\b/g, '$1-XXXX')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replaceAll(/\d\d \w{3} \d\d \d\d:\d\d \w+/g, 'TIME')
    .replaceAll(/\b\d+(?:\.\d+)?m?s\b(?=\s|$)/gm, 'AGE')
    .replaceAll(/sha256 [0-9a-f]{64}/g, 'sha256 DIGEST')
    .replaceAll(/\b(?!0{64})[0-9a-f]{64}\b/g, 'DIGEST')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
    .replaceAll(/Node[=:] ?\S+/g, 'Node=NODE')
    .replaceAll(/\(\w+ function \d+, offset 0x\w+\)/g, '(PLACE)')
    .replaceAll(/ {2,}|\t/g, ' ')
    .replaceAll(/ +$/gm, '')
    .replaceAll(/\n{2,}/g, '\n')
    // The CLI walks over maps.
    .replaceAll(/(?:^\d+ \w+ (?:created|updated|deleted): .*\n)+/gm, sortedLines)
    .replaceAll(/(?:^------\n[^]*?------\n)+/gm, sortedReports)
    .trim();
  return `${text}${text === '' ? '' : '\n'}${code === 0 ? '' : `[${code}]\n`}`;
}

/** What is read once it is as it should be; the last, as it is, after half a minute: the transcript then differs. */
async function eventually<T>(read: () => Promise<T>, isIt: (value: T) => boolean): Promise<T> {
  for (const end = Date.now() + 30_000; ;) {
    const value = await read();
    if (isIt(value) || Date.now() > end) return value;
    await setTimeout(100);
  }
}

function sortedLines(lines: string): string {
  return `${lines.trimEnd().split('\n').toSorted().join('\n')}\n`;
}

/** What `--wait` prints of each package, in the order of their names. */
function sortedReports(reports: string): string {
  return [...reports.matchAll(/------\n[^]*?------\n/g)]
    .map(([report]) => report)
    .toSorted()
    .join('');
}

/** The CLI against one platform. */
export interface Session {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
  /** Where the archives of {@link writeBigArchive} lie. */
  readonly folder: string;
  /** Base URL of the public router. */
  readonly router: string;
  /** Names in this platform of what a scenario calls otherwise. @default as they are */
  readonly renamed?: Readonly<Record<string, string>>;
}

/** Does one step; gives what the transcript has of it. */
export async function take(session: Session, step: Step, cwd: string): Promise<string> {
  const { program, env, folder, router, renamed = {} } = session;
  const run = (args: readonly string[]): Promise<Output> =>
    output(
      program,
      args.map((word) => renamed[word] ?? word),
      { cwd, env },
    );
  if ('until' in step) {
    await eventually(
      async () => (await run(step.until)).stdout,
      (stdout) => stdout.includes(step.prints),
    );
    return '';
  }
  if ('get' in step) {
    const answer = await eventually(
      () => fetch(`${router}${step.get}`),
      ({ status }) => status === step.status,
    );
    const body = (await answer.text()).replaceAll(/"requestId":"[^"]*"/g, '"requestId":"UUID"');
    return `GET ${step.get}\n${answer.status} ${body.trim()}\n`;
  }
  if ('write' in step) {
    const fixture = step.from.endsWith('.zip')
      ? join(folder, step.from)
      : step.from.endsWith('.py')
        ? join(HERE, step.from)
        : join(GUESTS, step.from);
    await copyFile(fixture, join(cwd, step.write));
    return '';
  }
  return `$ fission ${step.join(' ')}\n${steady(await run(step))}`;
}

/** All steps of a scenario. */
export async function transcript(session: Session, steps: readonly Step[], cwd: string): Promise<string> {
  let text = '';
  for (const step of steps) text += await take(session, step, cwd);
  return text;
}

/** A component beside 400 KB that do not compress. */
export async function writeBigArchive(path: string, seed: number): Promise<void> {
  const zip = new ZipFile();
  const mtime = new Date(Date.UTC(2026, 0, 1));
  zip.addBuffer(await readFile(join(GUESTS, 'hello.wasm')), 'hello.wasm', { mtime });
  const noise = new Uint8Array(400_000);
  for (let index = 0, state = seed; index < noise.length; index++) {
    // The same in every run: a linear congruence is enough against deflate.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    noise[index] = state >>> 24;
  }
  zip.addBuffer(Buffer.from(noise), 'noise.bin', { mtime });
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer);
  await writeFile(path, Buffer.concat(chunks));
}
