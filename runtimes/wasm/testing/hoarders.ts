/** Components in text that make the host hold as much as it lets them, in one way each. */
import { wat } from '../rewrite/testing/wat.ts';

/** What a hoarder does again and again; `$i` counts the rounds, and `(i32.const 0)` is a name or path of `a`s. */
export const WAYS = {
  'handles of pollables': '(drop (call $subscribe (i64.const 3600000000000)))',
  'empty fields': '(drop (call $fields))',
  'fields with many small entries': `
    (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 1000))) (then (local.set $held (call $fields))))
    (call $append (local.get $held) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 70000))`,
  'fields with large entries': `
    (local.set $held (call $fields))
    (call $append (local.get $held) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 60000) (i32.const 70000))`,
  'requests with long paths': `
    (local.set $held (call $request (call $fields)))
    (drop (call $set-path (local.get $held) (i32.const 1) (i32.const 0) (i32.const 65536)))`,
  'bodies written byte by byte': `
    (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 100000))) (then
      (call $body (call $request (call $fields)) (i32.const 70000))
      (call $stream (i32.load (i32.const 70004)) (i32.const 70000))
      (local.set $held (i32.load (i32.const 70004)))
      (call $check-write (local.get $held) (i32.const 70000))))
    (call $write (local.get $held) (i32.const 0) (i32.const 1) (i32.const 70000))`,
  'bodies written in large parts': `
    (call $body (call $request (call $fields)) (i32.const 70000))
    (call $stream (i32.load (i32.const 70004)) (i32.const 70000))
    (local.set $held (i32.load (i32.const 70004)))
    (call $check-write (local.get $held) (i32.const 70000))
    (call $write (local.get $held) (i32.const 0) (i32.const 60000) (i32.const 70000))`,
  'one list of many pairs': '(call $from-list (i32.const 100000) (i32.const 400000) (i32.const 70000))',
  'one list that names the same bytes again and again': `
    (loop $fill
      (i32.store offset=100004 (i32.shl (local.get $i) (i32.const 4)) (i32.const 1))
      (i32.store offset=100012 (i32.shl (local.get $i) (i32.const 4)) (i32.const 6000000))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
    (call $from-list (i32.const 100000) (i32.const 1000) (i32.const 70000))`,
  'a million handles in one poll': `
    (local.set $held (call $subscribe (i64.const 3600000000000)))
    (loop $fill
      (i32.store (i32.add (i32.const 100000) (i32.shl (local.get $i) (i32.const 2))) (local.get $held))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000000))))
    (call $poll (i32.const 100000) (i32.const 1000000) (i32.const 70000))`,
} as const;

export type Way = keyof typeof WAYS;

