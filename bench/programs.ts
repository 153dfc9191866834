/** The functions that are measured. A rival says which of them it can run. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { componentOf } from './javascript.ts';
import { ROOT } from './machine.ts';

/** What a program answers, so that the scenarios know which paths it has. */
export type Kind = 'hello' | 'hello-js' | 'torture' | 'own';

export interface Program {
  readonly name: string;
  readonly kind: Kind;
  readonly title: string;
  readonly file: string;
  readonly language: string;
  /** Where the file is made from this one by componentize-js ({@link madeReady}). */
  readonly source?: string;
}

const built = (name: string): string => join(ROOT, 'test/guests/built', `${name}.wasm`);

/** The programs that come with the suite. */
export const PROGRAMS: readonly Program[] = [
  { name: 'hello', kind: 'hello', title: 'hello: a Rust component', file: built('hello'), language: 'rust' },
  {
    name: 'torture',
    kind: 'torture',
    title: 'torture: a Rust component with a path for each behaviour',
    file: built('torture'),
    language: 'rust',
  },
  {
    name: 'hello-js',
    kind: 'hello-js',
    title: 'hello-js: JavaScript made a component by componentize-js',
    file: '',
    language: 'js',
    source: join(ROOT, 'wasm-envs/js/example/hello.js'),
  },
];

/**
 * A program by its name, or a file of the user's own: a component, or JavaScript of which one is made
 * ({@link madeReady}).
 * @throws Error that says what there is
 */
export function findProgram(name: string): Program {
  const known = PROGRAMS.find((program) => program.name === name);
  const file = known === undefined ? resolve(name) : (known.source ?? known.file);
  const own = /\.(wasm|js|mjs)$/.exec(name)?.[1];
  if (!existsSync(file) || (known === undefined && own === undefined)) {
    const what = existsSync(file) ? 'is neither .wasm nor .js' : 'no such program or file';
    throw new Error(
      `--function ${name}: ${what}. Programs: ${PROGRAMS.map((p) => p.name).join(', ')}; or the path of a .wasm component, or of a .js file that answers fetch events.`,
    );
  }
  if (known !== undefined) return known;
  const common = { name: file, kind: 'own' } as const;
  return own === 'wasm'
    ? { ...common, title: `your own: ${name}`, file, language: 'wasm' }
    : {
        ...common,
        title: `your own: ${name}, made a component by componentize-js`,
        file: '',
        language: 'js',
        source: file,
      };
}

/** The program with its component there, made first where it comes as JavaScript. @throws Error with what the builder said */
export async function madeReady(program: Program): Promise<Program> {
  return program.source === undefined ? program : { ...program, file: await componentOf(program.source) };
}

/** Size and digest, for the record. */
export function fingerprint(program: Program): string {
  const bytes = readFileSync(program.file);
  return `${Math.ceil(bytes.length / 1024)} KiB, sha256 ${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`;
}

/**
 * The same program with a digest of its own: a custom section is added, which nothing executes. So that nothing that
 * is kept by digest (prepared packages, compiled modules) makes the second of two functions cheaper.
 */
export function unique(wasm: Uint8Array, mark: string): Uint8Array {
  const name = new TextEncoder().encode('bench');
  const content = new TextEncoder().encode(mark.slice(0, 100));
  const payload = [name.length, ...name, ...content];
  return Buffer.concat([wasm, Uint8Array.from([0, payload.length, ...payload])]);
}

const GREETING = 'Hello, world!';

/**
 * The same program with another answer of the same length, for finding out when a new version answers.
 * @returns null where the program does not have the greeting as bytes
 */
export function withAnswer(wasm: Uint8Array, answer: string): Uint8Array | null {
  if (answer.length !== GREETING.length)
    throw new RangeError(`an answer of ${GREETING.length} characters is needed`);
  const bytes = Buffer.from(wasm);
  const at = bytes.indexOf(GREETING);
  if (at < 0) return null;
  bytes.write(answer, at, 'latin1');
  return bytes;
}
