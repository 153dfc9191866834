import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { FissionFunction, HttpTrigger } from '../api/index.ts';
import type { RunResult } from '../bench/model.ts';
import { RESOURCES } from '../kube/index.ts';
import { readAddresses, writeAddresses } from '../kube/listener-addresses.ts';
import { routeOf } from './bench-target.ts';
import { startTestPlatform, testWasm, type CliResult, type TestPlatform } from './testing/platform.ts';

let platform: TestPlatform;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-cli-bench-'));
  platform = await startTestPlatform();
  await platform.write('hello.wasm', testWasm('hello'));
  await platform.cli(['fn', 'create', 'hello', '--code', 'hello.wasm', '--env', 'wasm', '--url', '/hello']);
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const bench = (args: readonly string[], env: Readonly<Record<string, string>>): Promise<CliResult> =>
  platform.cli(['bench', ...args], { env });
const short = ['--duration', '100ms', '--warm-up', '20ms', '--connections', '2'];
// Liveness only: each load is a process of its own, which takes a while to start on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

describe('fissium bench', () => {
  test('measures a function at its route, and writes text, JSON and a page', async () => {
    const [json, html] = [join(folder, 'run.json'), join(folder, 'run.html')];
    const { code, stdout, stderr } = await bench(
      ['hello', ...short, '--cold', '0', '--rate', '50', '--json', json, '--html', html],
      { FISSION_ROUTER_URL: platform.router },
    );
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`GET ${platform.router}/hello (its route)`);
    expect(stdout).toContain('closed loop: answers, 2 connections');
    expect(stdout).toContain('open loop: p99, 50 requests per second');
    const result = JSON.parse(await readFile(json, 'utf8')) as RunResult;
    expect(result.subject?.title).toBe('hello (namespace default)');
    expect(result.scenarios.map(({ name }) => name)).toEqual(['coldstart', 'throughput']);
    expect(await readFile(html, 'utf8')).toContain('<h1>Fissium: hello (namespace default)</h1>');
  });

  test('makes copies for first requests, and leaves none behind', async () => {
    const internal = platform.router;
    const { stdout } = await bench(['hello', ...short, '--cold', '2'], {
      FISSION_ROUTER_URL: platform.router,
      FISSION_ROUTER_INTERNAL_URL: internal,
    });
    // The test's public listener has no functions without routes: the copies were made, asked in vain, and deleted.
    expect(stdout).toContain('not measured: function, first requests: GET ');
    const { items } = await platform.client.list<FissionFunction>(RESOURCES.functions, 'default');
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['hello']);
  });

  test.each([
    [['hello'], {}, 'error: the address of the platform’s router is not known'],
    [['nosuch'], {}, 'error: function "nosuch" not found in namespace default'],
    [['hello', '--body', 'missing'], {}, '--body '],
    [['hello', '--url', 'https://localhost/'], {}, 'it must begin with http://'],
    [['hello', '--connections', '0'], {}, '--connections is "0"'],
    [
      ['hello', '--subpath', 'nosuch', '--url', 'http://127.0.0.1:9', '--cold', '0'],
      {},
      "error: function 'hello' cannot be measured",
    ],
  ] as const)('%j is refused', async (args, env, message) => {
    const { code, stderr } = await bench(args, env);
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
  });
});

test('a route that can be asked as it is', () => {
  const trigger = (spec: Partial<HttpTrigger['spec']>): HttpTrigger => ({
    apiVersion: 'fission.io/v1',
    kind: 'HTTPTrigger',
    metadata: { name: 't' },
    spec: { functionref: { type: 'name', name: 'hello' }, ...spec },
  });
  expect(routeOf([trigger({ relativeurl: '/a' })], 'hello')).toBe('/a');
  expect(routeOf([trigger({ prefix: '/b', relativeurl: '' })], 'hello')).toBe('/b');
  expect(routeOf([trigger({ relativeurl: '/a' })], 'other')).toBeNull();
  expect(routeOf([trigger({ relativeurl: '/a/{id}' }), trigger({ relativeurl: '/c' })], 'hello')).toBe('/c');
  expect(routeOf([trigger({ relativeurl: '/a', host: 'example.org' })], 'hello')).toBeNull();
});

test('addresses lie beside the kubeconfig', () => {
  const kubeconfig = join(folder, 'kubeconfig');
  expect(readAddresses(kubeconfig)).toBeNull();
  writeAddresses(kubeconfig, { router: 'http://a', internal: 'http://b' });
  expect(readAddresses(kubeconfig)).toEqual({ router: 'http://a', internal: 'http://b' });
});
