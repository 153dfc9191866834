import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import type { Need } from '../pool/index.ts';
import { getLogStream } from './cli.ts';
import { subscribeDuration } from './clocks.ts';
import { HostBytes, hostBytes } from './host-bytes.ts';
import { Fields } from './http/fields.ts';
import { IncomingBody, type IncomingResponse } from './http/incoming.ts';
import { type FutureIncomingResponse, handle } from './http/outgoing-handler.ts';
import { OutgoingRequest } from './http/outgoing-request.ts';
import { OutgoingBody, ResponseOutparam } from './http/outgoing.ts';
import {
  ERROR_MESSAGE_CHARS_CAP,
  HOST_BYTES_CAP,
  HOST_BYTES_FREE,
  LOG_BYTES_CAP,
  LOG_LINE_WEIGHT,
  OUTBOUND_PART_CHARS_CAP,
} from './limits.ts';
import { poll } from './poll.ts';
import type { Result } from './result.ts';
import type { GuestState } from './state.ts';
import { GuestEnded } from './stops.ts';
import { MemoryInvocation } from './testing/memory-invocation.ts';

function value<Value>(result: Result<Value, unknown> | undefined): Value {
  if (result?.tag !== 'ok') throw new Error(`no value: ${JSON.stringify(result)}`);
  return result.val;
}

function drop(...resources: Disposable[]): void {
  for (const resource of resources) resource[Symbol.dispose]();
}

function requestWith(state: GuestState): OutgoingRequest {
  const fields = new Fields(state);
  fields.append('a', Buffer.from('b'));
  fields.append('a', Buffer.from('c'));
  fields.set('d', [Buffer.from('e')]);
  fields.delete('a');
  const request = new OutgoingRequest(fields);
  request.setPathWithQuery(`/${'x'.repeat(1000)}`);
  request.setPathWithQuery('/y');
  return request;
}

it('a thread gives what it has, and no more', () => {
  let pages = 10;
  const budget = {
    take: (need: Need) => pages >= need.pages && (pages -= need.pages) >= 0,
    giveBack: (need: Need) => void (pages += need.pages),
  };
  const page = 65_536;
  const bytes = new HostBytes(budget, 6 * page);
  expect([4, 4, 2, 1].map((count) => bytes.take(count * page))).toEqual([true, false, true, false]);
  expect(pages).toBe(4);
  bytes.give(6 * page);
  expect([bytes.takenBytes, pages]).toEqual([0, 10]);
  // The process has no more, though the thread might.
  pages = 3;
  expect([bytes.take(4 * page), bytes.takenBytes, pages]).toEqual([false, 0, 3]);
});

it('what a guest drops, sends or finishes is counted no more, however often it does', async () => {
  const invocation = new MemoryInvocation();
  const { state } = invocation;
  const before = state.heldBytes;
  for (let round = 0; round < 2000; round++) {
    const request = requestWith(state);
    const body = value(request.body());
    const stream = value(body.write());
    stream.checkWrite();
    for (let i = 0; i < 5; i++) value(stream.write(Buffer.from('small')));
    value(stream.write(Buffer.alloc(5000)));
    value(stream.write(Buffer.from('small')));
    drop(stream);
    if (round % 2 === 0) value(OutgoingBody.finish(body, new Fields(state)));
    else drop(body);
    // Denied, and dropped unsent.
    if (round % 3 === 0) handle(state, request, undefined);
    else drop(request);
    const soon = subscribeDuration(state, 0n);
    await poll(state, [soon, soon]);
    drop(soon);
  }
  expect(state.heldBytes).toBeLessThanOrEqual(before);
  state.close();
});

it('requests whose bodies are finished but never sent count until the end', () => {
  const { state } = new MemoryInvocation();
  const taken = hostBytes.takenBytes;
  const hoard = (): void => {
    for (;;) {
      const request = requestWith(state);
      const body = value(request.body());
      const stream = value(body.write());
      stream.checkWrite();
      value(stream.write(Buffer.alloc(100_000)));
      drop(stream);
      value(OutgoingBody.finish(body, undefined));
    }
  };
  expect(hoard).toThrow(/unsent bytes together|hold more than/);
  expect(hostBytes.takenBytes).toBeGreaterThan(taken);
  state.close();
  expect(hostBytes.takenBytes).toBe(taken);
});

