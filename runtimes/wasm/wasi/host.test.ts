import { describe, expect, it } from 'vitest';
import { FissiumError } from '../../../src/errors.ts';
import { exitWithCode, getEnvironment, getLogStream, getStdin } from './cli.ts';
import { subscribeDuration } from './clocks.ts';
import { Fields } from './http/fields.ts';
import { IncomingBody } from './http/incoming.ts';
import { OutgoingBody, OutgoingResponse, ResponseOutparam } from './http/outgoing.ts';
import { LOG_BYTES_CAP } from './limits.ts';
import { GuestExit, GuestTrap } from './stops.ts';
import type { WasiHost } from './host.ts';
import { MemoryInvocation, type MemoryInvocationOptions } from './testing/memory-invocation.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

function start(options: MemoryInvocationOptions = {}) {
  const invocation = new MemoryInvocation(options);
  const host = invocation.host();
  const outparam = host.responseOutparam();
  const { state } = outparam;
  const response = (...headers: [string, string][]): OutgoingResponse => {
    const fields = new Fields(state);
    for (const [name, value] of headers) fields.append(name, bytes(value));
    return new OutgoingResponse(fields);
  };
  const { sink, body, abort, turn } = invocation;
  return { invocation, sink, body, abort, turn, host, outparam, state, response };
}

function bodyOf(response: OutgoingResponse): OutgoingBody {
  const body = response.body();
  if (body.tag === 'err') throw new Error('no body');
  return body.val;
}

async function write(body: OutgoingBody, text: string): Promise<void> {
  const stream = body.write();
  if (stream.tag === 'err') throw new Error('no stream');
  const written = await stream.val.blockingWriteAndFlush(bytes(text));
  if (written.tag === 'err') throw new Error(written.val.tag);
  stream.val[Symbol.dispose]();
}

async function failureOf(host: WasiHost): Promise<string> {
  const error: unknown = await host.finish().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error instanceof FissiumError ? error.code : String(error);
}

