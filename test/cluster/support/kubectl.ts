/** kubectl, against the cluster of `KUBECONFIG`. */
import { spawn } from 'node:child_process';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An object as the API server gives it: tests look at what they know to be there. */
export interface AnyObject {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly spec?: unknown;
  readonly status?: unknown;
}

const TIMEOUT_MS = 120_000;

/** Runs a program to its end, whatever comes of it; one that takes longer than two minutes is killed. */
export function outcomeOf(
  command: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      timeout: TIMEOUT_MS,
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.once('error', reject);
    child.once('close', (code) =>
      resolve({
        code: code ?? -1,
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
      }),
    );
    // One that does not read its input is no failure.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/** With input, and whatever comes of it. */
export function tryKubectl(args: readonly string[], input = ''): Promise<Outcome> {
  return outcomeOf('kubectl', args, { input });
}

/** Its output. @throws Error with its standard error if it fails */
export async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tryKubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with code ${code}: ${stderr.trim()}`);
  return stdout;
}

/** Client-side apply, as users do it: YAML text, or objects. @throws Error with what was refused, and why */
export async function apply(
  manifest: string | object | readonly object[],
  ...args: string[]
): Promise<string> {
  const text =
    typeof manifest === 'string'
      ? manifest
      : JSON.stringify(
          Array.isArray(manifest) ? { apiVersion: 'v1', kind: 'List', items: manifest } : manifest,
        );
  const { code, stdout, stderr } = await tryKubectl(['apply', '-f', '-', ...args], text);
  if (code !== 0) throw new Error(`kubectl apply: ${stderr.trim()}`);
  return stdout;
}

/** One object. @throws Error if there is none */
export async function get(kind: string, name: string, namespace: string): Promise<AnyObject> {
  return JSON.parse(await kubectl('get', kind, name, '-n', namespace, '-o', 'json')) as AnyObject;
}

/** All objects of a kind in a namespace, or those with certain labels (`a=b,c`). */
export async function list(kind: string, namespace: string, selector = ''): Promise<readonly AnyObject[]> {
  const text = await kubectl('get', kind, '-n', namespace, '-l', selector, '-o', 'json');
  return (JSON.parse(text) as { items: readonly AnyObject[] }).items;
}
