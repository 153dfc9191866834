/** Functions of one code: what they share, what that keeps small, and what none may see of another. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineThread } from '../pool/testing/engine-thread.ts';
import { threadMemory } from '../pool/thread.ts';
import { packFiles } from '../wasi/filesystem/file-set.ts';

const NONE = { plans: 0, linkages: 0, pools: 0 };
const MIB = 1024 * 1024;
const HELLO = readFileSync(join(import.meta.dirname, '../../../test/guests/built/hello.wasm'));

let thread: EngineThread;
beforeEach(() => {
  thread = new EngineThread();
});
afterEach(() => thread.close());

describe('functions of one code', () => {
  it('have one plan, one linkage, one pool and one instance, however many they are', async () => {
    const calls = [];
    for (let i = 0; i < 50; i++) calls.push(await thread.deploy('hello.wasm'));
    const before = threadMemory.idle.instances;
    const found = new Set<string>();
    for (const call of calls) {
      const { text, receipt } = await call('/');
      expect(text).toBe('Hello, world!\n');
      found.add(receipt.instance);
    }
    // Also the first call of each finds it made.
    expect(found).toEqual(new Set(['ready']));
    expect(thread.shared.held).toEqual({ plans: 1, linkages: 1, pools: 1 });
    expect(threadMemory.idle.instances).toBe(before);
    expect(before).toBe(1);
    thread.closeFunctions();
    expect(threadMemory.idle.instances).toBe(0);
    expect(thread.shared.held).toEqual(NONE);
  });

  it('that ends leaves the others what they share', async () => {
    const first = await thread.deploy('hello.wasm');
    await first('/');
    thread.closeFunctions();
    const second = await thread.deploy('hello.wasm');
    const third = await thread.deploy('hello.wasm');
    expect((await second('/')).status).toBe(200);
    expect((await third('/')).status).toBe(200);
    expect(thread.shared.held).toEqual({ plans: 1, linkages: 1, pools: 1 });
  });

  it('have instances of their own limit where their memory limits differ', async () => {
    const small = await thread.deploy('torture.wasm', { memoryBytes: 16 * MIB });
    const large = await thread.deploy('torture.wasm', { memoryBytes: 64 * MIB });
    expect(thread.shared.held).toEqual({ plans: 1, linkages: 2, pools: 2 });
    expect((await large('/alloc?bytes=33554432')).error).toBeNull();
    expect((await small('/alloc?bytes=33554432')).error).not.toBeNull();
    expect((await small('/hello')).status).toBe(200);
  });

  it('have no instance in common where their namespaces differ', async () => {
    const ours = await thread.deploy('hello.wasm', {}, 'component', { namespace: 'ours' });
    const theirs = await thread.deploy('hello.wasm', {}, 'component', { namespace: 'theirs' });
    expect(thread.shared.held).toEqual({ plans: 1, linkages: 1, pools: 2 });
    expect((await ours('/')).receipt.instance).toBe('ready');
    expect((await theirs('/')).receipt.instance).toBe('ready');
  });

  it('have no instance in common where it keeps its state', async () => {
    const reuse = { instance: { mode: 'reuse', maxRequests: null, idleTimeoutMs: 60_000 } } as const;
    const one = await thread.deploy('torture.wasm', reuse);
    const other = await thread.deploy('torture.wasm', reuse);
    const fresh = await thread.deploy('torture.wasm');
    const first = (await one('/counter')).text;
    expect((await one('/counter')).text).not.toBe(first);
    expect((await other('/counter')).text).toBe(first);
    expect((await fresh('/counter')).text).toBe(first);
    expect(thread.shared.held).toEqual({ plans: 1, linkages: 1, pools: 3 });
  });

  it('have no instance in common where the guest runs while one is made', async () => {
    const env = [['NAME', 'value']] as const;
    await thread.deploy('startup-seed.wasm', {}, 'component', { env });
    await thread.deploy('startup-seed.wasm');
    expect(thread.shared.held).toEqual({ plans: 1, linkages: 1, pools: 2 });
    await thread.deploy('startup.wasm');
    await thread.deploy('startup.wasm');
    expect(thread.shared.held).toEqual({ plans: 2, linkages: 2, pools: 3 });
  });

  it('whose code differs but was linked alike share the plan alone', async () => {
    for (const mark of ['a', 'b', 'c']) {
      // A custom section: another digest, nothing else.
      const section = Buffer.from([0, 2, 1, mark.charCodeAt(0)]);
      await thread.deploy(Buffer.concat([HELLO, section]));
    }
    expect(thread.shared.held).toEqual({ plans: 1, linkages: 3, pools: 3 });
  });
});

describe('of a function with the same code, in the same instance, none sees', () => {
  it('the environment', async () => {
    const mine = await thread.deploy('torture.wasm', {}, 'component', { env: [['SECRET', 'mine']] });
    const bare = await thread.deploy('torture.wasm');
    for (let i = 0; i < 3; i++) {
      expect(JSON.parse((await mine('/env')).text)).toEqual({ SECRET: 'mine' });
      expect(JSON.parse((await bare('/env')).text)).toEqual({});
    }
    expect(threadMemory.idle.instances).toBe(1);
  });

  it('files, secrets, configuration or what was left in /tmp', async () => {
    const grants = (text: string) => {
      const content = Buffer.from(text);
      const set = packFiles([{ path: 'secrets/default/s/key', content, modifiedMs: 0 }]);
      return { config: [['colour', text]] as const, files: set ? [set] : [] };
    };
    const red = await thread.deploy('files.wasm', {}, 'component', grants('red'));
    const blue = await thread.deploy('files.wasm', {}, 'component', grants('blue'));
    const bare = await thread.deploy('files.wasm');
    for (let i = 0; i < 2; i++) {
      for (const [call, text] of [
        [red, 'red'],
        [blue, 'blue'],
      ] as const) {
        expect((await call('/read?path=/secrets/default/s/key')).text).toBe(text);
        expect((await call('/config?key=colour')).text).toBe(text);
        expect((await call('/list?path=/tmp')).text).toBe('');
        expect((await call(`/write?path=/tmp/left&text=${text}`)).status).toBe(200);
      }
      expect((await bare('/read?path=/secrets/default/s/key')).status).toBe(404);
      expect((await bare('/config?key=colour')).status).toBe(404);
      expect((await bare('/all-config')).text).toBe('');
      expect((await bare('/list?path=/tmp')).text).toBe('');
    }
    expect(threadMemory.idle.instances).toBe(1);
  });

  it('what was left in memory, also by one that trapped', async () => {
    const one = await thread.deploy('torture.wasm');
    const other = await thread.deploy('torture.wasm');
    const first = (await one('/counter')).text;
    expect((await other('/counter')).text).toBe(first);
    expect((await one('/trap')).error).toBe('GUEST_TRAPPED');
    expect((await other('/counter')).text).toBe(first);
    expect((await one('/counter')).text).toBe(first);
  });

  it('its log', async () => {
    const one = await thread.deploy('torture.wasm');
    const other = await thread.deploy('torture.wasm');
    const logged = (await one('/log')).log;
    expect(logged).not.toBe('');
    expect((await other('/hello')).log).toBe('');
  });
});
