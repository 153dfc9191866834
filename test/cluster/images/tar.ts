/** Writes tar archives: owner root, time 0, names in the order given, so that the same input gives the same bytes. */
import { createReadStream } from 'node:fs';
import { lstat, readFile, readdir, readlink, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';

const BLOCK = 512;

function clean(path: string): string {
  return posix.normalize(`/${path}`).replace(/^\/+|\/+$/g, '');
}

/** GNU's format, which has long names. */
function header(name: string, mode: number, size: number, type: string, link: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  const put = (text: string, at: number, length: number): void => {
    Buffer.from(text).copy(block, at, 0, length);
  };
  put(name, 0, 100);
  put(mode.toString(8).padStart(7, '0'), 100, 8);
  put('0000000', 108, 8);
  put('0000000', 116, 8);
  put(size.toString(8).padStart(11, '0'), 124, 12);
  put('00000000000', 136, 12);
  put(' '.repeat(8), 148, 8);
  put(type, 156, 1);
  put(link, 157, 100);
  put('ustar  \0', 257, 8);
  let sum = 0;
  for (const byte of block) sum += byte;
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8);
  return block;
}

/** An archive that is being written. Parents are added by themselves; of two entries at one path the first counts. */
export class TarWriter {
  readonly #write: (bytes: Buffer) => Promise<void>;
  readonly #seen = new Set<string>();

  /** @param write takes the archive's bytes, one call after the other */
  constructor(write: (bytes: Buffer) => Promise<void>) {
    this.#write = write;
  }

  async directory(path: string, mode = 0o755): Promise<void> {
    const name = await this.#claim(path);
    if (name !== undefined) await this.#entry(`${name}/`, mode, 0, '5', '');
  }

  async file(path: string, data: Buffer, mode = 0o644): Promise<void> {
    const name = await this.#claim(path);
    if (name === undefined) return;
    await this.#entry(name, mode, data.length, '0', '');
    await this.#write(data);
    await this.#pad(data.length);
  }

  async link(path: string, target: string): Promise<void> {
    const name = await this.#claim(path);
    if (name !== undefined) await this.#entry(name, 0o777, 0, '2', target);
  }

  /** A file, a link or a folder with all that is in it and that `keep` keeps. */
  async tree(source: string, path: string, keep: (source: string) => boolean = () => true): Promise<void> {
    if (!keep(source)) return;
    const stats = await lstat(source);
    if (stats.isSymbolicLink()) return this.link(path, await readlink(source));
    if (stats.isFile()) return this.file(path, await readFile(source), stats.mode & 0o7777);
    if (!stats.isDirectory()) return;
    await this.directory(path, stats.mode & 0o7777);
    for (const entry of (await readdir(source)).toSorted()) {
      await this.tree(join(source, entry), `${path}/${entry}`, keep);
    }
  }

  /** A file's contents as they are now, without holding them in memory. */
  async copy(source: string, path: string, mode = 0o644): Promise<void> {
    const name = await this.#claim(path);
    if (name === undefined) return;
    const { size } = await stat(source);
    await this.#entry(name, mode, size, '0', '');
    for await (const chunk of createReadStream(source, { highWaterMark: 1 << 20 })) {
      await this.#write(chunk as Buffer);
    }
    await this.#pad(size);
  }

  /** Ends the archive. */
  async end(): Promise<void> {
    await this.#write(Buffer.alloc(2 * BLOCK));
  }

  async #claim(path: string): Promise<string | undefined> {
    const name = clean(path);
    if (name === '' || this.#seen.has(name)) return undefined;
    if (name.includes('/')) await this.directory(posix.dirname(name));
    this.#seen.add(name);
    return name;
  }

  async #entry(name: string, mode: number, size: number, type: string, link: string): Promise<void> {
    for (const [kind, text] of [
      ['L', name],
      ['K', link],
    ] as const) {
      const bytes = Buffer.from(`${text}\0`);
      if (bytes.length <= 101) continue;
      await this.#write(header('././@LongLink', 0, bytes.length, kind, ''));
      await this.#write(Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]));
    }
    await this.#write(header(name, mode, size, type, link));
  }

  async #pad(size: number): Promise<void> {
    const rest = size % BLOCK;
    if (rest > 0) await this.#write(Buffer.alloc(BLOCK - rest));
  }
}