describe('an answer', () => {
  it('goes out with status, headers, body and trailers, once', async () => {
    const { host, sink, outparam, response, state, turn } = start();
    const answer = response(['X-A', '1']);
    answer.setStatusCode(201);
    const body = bodyOf(answer);
    expect(answer.body()).toEqual({ tag: 'err', val: undefined });
    ResponseOutparam.set(outparam, { tag: 'ok', val: answer });
    expect(sink.status).toBe(201);
    await write(body, 'hello');
    const trailers = new Fields(state);
    trailers.append('x-sum', bytes('5'));
    expect(OutgoingBody.finish(body, trailers)).toEqual({ tag: 'ok', val: undefined });
    await host.finish();
    expect(turn.held).toBe(false);
    expect([sink.headers, sink.text, sink.trailers]).toEqual([[['x-a', '1']], 'hello', [['x-sum', '5']]]);
    expect(host.outcome()).toEqual({ headSent: true, ended: true, exitCode: null, errorCode: null });
    host.close();
    expect(host.failure()).toBe(null);
  });

  it('may be written before it is sent, and is complete without a body', async () => {
    const early = start();
    const answer = early.response();
    const body = bodyOf(answer);
    await write(body, 'early');
    OutgoingBody.finish(body, undefined);
    expect(early.sink.status).toBe(null);
    ResponseOutparam.set(early.outparam, { tag: 'ok', val: answer });
    await early.host.finish();
    expect(early.sink.text).toBe('early');

    const empty = start();
    ResponseOutparam.set(empty.outparam, { tag: 'ok', val: empty.response() });
    await empty.host.finish();
    expect(empty.sink.trailers).toEqual([]);
  });

  it('fails where it is missing, an error, unfinished, dropped, or not as long as it says', async () => {
    expect(await failureOf(start().host)).toBe('GUEST_NO_RESPONSE');

    const error = start();
    ResponseOutparam.set(error.outparam, { tag: 'err', val: { tag: 'DNS-timeout' } });
    expect(await failureOf(error.host)).toBe('GUEST_ERROR_CODE');
    expect(error.host.outcome().errorCode).toEqual({ tag: 'DNS-timeout' });

    const kept = start();
    const keptAnswer = kept.response();
    bodyOf(keptAnswer);
    ResponseOutparam.set(kept.outparam, { tag: 'ok', val: keptAnswer });
    expect(await failureOf(kept.host)).toBe('GUEST_BAD_RESPONSE');

    const dropped = start();
    const droppedAnswer = dropped.response();
    const droppedBody = bodyOf(droppedAnswer);
    ResponseOutparam.set(dropped.outparam, { tag: 'ok', val: droppedAnswer });
    droppedBody[Symbol.dispose]();
    expect(await failureOf(dropped.host)).toBe('GUEST_BAD_RESPONSE');

    const short = start();
    const shortAnswer = short.response(['content-length', '6']);
    const shortBody = bodyOf(shortAnswer);
    ResponseOutparam.set(short.outparam, { tag: 'ok', val: shortAnswer });
    await write(shortBody, 'hello');
    expect(OutgoingBody.finish(shortBody, undefined)).toEqual({
      tag: 'err',
      val: { tag: 'HTTP-response-body-size', val: 5n },
    });
    expect(await failureOf(short.host)).toBe('GUEST_BAD_RESPONSE');

    const missing = start();
    ResponseOutparam.set(missing.outparam, { tag: 'ok', val: missing.response(['content-length', '6']) });
    expect(await failureOf(missing.host)).toBe('GUEST_BAD_RESPONSE');
    for (const { sink } of [kept, dropped, short]) expect(sink.trailers).toBe(null);
    expect(missing.sink.status).toBe(null);
  });

  it('to HEAD may name a length that it does not have', async () => {
    const { host, outparam, response, sink } = start({ request: { method: 'HEAD' } });
    const answer = response(['content-length', '6']);
    const body = bodyOf(answer);
    ResponseOutparam.set(outparam, { tag: 'ok', val: answer });
    OutgoingBody.finish(body, undefined);
    await host.finish();
    expect(sink.headers).toEqual([['content-length', '6']]);
  });

  it('takes statuses from 200 to 999 only', () => {
    const answer = start().response();
    expect([99, 100, 199, 1000, 65_535].map((status) => answer.setStatusCode(status).tag)).toEqual(
      Array.from({ length: 5 }, () => 'err'),
    );
    expect(answer.setStatusCode(999).tag).toBe('ok');
  });

  it('waits for a slow client after the guest returned, and no longer than anybody waits', async () => {
    const { host, outparam, response, sink, abort } = start();
    const answer = response();
    const body = bodyOf(answer);
    ResponseOutparam.set(outparam, { tag: 'ok', val: answer });
    sink.stall();
    await write(body, 'slow');
    OutgoingBody.finish(body, undefined);
    const finished = failureOf(host);
    await new Promise((resolve) => setImmediate(resolve));
    expect(host.outcome().ended).toBe(false);
    abort.abort(new FissiumError('IDLE_TIMEOUT', 'too slow'));
    expect(await finished).toBe('IDLE_TIMEOUT');
  });

  it('traps a guest that finishes a body before it dropped the stream', () => {
    const { response } = start();
    const body = bodyOf(response());
    body.write();
    expect(() => OutgoingBody.finish(body, undefined)).toThrow(GuestTrap);
  });
});

