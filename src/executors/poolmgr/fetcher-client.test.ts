import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Agent } from 'undici';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { FetcherClient, refusal } from './fetcher-client.ts';
import { specialiseRequest } from './specialise-request.ts';
import { functionOn } from './testing/small-cluster.ts';

let server: Server;
let agent: Agent;
let seen: Record<string, unknown>;
let answer: (response: ServerResponse) => void;

beforeEach(async () => {
  agent = new Agent();
  answer = (response) => response.end();
  server = createServer((request, response) => {
    seen = { method: request.method, url: request.url, ...request.headers };
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  await agent.destroy();
  server.closeAllConnections();
  server.close();
});

function specialise(
  options: { port?: number; timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const { port = (server.address() as AddressInfo).port, timeoutMs = 5000 } = options;
  const sign = ({ namespace }: { namespace: string }) => ({ 'x-signed-for': namespace });
  const client = new FetcherClient({ agent, port, sign });
  return client.specialise({ ip: '127.0.0.1', namespace: 'default' }, specialiseRequest(functionOn()), {
    timeoutMs,
    signal: options.signal ?? new AbortController().signal,
  });
}

it('asks, signed for the namespace of the pod', async () => {
  await specialise();
  expect(seen).toMatchObject({ method: 'POST', url: '/specialize', 'x-signed-for': 'default' });
});

it('tells a pod that is not there from code that does not load', async () => {
  await expect(specialise({ port: 1 })).rejects.toMatchObject({ kind: 'gone', reason: 'FetcherUnreachable' });
  answer = (response) => response.destroy();
  await expect(specialise()).rejects.toMatchObject({ kind: 'gone' });
  answer = (response) => response.writeHead(500).end('The runtime could not load the function: boom');
  await expect(specialise()).rejects.toMatchObject({ kind: 'refused', reason: 'SpecialiseFailed' });
});

it('gives up in time, and at once when it is told to', async () => {
  answer = () => undefined;
  await expect(specialise({ timeoutMs: 20 })).rejects.toMatchObject({ reason: 'SpecialiseTimeout' });
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(specialise({ signal })).rejects.toThrow('enough');
});

it.each([
  [
    500,
    'The runtime could not load the function: Traceback\n NameError: x',
    'SpecialiseFailed',
    'NameError: x',
  ],
  [500, "error specializing function pod: Internal error - can't load", 'SpecialiseFailed', "can't load"],
  [422, 'The archive has the sha256 0123, but 4567 is wanted.', 'FetchFailed', '0123'],
  [404, 'There is no Package default/a.', 'FetchFailed', 'default/a'],
  [401, 'the request is not signed', 'FetcherRefused', 'FISSION_INTERNAL_AUTH_SECRET'],
  [500, '', 'FetchFailed', 'no reason is given'],
])('%i %j is %s', (status, text, reason, words) => {
  const failure = refusal(status, text);
  expect(failure).toMatchObject({ kind: 'refused', reason });
  expect(failure.message).toContain(words);
});

it('shows the beginning and the end of a long trace', () => {
  const failure = refusal(500, `The runtime could not load the function: first ${'x'.repeat(5000)} last`);
  expect(failure.message).toMatch(/first x+ … x+ last$/);
  expect(failure.message.length).toBeLessThan(1000);
});
