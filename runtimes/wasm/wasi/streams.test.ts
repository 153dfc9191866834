import { describe, expect, it } from 'vitest';
import { BodyReader } from './body-reader.ts';
import { BodyWriter, type BodyTarget, type BodyWriterOptions } from './body-writer.ts';
import { OUTPUT_BUFFER_BYTES } from './limits.ts';
import { GuestTrap } from './stops.ts';
import { InputStream, OutputStream } from './streams.ts';
import { MemoryBody, MemoryInvocation } from './testing/memory-invocation.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const turnOfTheLoop = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function input(chunks: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>) {
  const { state, turn } = new MemoryInvocation();
  const body = new MemoryBody(chunks);
  const reader = new BodyReader(body, (error) => ({ message: String(error) }));
  return { state, turn, body, stream: new InputStream(state, reader) };
}

/** A target whose writes resolve when the test says so. */
class SlowTarget implements BodyTarget {
  readonly written: string[] = [];
  ended = false;
  aborted: string | null = null;
  #pending: PromiseWithResolvers<void> | null = null;

  async write(chunk: Uint8Array): Promise<void> {
    this.written.push(Buffer.from(chunk).toString());
    this.#pending = Promise.withResolvers();
    await this.#pending.promise;
  }

  take(): void {
    this.#pending?.resolve();
  }

  fail(message: string): void {
    this.#pending?.reject(new Error(message));
  }

  end(): void {
    this.ended = true;
  }

  abort({ message }: { message: string }): void {
    this.aborted = message;
  }
}

function output(options: Partial<BodyWriterOptions> = {}) {
  const { state, turn } = new MemoryInvocation();
  const target = new SlowTarget();
  const writer = new BodyWriter(state, {
    contentLength: null,
    mayBeShort: false,
    sizeError: 'HTTP-response-body-size',
    ...options,
  });
  return { state, turn, target, writer, stream: new OutputStream(state, writer) };
}

describe('input-stream', () => {
  it('reads nothing ahead before it is asked, and one chunk at most', async () => {
    const { body, stream } = input(['one', 'two', 'three']);
    expect(body.reads).toBe(0);
    expect(stream.read(10n)).toEqual({ tag: 'ok', val: new Uint8Array(0) });
    await turnOfTheLoop();
    expect(body.reads).toBe(1);
    expect(stream.subscribe().ready()).toBe(true);
    await turnOfTheLoop();
    expect(body.reads).toBe(1);
  });

  it('gives at most the bytes asked for, then the rest, then closed', async () => {
    const { stream } = input(['hello']);
    expect(await stream.blockingRead(2n)).toEqual({ tag: 'ok', val: bytes('he') });
    expect(stream.read(100n)).toEqual({ tag: 'ok', val: bytes('llo') });
    expect(await stream.blockingRead(1n)).toEqual({ tag: 'err', val: { tag: 'closed' } });
    expect(stream.read(0n)).toEqual({ tag: 'err', val: { tag: 'closed' } });
  });

  it('answers at once with the turn kept where a chunk is there, and gives the turn back to wait', async () => {
    const { stream, turn } = input(['hello']);
    const waited = stream.blockingRead(2n);
    expect(waited).toBeInstanceOf(Promise);
    expect(turn.held).toBe(false);
    await waited;
    expect(turn.held).toBe(true);
    expect(stream.blockingRead(2n)).toEqual({ tag: 'ok', val: bytes('ll') });
    expect(turn.released).toBe(1);
  });

  it('skips empty chunks and takes lengths over 2^53', async () => {
    const { stream } = input([new Uint8Array(0), 'x']);
    expect(await stream.blockingSkip(2n ** 64n - 1n)).toEqual({ tag: 'ok', val: 1n });
  });

  it('reports the failure of its source once, with the error, and is closed then', async () => {
    const { stream } = input(
      (async function* () {
        yield 'a';
        await Promise.resolve();
        throw new Error('sender went away');
      })(),
    );
    await stream.blockingRead(10n);
    const failed = await stream.blockingRead(10n);
    if (failed.tag !== 'err' || failed.val.tag !== 'last-operation-failed')
      throw new Error('expected a failure');
    expect(failed.val.val.toDebugString()).toMatch('sender went away');
    expect(stream.read(1n)).toEqual({ tag: 'err', val: { tag: 'closed' } });
  });

  it('gives each chunk back once, when the guest asks for what comes behind it', async () => {
    const chunks = [bytes('one'), bytes('two')];
    const { stream, body } = input(chunks);
    await stream.blockingRead(2n);
    await stream.blockingRead(2n);
    expect(body.released).toEqual([]);
    await stream.blockingRead(10n);
    expect(body.released).toEqual([chunks[0]]);
    expect(await stream.blockingRead(10n)).toEqual({ tag: 'err', val: { tag: 'closed' } });
    expect(stream.read(10n)).toEqual({ tag: 'err', val: { tag: 'closed' } });
    expect(body.released).toEqual(chunks);
  });

  it('is empty where there is no body', () => {
    const { state } = new MemoryInvocation();
    const stream = new InputStream(state, new BodyReader(null, () => ({ message: '' })));
    expect(stream.blockingRead(1n)).toEqual({ tag: 'err', val: { tag: 'closed' } });
  });
});

