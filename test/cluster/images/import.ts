import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { type Image, writeImages } from './oci.ts';
import { TarWriter } from './tar.ts';

const run = promisify(execFile);

/**
 * Brings images into a running containerd, sending only those layers that it does not have.
 * @param ctr containerd's client, the program
 * @throws Error with what it said
 */
export async function importImages(ctr: string, socket: string, images: readonly Image[]): Promise<void> {
  const where = ['-a', socket, '-n', 'k8s.io'];
  const { stdout } = await run(ctr, [...where, 'content', 'ls', '-q'], { maxBuffer: 1 << 26 });
  const present = new Set(stdout.split('\n').map((line) => line.replace('sha256:', '')));
  const child = spawn(ctr, [...where, 'images', 'import', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const exit = once(child, 'close') as Promise<[number | null]>;
  // What it did not read for a failure of its own, that failure says.
  child.stdin.on('error', () => {});
  const tar = new TarWriter((bytes) => new Promise((resolve) => child.stdin.write(bytes, () => resolve())));
  await writeImages(tar, images, present);
  child.stdin.end();
  const [code] = await exit;
  if (code !== 0)
    throw new Error(`ctr images import ended with code ${code}: ${Buffer.concat(errors).toString()}`);
}
