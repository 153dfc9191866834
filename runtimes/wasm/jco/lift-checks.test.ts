import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wat } from '../rewrite/testing/wat.ts';
import { call, TestHost } from '../testing/host.ts';
import { TRANSFER_BYTES_CAP } from '../wasi/limits.ts';
import { MemoryInvocation } from '../wasi/testing/memory-invocation.ts';
import { addLiftChecks, liftChecks } from './lift-checks.ts';

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.start(1);
});
afterAll(() => host.close());

/** Makes handles of a resource of its own without end, which only jco's engine takes; drops each where it `drops`. */
function ownHandles(drops: boolean): Promise<Uint8Array> {
  const end = drops ? '(i32.lt_u (local.get $i) (i32.const 1000000))' : '(i32.const 1)';
  return wat(`(component
    (import "wasi:http/types@0.2.0" (instance $types
      (export "incoming-request" (type (sub resource)))
      (export "response-outparam" (type (sub resource)))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $outparam))
    (type $thing (resource (rep i32)))
    (core func $new (canon resource.new $thing))
    (core func $drop (canon resource.drop $thing))
    (core module $main
      (import "own" "new" (func $new (param i32) (result i32)))
      (import "own" "drop" (func $drop (param i32)))
      (func (export "handle") (param i32 i32) (local $i i32) (local $made i32)
        (loop $again
          (local.set $made (call $new (local.tee $i (i32.add (local.get $i) (i32.const 1)))))
          ${drops ? '(call $drop (local.get $made))' : ''}
          (br_if $again ${end}))))
    (core instance $main (instantiate $main (with "own" (instance
      (export "new" (func $new)) (export "drop" (func $drop))))))
    (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
      (canon lift (core func $main "handle")))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))`);
}

describe('a guest with resources of its own', () => {
  it('is ended when it holds too many handles of them, and its neighbours in the thread go on', async () => {
    const neighbour = await host.deploy('hello.wasm', { engine: 'jco' });
    const fn = await host.deploy(await ownHandles(false));
    await expect(call(fn, '/')).rejects.toMatchObject({
      code: 'GUEST_TRAPPED',
      message: expect.stringContaining('hold more than 16777216 bytes') as string,
    });
    expect((await call(neighbour, '/')).body).toBe('Hello, world!\n');
  });

  it('may make as many as it likes, one after the other', async () => {
    const fn = await host.deploy(await ownHandles(true));
    await expect(call(fn, '/')).rejects.toMatchObject({ code: 'GUEST_NO_RESPONSE' });
  });
});

describe('the checks', () => {
  it('stand where the script takes something over, and refuse one that does so in a way they do not know', () => {
    const known = `
  const _trampoline1 = async function(arg0, arg1) {
    var result0 = TEXT_DECODER_UTF8.decode(new Uint8Array(memory0.buffer, ptr0, len0));
    var result1 = utf16Decoder.decode(new Uint16Array(memory1.buffer, ptr1, len1));
    var result2 = new Uint32Array(memory0.buffer.slice(ptr2, ptr2 + len2 * 4));
    var result3 = [];
    for (let i = 0; i < len3; i++) {
    }
  }
  function rscTableCreateOwn(table, rep) {
    table._createdReps.add(rep);
      table.push(0);
  }`;
    const script = addLiftChecks(known, 'checks', 'known.mjs');
    expect(script.match(/checks\.\w+\([^\n;]*?\)(?=[,;])/g)).toEqual([
      'checks.called()',
      'checks.lifts((len0 >>> 0) * 2 + 48)',
      'checks.lifts((len1 >>> 0) * 2 + 48)',
      'checks.lifts((len2 >>> 0) * 4 + 336)',
      'checks.lifts((len3 >>> 0) * 128)',
      'checks.grows()',
    ]);
    expect(script).not.toContain('_createdReps.add');
    for (const unknown of [
      'decoder.decode(new Uint8Array(memory0.buffer, ptr0, len0));',
      'const copy = memory0.buffer.slice(ptr0, end0);',
      'var result4 = [];\n    while (more()) {',
    ]) {
      expect(() => addLiftChecks(`${known}\n${unknown}`, 'checks', 'unknown.mjs')).toThrow(
        'unknown.mjs takes over what a guest names in 6 places, of which 5 are known',
      );
    }
  });

  it('count each call by itself', () => {
    const { state } = new MemoryInvocation();
    const checks = liftChecks(state);
    for (let i = 0; i < 3; i++) {
      checks.called();
      checks.lifts(TRANSFER_BYTES_CAP);
    }
    expect(() => checks.lifts(1)).toThrow('more than one call may hand over');
    // Whatever the guest catches, it gets nothing more of its host.
    expect(() => state.check()).toThrow('more than one call may hand over');
  });
});
