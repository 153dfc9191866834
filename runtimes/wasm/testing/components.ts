/** Components in text whose core modules misbehave where the host calls them, or while they are instantiated. */
import { wat } from '../rewrite/testing/wat.ts';

/** @param libc a core module with `memory` and `realloc`  @param main one with `handle`, given `bytes`: get-random-bytes */
function component(libc: string, main: string): Promise<Uint8Array> {
  return wat(`(component
    (import "wasi:http/types@0.2.0" (instance $types
      (export "incoming-request" (type (sub resource))) (export "response-outparam" (type (sub resource)))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $outparam))
    (import "wasi:random/random@0.2.0" (instance $random
      (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
    (core module $libc ${libc})
    (core instance $libc (instantiate $libc))
    (core func $bytes (canon lower (func $random "get-random-bytes")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core module $main (import "host" "bytes" (func $bytes (param i64 i32))) ${main})
    (core instance $main (instantiate $main (with "host" (instance (export "bytes" (func $bytes))))))
    (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
      (canon lift (core func $main "handle")))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))`);
}

const SPIN = '(loop $again (br $again))';
const MEMORY = '(memory (export "memory") 1)';
const REALLOC = '(func (export "realloc") (param i32 i32 i32 i32) (result i32)';

export function spinsInRealloc(): Promise<Uint8Array> {
  return component(
    `${MEMORY} ${REALLOC} ${SPIN} unreachable)`,
    '(func (export "handle") (param i32 i32) (call $bytes (i64.const 8) (i32.const 16)))',
  );
}

/** Computes so long in each of its allocations that it is asked to give way there, but comes to an end. */
export function slowRealloc(): Promise<Uint8Array> {
  return component(
    `${MEMORY} ${REALLOC} (local $i i32)
      (loop $again (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 60000000))))
      (i32.const 1024))`,
    `(func (export "handle") (param i32 i32)
      (call $bytes (i64.const 8) (i32.const 16)) (call $bytes (i64.const 8) (i32.const 16)))`,
  );
}

export function spinsInStart(): Promise<Uint8Array> {
  return component(
    `${MEMORY} (func $spin ${SPIN}) (start $spin) ${REALLOC} (i32.const 0))`,
    '(func (export "handle") (param i32 i32))',
  );
}

export function spinner(): Promise<Uint8Array> {
  return component(`${MEMORY} ${REALLOC} (i32.const 0))`, `(func (export "handle") (param i32 i32) ${SPIN})`);
}