describe('the request', () => {
  it('has method, path, scheme, authority and headers', () => {
    const { host } = start({
      request: { method: 'PURGE', scheme: 'https', pathWithQuery: '/a?b', headers: [['X-A', '1']] },
    });
    const request = host.incomingRequest();
    expect(request.method()).toEqual({ tag: 'other', val: 'PURGE' });
    expect(request.scheme()).toEqual({ tag: 'HTTPS' });
    expect([request.pathWithQuery(), request.authority()]).toEqual(['/a?b', 'example.test']);
    expect(request.headers().entries()).toEqual([['x-a', bytes('1')]]);
    expect(() => request[Symbol.dispose]()).toThrow(GuestTrap);
  });

  it('gives its body once, and its trailers after what is left of it', async () => {
    const { host, body } = start({ body: ['a', 'b', 'c'], trailers: [['X-T', '1']] });
    const request = host.incomingRequest();
    const consumed = request.consume();
    if (consumed.tag === 'err') throw new Error('no body');
    expect(request.consume()).toEqual({ tag: 'err', val: undefined });
    const stream = consumed.val.stream();
    if (stream.tag === 'err') throw new Error('no stream');
    expect(consumed.val.stream()).toEqual({ tag: 'err', val: undefined });
    await stream.val.blockingRead(1n);
    expect(() => start().host.incomingRequest()).not.toThrow();
    stream.val[Symbol.dispose]();
    const future = IncomingBody.finish(consumed.val);
    expect(future.get()).toBe(undefined);
    await future.subscribe().block();
    const first = future.get();
    if (first?.tag !== 'ok' || first.val.tag !== 'ok') throw new Error('no trailers');
    expect(first.val.val?.entries()).toEqual([['x-t', bytes('1')]]);
    expect(future.get()).toEqual({ tag: 'err', val: undefined });
    expect(body?.reads).toBe(4);
  });

  it('is cancelled where the guest drops it or its body', () => {
    const dropped = start({ body: ['a'] });
    dropped.host.incomingRequest()[Symbol.dispose]();
    expect(dropped.body?.cancelled).toBe(true);
    const consumed = start({ body: ['a'] });
    const body = consumed.host.incomingRequest().consume();
    if (body.tag === 'ok') body.val[Symbol.dispose]();
    expect(consumed.body?.cancelled).toBe(true);
  });
});

describe('a guest', () => {
  it('sees the environment that it was granted, and an empty standard input', () => {
    const { state } = start({ grants: { env: [['A', '1']] } });
    expect(getEnvironment(state)).toEqual([['A', '1']]);
    expect(getStdin(state).blockingRead(1n)).toEqual({ tag: 'err', val: { tag: 'closed' } });
  });

  it('ends by exit, and nothing of the host answers it any more', async () => {
    const { state, host } = start();
    const pollable = subscribeDuration(state, 0n);
    expect(() => exitWithCode(state, 3)).toThrow(GuestExit);
    expect(() => pollable.ready()).toThrow(GuestExit);
    expect(host.failure()?.code).toBe('GUEST_EXITED');
    expect(host.outcome().exitCode).toBe(3);
    expect(await failureOf(host)).toBe('GUEST_EXITED');
  });

  it('has not failed by exit(0) after its answer', () => {
    const { state, host, outparam, response } = start();
    ResponseOutparam.set(outparam, { tag: 'ok', val: response() });
    expect(() => exitWithCode(state, 0)).toThrow(GuestExit);
    expect(host.failure()).toBe(null);
  });

  it('is gone with its client, and the failure says why', () => {
    const { host, abort } = start();
    abort.abort();
    expect(host.failure()?.code).toBe('CLIENT_GONE');
    expect(() => host.incomingRequest().method()).toThrow('the invocation has ended');
  });

  it('logs up to the cap, then one line says that the rest is dropped', async () => {
    const { state, invocation } = start();
    const out = getLogStream(state, 'stdout');
    const line = 'x'.repeat(4096);
    for (let written = 0; written < LOG_BYTES_CAP + 10 * 4096; written += 4096) {
      await out.blockingWriteAndFlush(bytes(line));
    }
    expect(invocation.stdout).toHaveLength(LOG_BYTES_CAP);
    expect(invocation.stderr).toMatch('what follows is dropped');
    await getLogStream(state, 'stderr').blockingWriteAndFlush(bytes('unheard'));
    expect(invocation.stderr).not.toMatch('unheard');
  });
});