it('who asks for more than its thread has left is told that the platform is busy', () => {
  const { state } = new MemoryInvocation();
  const rest = 256 * 1024 * 1024 - hostBytes.takenBytes;
  expect(hostBytes.take(rest)).toBe(true);
  try {
    state.hold(HOST_BYTES_FREE - state.heldBytes);
    expect(() => state.hold(1)).toThrow(GuestEnded);
    expect(state.stop?.cause).toMatchObject({ code: 'PLATFORM_BUSY' });
    expect(state.tryHold(1)).toBe(false);
  } finally {
    hostBytes.give(rest);
  }
  state.close();
  const alone = new MemoryInvocation().state;
  expect(alone.tryHold(HOST_BYTES_CAP)).toBe(true);
  expect(() => alone.hold(1)).toThrow(/more than 16777216 bytes/);
  alone.close();
});

it('responses count from when their heads come until they are dropped', async () => {
  const server = createServer((_, response) => {
    for (let i = 0; i < 900; i++) response.setHeader(`x-${i}`, 'y');
    response.end('body');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const authority = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const { state } = new MemoryInvocation({ grants: { allowedOutboundHosts: [`http://${authority}`] } });
  const ask = async (): Promise<FutureIncomingResponse> => {
    const request = requestWith(state);
    request.setAuthority(authority);
    request.setScheme({ tag: 'HTTP' });
    const future = value(handle(state, request, undefined));
    await future.subscribe().block();
    return future;
  };
  try {
    const before = state.heldBytes;
    const future = await ask();
    const response: IncomingResponse = value(value(future.get()));
    const headers = response.headers();
    expect(state.heldBytes).toBeGreaterThan(before + 900 * 500);
    const body = value(response.consume());
    drop(headers, IncomingBody.finish(body), response);
    expect(state.heldBytes).toBeLessThan(before + 5000);
    const kept: IncomingResponse[] = [];
    let outcome = value((await ask()).get());
    for (; outcome.tag === 'ok'; outcome = value((await ask()).get())) {
      kept.push(outcome.val);
      // Only so many may be under way.
      drop(value(outcome.val.consume()));
      if (kept.length > 200) throw new Error('so many responses were never too many');
    }
    expect(outcome.val).toMatchObject({ tag: 'HTTP-response-header-section-size' });
    expect(kept.length).toBeGreaterThan(20);
  } finally {
    state.close();
    await state.egress.close();
    server.close();
  }
});

it('parts of a request that are longer than any are refused', () => {
  const { state } = new MemoryInvocation();
  const request = requestWith(state);
  const long = 'a'.repeat(OUTBOUND_PART_CHARS_CAP + 1);
  expect(request.setMethod({ tag: 'other', val: long })).toEqual({ tag: 'err', val: undefined });
  expect(request.setScheme({ tag: 'other', val: long })).toEqual({ tag: 'err', val: undefined });
  expect(request.setAuthority(long)).toEqual({ tag: 'err', val: undefined });
  expect(request.setMethod({ tag: 'other', val: 'BREW' }).tag).toBe('ok');
  state.close();
});

it('a long word about an error is cut', async () => {
  const invocation = new MemoryInvocation();
  const host = invocation.host();
  const val = 'why '.repeat(1_000_000);
  ResponseOutparam.set(host.responseOutparam(), { tag: 'err', val: { tag: 'internal-error', val } });
  const failure = await host.finish().catch((error: Error) => error);
  expect(failure?.message.length).toBeLessThan(ERROR_MESSAGE_CHARS_CAP + 100);
  expect(failure?.message).toMatch(/internal-error \(why why/);
  host.close();
});

it('empty lines fill a log, too', () => {
  const invocation = new MemoryInvocation();
  const log = getLogStream(invocation.state, 'stdout');
  const lines = Buffer.alloc(4096, '\n');
  for (let i = 0; i < 100; i++) {
    log.checkWrite();
    value(log.write(lines));
  }
  expect(invocation.stdout.length).toBeLessThanOrEqual(LOG_BYTES_CAP / (LOG_LINE_WEIGHT + 1) + 1);
  expect(invocation.stdout.length).toBeGreaterThan(60_000);
  expect(invocation.stderr).toMatch(/what follows is dropped/);
  invocation.state.close();
});