describe('output-stream', () => {
  it('traps a write without a permit, beyond it, or with one used up', () => {
    expect(() => output().stream.write(bytes('x'))).toThrow(GuestTrap);
    const beyond = output().stream;
    beyond.checkWrite();
    expect(() => beyond.writeZeroes(BigInt(OUTPUT_BUFFER_BYTES + 1))).toThrow(/check-write had permitted/);
    const used = output().stream;
    used.checkWrite();
    expect(used.write(new Uint8Array(OUTPUT_BUFFER_BYTES))).toEqual({ tag: 'ok', val: undefined });
    expect(() => used.write(bytes('x'))).toThrow(GuestTrap);
  });

  it('takes one buffer before its message is sent, then waits until somebody takes it', async () => {
    const { stream, writer, target } = output();
    expect(stream.checkWrite()).toEqual({ tag: 'ok', val: BigInt(OUTPUT_BUFFER_BYTES) });
    stream.write(new Uint8Array(OUTPUT_BUFFER_BYTES));
    expect(stream.checkWrite()).toEqual({ tag: 'ok', val: 0n });
    const pollable = stream.subscribe();
    expect(pollable.ready()).toBe(false);
    const blocked = pollable.block();
    writer.attach(target);
    await turnOfTheLoop();
    expect(pollable.ready()).toBe(false);
    target.take();
    await blocked;
    expect(stream.checkWrite()).toEqual({ tag: 'ok', val: BigInt(OUTPUT_BUFFER_BYTES) });
  });

  it('writes one chunk at a time, in order, small ones together', async () => {
    const { stream, writer, target } = output();
    writer.attach(target);
    await stream.blockingWriteAndFlush(bytes('a'));
    await stream.blockingWriteAndFlush(bytes('b'));
    await stream.blockingWriteAndFlush(bytes('c'));
    expect(target.written).toEqual(['a']);
    target.take();
    await turnOfTheLoop();
    expect(target.written).toEqual(['a', 'bc']);
    expect(writer.finish([])).toEqual({ tag: 'ok', val: undefined });
    expect(target.ended).toBe(false);
    target.take();
    await turnOfTheLoop();
    expect(target.ended).toBe(true);
  });

  it('has a copy of what waits, whatever the guest does with its memory then', async () => {
    const { stream, writer, target } = output();
    const memory = Buffer.from('a'.repeat(3000));
    stream.checkWrite();
    stream.write(memory);
    memory.fill('b');
    writer.attach(target);
    expect(target.written).toEqual(['a'.repeat(3000)]);
    stream.checkWrite();
    stream.write(memory);
    stream.write(new Uint8Array(OUTPUT_BUFFER_BYTES - 6000));
    const waiting = stream.blockingWriteAndFlush(memory);
    expect(waiting).toBeInstanceOf(Promise);
    memory.fill('c');
    for (let step = 0; step < 10; step++) {
      target.take();
      await turnOfTheLoop();
    }
    await waiting;
    const written = target.written.join('');
    expect([written.indexOf('b'), written.lastIndexOf('b') + 1]).toEqual([3000, written.length]);
    expect(written).not.toContain('c');
    expect(written.split('b')).toHaveLength(6001);
  });

  it('ends a body that is finished in the very step in which its last chunk was taken', async () => {
    const { stream, writer, target } = output();
    writer.attach(target);
    await stream.blockingWriteAndFlush(bytes('a'));
    target.take();
    for (let step = 0; step < 8 && !target.ended; step += 1) {
      if (step === 3) writer.finish([]);
      await Promise.resolve();
    }
    await turnOfTheLoop();
    expect(target.ended).toBe(true);
  });

  it('traps a blocking write of more than 4096 bytes, before it allocates', () => {
    expect(() => output().stream.blockingWriteAndFlush(new Uint8Array(4097))).toThrow(GuestTrap);
    expect(() => output().stream.blockingWriteZeroesAndFlush(2n ** 64n - 1n)).toThrow(GuestTrap);
  });

  it('fails with the size error once the body is longer than its Content-Length', () => {
    const { stream, writer } = output({ contentLength: 3 });
    stream.checkWrite();
    const failed = stream.write(bytes('four'));
    if (failed.tag !== 'err' || failed.val.tag !== 'last-operation-failed')
      throw new Error('expected a failure');
    expect(failed.val.val.httpErrorCode).toEqual({ tag: 'HTTP-response-body-size', val: 4n });
    expect(stream.checkWrite()).toEqual({ tag: 'err', val: { tag: 'closed' } });
    expect(writer.finish([])).toEqual({ tag: 'err', val: { tag: 'HTTP-response-body-size', val: 4n } });
  });

  it('fails the finish and breaks the message where the body is shorter than its Content-Length', () => {
    const { writer, target } = output({ contentLength: 3 });
    writer.attach(target);
    expect(writer.finish([])).toEqual({ tag: 'err', val: { tag: 'HTTP-response-body-size', val: 0n } });
    expect(target.aborted).toMatch('Content-Length is 3');
    expect(target.ended).toBe(false);
  });

  it('reports a failed target once, and is closed then', async () => {
    const { stream, writer, target } = output();
    writer.attach(target);
    await stream.blockingWriteAndFlush(bytes('a'));
    target.fail('the client went away');
    await turnOfTheLoop();
    const failed = stream.checkWrite();
    if (failed.tag !== 'err' || failed.val.tag !== 'last-operation-failed')
      throw new Error('expected a failure');
    expect(failed.val.val.toDebugString()).toMatch('client went away');
    expect(stream.flush()).toEqual({ tag: 'err', val: { tag: 'closed' } });
    expect(stream.subscribe().ready()).toBe(true);
  });

  it('splices what is there, and with blocking waits for both sides', async () => {
    const { state } = new MemoryInvocation();
    const reader = new BodyReader(new MemoryBody(['spliced']), () => ({ message: '' }));
    const from = new InputStream(state, reader);
    const { stream, writer, target } = output();
    writer.attach(target);
    expect(stream.splice(from, 100n)).toEqual({ tag: 'ok', val: 0n });
    await turnOfTheLoop();
    expect(await stream.blockingSplice(from, 3n)).toEqual({ tag: 'ok', val: 3n });
    expect(await stream.blockingSplice(from, 100n)).toEqual({ tag: 'ok', val: 4n });
    expect(target.written).toEqual(['spl']);
    expect(await stream.blockingSplice(from, 100n)).toEqual({ tag: 'err', val: { tag: 'closed' } });
  });

  it('refuses to be dropped before its pollable', () => {
    const { stream } = output();
    stream.subscribe();
    expect(() => stream[Symbol.dispose]()).toThrow(/children/);
  });
});
