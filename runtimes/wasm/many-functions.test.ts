/** Many functions in one host, and many first requests at once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import type { DeployedFunction } from './host.ts';
import { call, TestHost } from './testing/host.ts';

const TORTURE = readFileSync(join(import.meta.dirname, '../../test/guests/built/torture.wasm'));
const HELLO = readFileSync(join(import.meta.dirname, '../../test/guests/built/hello.wasm'));

const hosts: TestHost[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(hosts.splice(0).map((host) => host.close()));
});

/** A host that compiles nothing ahead: every function is cold until its first call. */
async function coldHost(codeBytes: number): Promise<TestHost> {
  const host = await TestHost.start(2, { codeBytes });
  hosts.push(host);
  return host;
}

/** The same component with another digest: a custom section at its end says which. */
function variant(wasm: Uint8Array, number: number): Uint8Array {
  const name = Buffer.from(`variant-${String(number).padStart(6, '0')}`);
  return Buffer.concat([wasm, Buffer.from([0, name.length + 1, name.length]), name]);
}

const countCompiles = (): (() => number) => {
  const compile = vi.spyOn(WebAssembly, 'compile');
  return () => compile.mock.calls.length;
};

const hello = (fn: DeployedFunction): Promise<string> => call(fn, '/').then(({ body }) => body);

it('a hundred first requests to one function compile it once', async () => {
  const host = await coldHost(1);
  const compiles = countCompiles();
  const fn = await host.deploy(HELLO);
  expect(compiles()).toBe(0);
  const answers = await Promise.all(Array.from({ length: 100 }, () => hello(fn)));
  expect(new Set(answers)).toEqual(new Set(['Hello, world!\n']));
  // Its core modules are merged into one.
  expect(compiles()).toBe(1);
});

it('a hundred functions of one package that are called at once share one compilation', async () => {
  const host = await coldHost(1);
  const compiles = countCompiles();
  const functions: DeployedFunction[] = [];
  for (let i = 0; i < 100; i++) functions.push(await host.deploy(TORTURE, { env: [['ME', `${i}`]] }));
  const answers = await Promise.all(functions.map((fn) => call(fn, '/env')));
  for (const [i, { body }] of answers.entries()) expect(JSON.parse(body)).toEqual({ ME: `${i}` });
  expect(compiles()).toBe(1);
});

it('two hundred functions of one package hold no more memories than threads that ran them', async () => {
  const host = await TestHost.start(2);
  hosts.push(host);
  const functions: DeployedFunction[] = [];
  for (let i = 0; i < 200; i++) functions.push(await host.deploy(TORTURE, { env: [['ME', `${i}`]] }));
  for (const [i, fn] of functions.entries())
    expect(JSON.parse((await call(fn, '/env')).body)).toEqual({ ME: `${i}` });
  expect(host.host.stats().held.memories).toBeLessThanOrEqual(2);
  await Promise.all(functions.map((fn) => fn.close()));
});

it(
  'a hundred packages that are called at once are compiled for the threads, not for the calls',
  { timeout: 120_000 },
  async () => {
    const host = await coldHost(1);
    const compiles = countCompiles();
    const functions: DeployedFunction[] = [];
    for (let i = 0; i < 100; i++) functions.push(await host.deploy(variant(HELLO, i)));
    expect(compiles()).toBe(0);
    const answers = await Promise.all(functions.flatMap((fn) => Array.from({ length: 5 }, () => hello(fn))));
    expect(new Set(answers)).toEqual(new Set(['Hello, world!\n']));
    expect(compiles()).toBeGreaterThanOrEqual(100);
    // A thread may give one up, for which there is no room here, before the other one asks for it.
    expect(compiles()).toBeLessThanOrEqual(200);
  },
);

it(
  'of a thousand functions any may be called at any time, and each is itself',
  { timeout: 120_000 },
  async () => {
    // Room for three of eight packages: the others are brought back as they are called.
    const host = await coldHost(3 * TORTURE.byteLength);
    const functions: DeployedFunction[] = [];
    for (let i = 0; i < 1000; i++)
      functions.push(await host.deploy(variant(TORTURE, i % 8), { env: [['ME', `${i}`]] }));
    let at = 1;
    for (let round = 0; round < 20; round++) {
      const numbers = Array.from(
        { length: 32 },
        () => (at = (at * 48_271) % 2_147_483_647) % functions.length,
      );
      const answers = await Promise.all(
        numbers.map((number) => call(functions[number] as DeployedFunction, '/env')),
      );
      for (const [i, { body }] of answers.entries())
        expect(JSON.parse(body)).toEqual({ ME: `${numbers[i]}` });
    }
  },
);
