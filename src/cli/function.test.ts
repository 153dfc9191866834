import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestPlatform, testWasm, type TestPlatform } from './testing/platform.ts';

let platform: TestPlatform;
beforeAll(async () => {
  platform = await startTestPlatform();
  await platform.write('hello.wasm', testWasm('hello'));
});
afterAll(() => platform[Symbol.asyncDispose]());

describe('function create', () => {
  test('returns when the function and its route answer', async () => {
    const created = await platform.cli(['function', 'create', '--name', 'hello', '--code', 'hello.wasm', '--env', 'wasm']);
    expect(created).toEqual({ code: 0, stdout: "function 'hello' created\n", stderr: '' });

    const route = await platform.cli(['route', 'create', '--name', 'hello', '--function', 'hello', '--url', '/hello', '--method', 'GET']);
    expect(route).toEqual({ code: 0, stdout: "trigger 'hello' created\n", stderr: '' });
    const answer = await fetch(`${platform.router}/hello`);
    expect(await answer.text()).toBe('hello GET /');
  });
});
