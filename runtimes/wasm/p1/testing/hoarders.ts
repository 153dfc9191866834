/** Commands in text that make the host hold as much as it lets them, in one way each. */
import { wat } from '../../rewrite/testing/wat.ts';

/** 64 MiB: as much as a function of the tests may have. What is named there is 60 MB of zeros. */
const PAGES = 1000;
const LARGE_BYTES = 60_000_000;

const WAYS = {
  // A thousand folders; then `/tmp` is opened and gone through again and again.
  'folders that are gone through': `
    (loop $fill
      (call $number (local.get $i))
      (if (call $mkdir (i32.const 3) (i32.const 16) (i32.const 9)) (then (unreachable)))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
    (loop $again
      (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 3) (i32.const 2) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 64))
        (then (unreachable)))
      (if (call $readdir (i32.load (i32.const 64)) (i32.const 128) (i32.const 100) (i64.const 0) (i32.const 68)) (then (unreachable)))
      (br $again))`,
  // One write of the same bytes a thousand times, as the body of an answer.
  'the same bytes a thousand times': `
    (call $parts (i32.const 1) (i32.const 80) (i32.const 6))
    (if (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 64)) (then (unreachable)))
    (call $parts (i32.const 1024) (i32.const 65536) (i32.const ${LARGE_BYTES}))
    (if (call $write (i32.const 1) (i32.const 1024) (i32.const 1024) (i32.const 64)) (then (unreachable)))
    (if (i32.ne (i32.load (i32.const 64)) (i32.const 1048576)) (then (unreachable)))`,
  // The same in the log, ten times.
  'a log of the same bytes': `
    (call $parts (i32.const 1024) (i32.const 65536) (i32.const ${LARGE_BYTES}))
    (loop $again
      (if (call $write (i32.const 2) (i32.const 1024) (i32.const 1024) (i32.const 64)) (then (unreachable)))
      (if (i32.ne (i32.load (i32.const 64)) (i32.const 1048576)) (then (unreachable)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
    (call $parts (i32.const 1) (i32.const 80) (i32.const 6))
    (if (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 64)) (then (unreachable)))`,
} as const;

export type CommandWay = keyof typeof WAYS;

export function commandHoarder(way: CommandWay): Promise<Uint8Array> {
  return wat(`(module
    (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") ${PAGES})
    (data (i32.const 16) "tmp/00000")
    (data (i32.const 80) "A: b\\0a\\0a")
    (func $number (param $n i32) (local $at i32)
      (local.set $at (i32.const 24))
      (loop $digit
        (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
        (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (br_if $digit (i32.ge_u (local.get $at) (i32.const 20)))))
    (func $parts (param $count i32) (param $from i32) (param $bytes i32) (local $at i32)
      (local.set $at (i32.const 1024))
      (loop $next
        (i32.store (local.get $at) (local.get $from))
        (i32.store offset=4 (local.get $at) (local.get $bytes))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
    (func (export "_start") (local $i i32) ${WAYS[way]}))`);
}