/** @param rounds after so many it waits for an hour with what it has; without, it goes on until it is stopped */
export function hoarder(way: Way, rounds?: number): Promise<Uint8Array> {
  const more = rounds === undefined ? '(i32.const 1)' : `(i32.lt_u (local.get $i) (i32.const ${rounds}))`;
  return wat(`(component
    (import "wasi:io/poll@0.2.0" (instance $poll
      (export "pollable" (type $p (sub resource)))
      (export "[method]pollable.block" (func (param "self" (borrow $p))))
      (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
    (alias export $error "error" (type $io-error))
    (import "wasi:io/streams@0.2.0" (instance $streams
      (export "output-stream" (type $os (sub resource)))
      (alias outer 1 $io-error (type $e0)) (export "error" (type $e (eq $e0)))
      (type $se0 (variant (case "last-operation-failed" (own $e)) (case "closed")))
      (export "stream-error" (type $se (eq $se0)))
      (export "[method]output-stream.check-write" (func (param "self" (borrow $os)) (result (result u64 (error $se)))))
      (export "[method]output-stream.write" (func (param "self" (borrow $os)) (param "contents" (list u8)) (result (result (error $se)))))))
    (alias export $streams "output-stream" (type $output-stream))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
      (alias outer 1 $pollable (type $p0)) (export "pollable" (type $p (eq $p0)))
      (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
    (import "wasi:http/types@0.2.0" (instance $types
      (alias outer 1 $output-stream (type $os0)) (export "output-stream" (type $os (eq $os0)))
      (export "fields" (type $f (sub resource)))
      (export "incoming-request" (type (sub resource)))
      (export "response-outparam" (type (sub resource)))
      (export "outgoing-request" (type $or (sub resource)))
      (export "outgoing-body" (type $ob (sub resource)))
      (type $he0 (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
      (export "header-error" (type $he (eq $he0)))
      (export "[constructor]fields" (func (result (own $f))))
      (export "[static]fields.from-list" (func (param "entries" (list (tuple string (list u8)))) (result (result (own $f) (error $he)))))
      (export "[method]fields.append" (func (param "self" (borrow $f)) (param "name" string) (param "value" (list u8)) (result (result (error $he)))))
      (export "[constructor]outgoing-request" (func (param "headers" (own $f)) (result (own $or))))
      (export "[method]outgoing-request.set-path-with-query" (func (param "self" (borrow $or)) (param "path-with-query" (option string)) (result (result))))
      (export "[method]outgoing-request.body" (func (param "self" (borrow $or)) (result (result (own $ob)))))
      (export "[method]outgoing-body.write" (func (param "self" (borrow $ob)) (result (result (own $os)))))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $outparam))
    (core module $libc
      (memory (export "memory") 100)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 6000000)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $poll-list (canon lower (func $poll "poll") (memory $memory) (realloc $realloc)))
    (core func $check-write (canon lower (func $streams "[method]output-stream.check-write") (memory $memory)))
    (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $memory)))
    (core func $fields (canon lower (func $types "[constructor]fields")))
    (core func $from-list (canon lower (func $types "[static]fields.from-list") (memory $memory)))
    (core func $append (canon lower (func $types "[method]fields.append") (memory $memory)))
    (core func $new-request (canon lower (func $types "[constructor]outgoing-request")))
    (core func $set-path (canon lower (func $types "[method]outgoing-request.set-path-with-query") (memory $memory)))
    (core func $body (canon lower (func $types "[method]outgoing-request.body") (memory $memory)))
    (core func $stream (canon lower (func $types "[method]outgoing-body.write") (memory $memory)))
    (core module $main
      (import "host" "memory" (memory 100))
      (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
      (import "host" "block" (func $block (param i32)))
      (import "host" "poll" (func $poll (param i32 i32 i32)))
      (import "host" "check-write" (func $check-write (param i32 i32)))
      (import "host" "write" (func $write (param i32 i32 i32 i32)))
      (import "host" "fields" (func $fields (result i32)))
      (import "host" "from-list" (func $from-list (param i32 i32 i32)))
      (import "host" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
      (import "host" "request" (func $request (param i32) (result i32)))
      (import "host" "set-path" (func $set-path (param i32 i32 i32 i32) (result i32)))
      (import "host" "body" (func $body (param i32 i32)))
      (import "host" "stream" (func $stream (param i32 i32)))
      (func (export "handle") (param i32 i32) (local $i i32) (local $held i32)
        (memory.fill (i32.const 0) (i32.const 97) (i32.const 65536))
        (loop $again
          ${WAYS[way]}
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again ${more}))
        (call $block (call $subscribe (i64.const 3600000000000)))))
    (core instance $main (instantiate $main (with "host" (instance
      (export "memory" (memory $memory)) (export "subscribe" (func $subscribe)) (export "block" (func $block))
      (export "poll" (func $poll-list)) (export "check-write" (func $check-write)) (export "write" (func $write))
      (export "fields" (func $fields)) (export "from-list" (func $from-list)) (export "append" (func $append))
      (export "request" (func $new-request)) (export "set-path" (func $set-path)) (export "body" (func $body))
      (export "stream" (func $stream))))))
    (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
      (canon lift (core func $main "handle")))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))`);
}
