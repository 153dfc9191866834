import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PreparedManifest } from '../engine.ts';
import { Preparer, validateLimits } from './index.ts';
import { wat } from '../rewrite/testing/wat.ts';
import { runPrepareJob } from './job.ts';

const GUESTS = join(import.meta.dirname, '../../../test/guests/built');
const MIB = 1024 * 1024;

// Threads and jco take their time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

let cacheDir: string;
const lines: { msg: string }[] = [];
const logger = pino(
  { level: 'info' },
  { write: (line: string) => lines.push(JSON.parse(line) as { msg: string }) },
);
const open_: Preparer[] = [];

function preparer(options: Partial<ConstructorParameters<typeof Preparer>[0]> = {}): Preparer {
  const made = new Preparer({ cacheDir, logger, ...options });
  open_.push(made);
  return made;
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function guest(name: string): Promise<{ file: string; bytes: Uint8Array; digest: string }> {
  const file = join(GUESTS, name);
  const bytes = await readFile(file);
  return { file, bytes, digest: digestOf(bytes) };
}

const prepared = (): number => lines.filter(({ msg }) => msg === 'package prepared').length;

beforeEach(async () => {
  cacheDir = join(await mkdtemp(join(tmpdir(), 'fissium-prepare-')), 'cache');
  lines.length = 0;
});

afterEach(async () => {
  await Promise.all(open_.splice(0).map((made) => made.close()));
  await rm(join(cacheDir, '..'), { recursive: true, force: true });
});

describe('a component', () => {
  it('becomes a plan and core modules with the interruption check', async () => {
    const { file, digest } = await guest('torture.wasm');
    const { manifest, folder } = await preparer().prepare(file, digest);
    expect(manifest).toMatchObject({
      engine: 'component',
      digest,
      entry: expect.stringMatching(/^wasi:http\/incoming-handler@0\.2\.\d+$/) as string,
    });
    expect(manifest.imports).toContainEqual(expect.stringMatching(/^wasi:io\/streams@0\.2\.\d+$/));
    await expectModules(manifest, folder);
    expect(JSON.parse(await readFile(join(folder, String(manifest.plan)), 'utf8'))).toBeTypeOf('object');
  });

  it('that the own engine declines becomes a script, and the manifest says why', async () => {
    const { bytes } = await guest('torture.wasm');
    // A core type section, which only jco takes.
    const declined = Buffer.concat([bytes.subarray(0, 8), Buffer.of(3, 4, 1, 0x60, 0, 0), bytes.subarray(8)]);
    const { manifest, folder } = await preparer().prepare(declined, digestOf(declined));
    expect(manifest).toMatchObject({ engine: 'jco', script: 'component.mjs' });
    expect(manifest.reason).toMatch(/run by jco's engine because it declares core types/);
    await expectModules(manifest, folder);
    const script = await readFile(join(folder, 'component.mjs'), 'utf8');
    expect(script).toMatch(/^export function instantiate\(/m);
    for (const { name } of manifest.modules) expect(script).toContain(`'${name}'`);
  });
});

async function expectModules(manifest: PreparedManifest, folder: string): Promise<void> {
  expect(manifest.modules.length).toBeGreaterThan(0);
  expect(manifest.modules.every(({ interruptible }) => interruptible)).toBe(true);
  expect(manifest.modules.some(({ initialPages = 0 }) => initialPages > 0)).toBe(true);
  for (const { file } of manifest.modules) {
    expect(WebAssembly.validate(await readFile(join(folder, file)))).toBe(true);
  }
}

describe('a preview 1 command', () => {
  it('becomes one module', async () => {
    const { bytes, digest } = await guest('cgi.wasm');
    const { manifest } = await preparer().prepare(bytes, digest);
    expect(manifest).toMatchObject({
      engine: 'p1',
      entry: '_start',
      imports: ['wasi_snapshot_preview1'],
      modules: [{ name: 'main', file: 'main.wasm', interruptible: true, importsMemory: true }],
      resetBlocker: null,
      command: { memory: { initialPages: 17, maximumPages: null } },
    });
    expect(manifest.reason).toContain('by our own host, its instances reset in place');
  });

  it('of 2019 goes to @wasmer/wasi, and one of both times is refused', async () => {
    const module = (...from: readonly string[]): Promise<Uint8Array> =>
      wat(`(module ${from.map((name) => `(import "${name}" "sched_yield" (func (result i32)))`).join(' ')}
        (memory (export "memory") 1) (func (export "_start")))`);
    const old = await module('wasi_unstable');
    const manifest = await runPrepareJob({ source: old, digest: digestOf(old), cacheDir });
    expect(manifest).toMatchObject({ engine: 'p1', imports: ['wasi_unstable'] });
    expect(manifest.reason).toContain('over @wasmer/wasi, a new instance for each request');
    const both = await module('wasi_unstable', 'wasi_snapshot_preview1');
    await expect(runPrepareJob({ source: both, digest: digestOf(both), cacheDir })).rejects.toMatchObject({
      code: 'PACKAGE_REFUSED',
      message: expect.stringContaining('imports from both') as string,
    });
  });

  it('is held against the memory limit of each function', async () => {
    const { file, digest } = await guest('big-memory.wasm');
    const { manifest } = await preparer().prepare(file, digest);
    expect(() => validateLimits(manifest, { memoryBytes: 128 * MIB })).toThrow(/200 MiB.*128 MiB/);
    validateLimits(manifest, { memoryBytes: 200 * MIB });
  });
});

describe('the core modules of a component', () => {
  it.each([
    ['torture.wasm', 3],
    ['torture-adapted.wasm', 4],
  ])('of %s become one, or stay %i where that is turned off, and the status says so', async (name, count) => {
    const { bytes, digest } = await guest(name);
    const merged = await runPrepareJob({ source: bytes, digest, cacheDir });
    expect([merged.modules.length, merged.mergeBlocker, merged.resetBlocker]).toEqual([1, null, null]);
    expect(merged.reason).not.toContain('apart');
    const folder = join(cacheDir, 'apart');
    const apart = await runPrepareJob({ source: bytes, digest, cacheDir: folder, steps: { merge: false } });
    expect([apart.modules.length, apart.mergeBlocker]).toEqual([count, 'the platform was told so']);
    expect(apart.reason).toContain(', its core modules apart because the platform was told so');
  });
});

describe('refusals', () => {
  /** Without a thread of its own for each: the job is the same. */
  const refuse = (source: Uint8Array | string, digest?: string): Promise<unknown> =>
    runPrepareJob({ source, digest: digest ?? digestOf(source as Uint8Array), cacheDir });

  const supported = /Supported are WebAssembly components that export wasi:http\/incoming-handler@0\.2\.x/;

  it.each([
    ['no-start.wasm', /no _start \(it exports "run"\)/],
    ['wrong-import.wasm', /"emscripten_memcpy" from "env"/],
    ['no-handler.wasm', /no wasi:http\/incoming-handler \(it exports "answer"\)/],
    ['unknown-import.wasm', /"example:gpu\/compute@1\.2\.0", "wasi:sockets\/nonsense@0\.2\.0"/],
    ['http-p3.wasm', /WASI 0\.3, which is not supported yet/],
  ])('%s', async (name, message) => {
    const { file, digest } = await guest(name);
    const refused = refuse(file, digest);
    await expect(refused).rejects.toMatchObject({
      code: 'PACKAGE_REFUSED',
      message: expect.stringMatching(message) as string,
    });
    await expect(refused).rejects.toThrow(supported);
    expect(existsSync(cacheDir)).toBe(false);
  });

  it.each([
    ['no bytes', '', /0 bytes/],
    ['text', 'hello, this is a text', /not WebAssembly: it starts with 68 65/],
    ['a zip', 'PK\u0003\u0004abcdef', /a zip archive/],
    ['WAT', '(module)', /WebAssembly text/],
    ['half a preamble', '\0asm', /truncated/],
    ['another version', '\0asm\u0002\0\0\0', /version that is not known \(bytes 02 00 00 00/],
  ])('%s', async (_name, content, message) => {
    const bytes = Buffer.from(content, 'latin1');
    await expect(refuse(bytes)).rejects.toMatchObject({
      code: 'PACKAGE_REFUSED',
      message: expect.stringMatching(message) as string,
    });
  });

  it.each(['cgi.wasm', 'torture.wasm'])('%s cut anywhere', async (name) => {
    const { bytes } = await guest(name);
    for (const part of [0.1, 0.5, 0.9, 0.999]) {
      const cut = bytes.slice(0, Math.floor(bytes.length * part));
      await expect(refuse(cut)).rejects.toMatchObject({
        code: 'PACKAGE_REFUSED',
      });
    }
  });

  it('a file of 300 MB, without reading it', async () => {
    const file = join(cacheDir, '../large.wasm');
    await writeFile(file, '\0asm\u0001\0\0\0');
    await truncate(file, 300 * MIB);
    await expect(refuse(file, '0'.repeat(64))).rejects.toMatchObject({
      code: 'PACKAGE_REFUSED',
      message: expect.stringMatching(/has 300 MiB, a package may have 256 MiB/) as string,
    });
  });

  it('bytes of another digest', async () => {
    const { file } = await guest('cgi.wasm');
    await expect(refuse(file, '0'.repeat(64))).rejects.toThrow(/sha256 is [0-9a-f]{64}, but 0000/);
  });
});

describe('the cache', () => {
  it('prepares once for many callers, and not again in another process life', async () => {
    const { file, digest } = await guest('cgi.wasm');
    const first = preparer();
    const all = await Promise.all(Array.from({ length: 50 }, () => first.prepare(file, digest)));
    expect(new Set(all).size).toBe(1);
    expect(prepared()).toBe(1);
    const again = await preparer().prepare(file, digest);
    expect(again).toEqual(all[0]);
    expect(prepared()).toBe(1);
  });

  it.each([
    ['without a manifest', (folder: string) => rm(join(folder, 'manifest.json'))],
    ['with half a manifest', (folder: string) => truncate(join(folder, 'manifest.json'), 100)],
    ['without a module', (folder: string) => rm(join(folder, 'main.wasm'))],
    ['with a shorter module', (folder: string) => truncate(join(folder, 'main.wasm'), 1000)],
    [
      'with a changed byte',
      async (folder: string) => {
        const module = await open(join(folder, 'main.wasm'), 'r+');
        await module.write(Buffer.of(0xff), 0, 1, 5000);
        await module.close();
      },
    ],
  ])('does an entry %s again', async (_name, damage) => {
    const { file, digest } = await guest('cgi.wasm');
    const { folder } = await preparer().prepare(file, digest);
    const before = await readFile(join(folder, 'main.wasm'));
    await damage(folder);
    await preparer().prepare(file, digest);
    expect(prepared()).toBe(2);
    expect(await readFile(join(folder, 'main.wasm'))).toEqual(before);
  });

  it('removes what a killed process left half written', async () => {
    await mkdir(join(cacheDir, '.tmp-left'), { recursive: true });
    const { file, digest } = await guest('cgi.wasm');
    const { folder } = await preparer().prepare(file, digest);
    expect(await readdir(cacheDir)).toEqual([folder.slice(cacheDir.length + 1)]);
  });

  it('survives kill -9 at any moment', async () => {
    const { file, digest } = await guest('cgi.wasm');
    for (const delayMs of [0, 5, 20, 60]) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'testing/prepare-forever.ts'), cacheDir, file],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      child.kill('SIGKILL');
      await once(child, 'exit');
      const { manifest, folder } = await preparer().prepare(file, digest);
      expect(WebAssembly.validate(await readFile(join(folder, manifest.modules[0]?.file ?? '')))).toBe(true);
    }
  });
});

describe('the prepare thread', () => {
  it('is ended at the time limit, and the next package gets a new one', async () => {
    const { file, digest } = await guest('torture.wasm');
    const small = preparer({ timeoutMs: 1 });
    await expect(small.prepare(file, digest)).rejects.toMatchObject({ code: 'PREPARE_TIMEOUT' });
    const patient = preparer();
    expect((await patient.prepare(file, digest)).manifest.digest).toBe(digest);
  });

  it('refuses what needs more memory than it may have, and goes on', async () => {
    // A component with a million imports, 13 bytes each.
    const count = 1_000_000;
    const entries = Buffer.concat(
      Array.from({ length: count }, (_, index) =>
        Buffer.from(`\0\u0009i${String(index).padStart(8, '0')}\u0005\0`),
      ),
    );
    const payload = Buffer.concat([leb(count), entries]);
    const large = Buffer.concat([Buffer.of(0, 97, 115, 109, 13, 0, 1, 0, 10), leb(payload.length), payload]);
    const small = preparer({ memoryMb: 32 });
    await expect(small.prepare(large, digestOf(large))).rejects.toMatchObject({
      code: 'PACKAGE_REFUSED',
      message: expect.stringMatching(/more than 32 MiB/) as string,
    });
    const { file, digest } = await guest('cgi.wasm');
    expect((await small.prepare(file, digest)).manifest.engine).toBe('p1');
  });

  it('fails what is under way when it is closed', async () => {
    const { file, digest } = await guest('torture.wasm');
    const closing = preparer();
    const running = closing.prepare(file, digest);
    const queued = closing.prepare(join(GUESTS, 'hello.wasm'), (await guest('hello.wasm')).digest);
    const outcomes = Promise.allSettled([running, queued]);
    await closing.close();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'SHUTTING_DOWN' } });
    }
  });
});

function leb(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return Buffer.from([...bytes, left]);
    bytes.push((left & 0x7f) | 0x80);
  }
}
