/** The conformance cases over HTTP, on each engine that runs components. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Package } from '../../src/api/index.ts';
import { CASES, type Case } from '../conformance/cases.ts';
import { answerOf } from './support/conformance.ts';
import { deployGuest } from './support/deploy.ts';
import { type Platform, startPlatform } from './support/platform.ts';

/** The adapted guest consists of more core modules, which are merged. */
describe.each([
  ['component', 'torture'],
  ['component', 'torture-adapted'],
  ['jco', 'torture'],
])('engine %s, %s', (engine, name) => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await startPlatform({ args: ['--engine', engine] });
    await deployGuest(platform, name);
  });
  afterAll(async () => {
    await platform.stop();
  });

  test('the Package says which engine runs it', async () => {
    const { stdout } = await platform.cli(['pkg', 'list', '-o', 'json']);
    const logs = (JSON.parse(stdout) as Package[]).map(({ status }) => status?.buildlog ?? '');
    expect(logs).toEqual([expect.stringContaining(`Engine ${engine}:`)]);
  });

  test.each(CASES)('$name', async (item) => {
    expect(await answerOf(`${platform.router}/${name}`, item)).toEqual(item.expect);
  });

  test('a client that goes away ends its guest, which may be asleep', async () => {
    const abort = new AbortController();
    const sleeping = fetch(`${platform.router}/${name}/sleep?ms=60000`, { signal: abort.signal });
    setTimeout(() => abort.abort(), 200);
    await expect(sleeping).rejects.toThrow('abort');
    const answer = await fetch(`${platform.router}/${name}/hello`);
    expect(answer.status).toBe(200);
  });

  test('hundreds that wait hold no thread', async () => {
    const started = performance.now();
    const statuses = await Promise.all(
      Array.from(
        { length: 200 },
        async () => (await fetch(`${platform.router}/${name}/sleep?ms=1000`)).status,
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    // One after the other on two threads they would take 100 s.
    expect(performance.now() - started).toBeLessThan(50_000);
  });

  test('what it writes is in its log, by request', async () => {
    const answer = await fetch(`${platform.router}/${name}/log?lines=3`, {
      headers: { 'x-fission-request-id': `log-${engine}` },
    });
    expect(answer.status).toBe(200);
    await expect
      .poll(
        async () =>
          (await platform.cli(['fn', 'logs', '--name', name, '--reqid', `log-${engine}`])).stdout
            .trim()
            .split('\n').length,
        { timeout: 20_000 },
      )
      .toBe(6);
  });
});

describe('WASI preview 1 commands', () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await startPlatform();
    await deployGuest(platform, 'cgi');
  });
  afterAll(async () => {
    await platform.stop();
  });

  const cases: readonly Case[] = [
    {
      name: 'hello',
      path: '/hello',
      expect: { status: 200, body: 'Hello from CGI!\n', headers: { 'content-type': 'text/plain' } },
    },
    {
      name: 'a body goes there and back',
      method: 'POST',
      path: '/echo',
      body: 'y'.repeat(100_000),
      expect: { status: 200, body: 'y'.repeat(100_000) },
    },
    { name: 'a status', path: '/status404', expect: { status: 404, body: 'nothing here\n' } },
    {
      name: 'the request in the environment',
      path: '/show?a=b',
      expect: { status: 200, body: /QUERY_STRING=a=b/ },
    },
    { name: 'exit before an answer', path: '/exit', expect: { status: 502, body: /GUEST_EXITED/ } },
    { name: 'a trap', path: '/trap', expect: { status: 502, body: /GUEST_TRAPPED/ } },
    {
      name: 'output that is no CGI answer',
      path: '/bad-output',
      expect: { status: 502, body: /GUEST_BAD_RESPONSE/ },
    },
    { name: 'no files', path: '/file', expect: { status: 200, body: /Err/ } },
  ];
  test.each(cases)('$name', async (item) => {
    expect(await answerOf(`${platform.router}/cgi`, item)).toEqual(item.expect);
  });
});
