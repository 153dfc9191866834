/** Guests that never return from `run` (or from their start), each by its own means. */
export const ENDLESS: Readonly<Record<string, string>> = {
  'an empty loop': `(module (func (export "run") (loop $again (br $again))))`,
  'an empty loop in a module with a memory': `(module (memory 1) (func (export "run") (loop $again (br $again))))`,
  'a loop that only stores': `(module (memory 1) (func (export "run") (local $i i32)
    (loop $again
      (i32.store (i32.and (local.get $i) (i32.const 0xfff0)) (local.get $i))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br $again))))`,
  'a loop that only loads': `(module (memory 1) (func (export "run") (local $i i32)
    (loop $again (local.set $i (i32.load (i32.and (local.get $i) (i32.const 0xfff0)))) (br $again))))`,
  'a loop that only counts': `(module (global $n (mut i64) (i64.const 0)) (func (export "run")
    (loop $again (global.set $n (i64.add (global.get $n) (i64.const 1))) (br $again))))`,
  'a loop that only calls': `(module
    (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "run") (local $i i32) (loop $again (local.set $i (call $leaf (local.get $i))) (br $again))))`,
  'a loop that calls the host': `(module (import "host" "nothing" (func $nothing))
    (func (export "run") (loop $again (call $nothing) (br $again))))`,
  'a loop around indirect calls': `(module (type $t (func)) (table funcref (elem $leaf))
    (func $leaf) (func (export "run") (loop $again (call_indirect (type $t) (i32.const 0)) (br $again))))`,
  'nested loops': `(module (func (export "run") (local $i i32)
    (loop $outer (local.set $i (i32.const 1000))
      (loop $inner (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $inner (local.get $i)))
      (br $outer))))`,
  'nested loops of which the inner one ends at once': `(module (func (export "run") (param i32)
    (loop $outer (loop $inner (br_if $inner (local.get 0))) (br $outer))))`,
  'a loop around a block that leaves it before the next loop': `(module (func (export "run") (param i32)
    (loop $outer (block $out (br_if $out (i32.eqz (local.get 0))) (loop $inner (br $inner))) (br $outer))))`,
  'a loop with operands': `(module (func (export "run") (local i32)
    (i32.const 1) (loop $again (param i32) (local.set 0) (local.get 0) (br $again))))`,
  'calls that double': `(module ${Array.from({ length: 60 }, (_, i) => `(func $f${i} (call $f${i + 1}) (call $f${i + 1}))`).join(' ')}
    (func $f60) (func (export "run") (call $f0)))`,
  'bulk work in a straight line': `(module (memory 4000) (func $work
    ${'(memory.fill (i32.const 0) (i32.const 1) (i32.const 262143999))'.repeat(300)})
    (func (export "run") (call $work) (call $work) (call $work)))`,
  'tail calls': `(module (func $a (return_call $b)) (func $b (return_call $a)) (func (export "run") (call $a)))`,
  'indirect tail calls': `(module (type $t (func)) (table funcref (elem $a))
    (func $a (return_call_indirect (type $t) (i32.const 0))) (func (export "run") (call $a)))`,
  'recursion without end in time (a tree of calls)': `(module
    (func $tree (param i32) (if (local.get 0) (then
      (call $tree (i32.sub (local.get 0) (i32.const 1))) (call $tree (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "run") (call $tree (i32.const 60))))`,
  'recursion in one arm of an if': `(module
    (func $f (param i32) (result i32) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
      (else (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1)))))))
    (func (export "run") (drop (call $f (i32.const 60)))))`,
  'recursion through a small function, many calls each': `(module
    (func $f (param i32) (if (local.get 0) (then
      ${'(call $g (i32.sub (local.get 0) (i32.const 1)))'.repeat(9)})))
    (func $g (param i32) (call $f (local.get 0)))
    (func (export "run") (call $f (i32.const 60))))`,
  'recursion from where an exception is caught': `(module (tag $e)
    (func $f (param i32) (if (local.get 0) (then
      (block $caught (try_table (catch $e $caught) (throw $e)))
      (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "run") (call $f (i32.const 60))))`,
  'a loop around calls that do little': `(module (type $t (func (param i32) (result i32))) (table funcref (elem $leaf))
    (func $leaf (type $t) (local.get 0))
    (func (export "run") (result i32) (loop $again (result i32)
      (br_if $again (i32.eqz (call_indirect (type $t) (i32.const 0) (i32.const 0)))) (i32.const 7))))`,
  'catch_all around a loop': `(module (import "host" "fail" (func $fail))
    (func (export "run")
      (loop $again (block $caught (try_table (catch_all $caught) (call $fail))) (br $again))))`,
  'catch_all around a spinning function': `(module
    (func $spin (loop $again (br $again)))
    (func (export "run")
      (loop $again (block $caught (try_table (catch_all $caught) (call $spin))) (br $again))))`,
  'legacy catch_all around a loop': `(module (import "host" "fail" (func $fail))
    (func (export "run") loop $again try call $fail catch_all end br $again end))`,
  'a loop of memory.fill': `(module (memory 16) (func (export "run")
    (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $again))))`,
  'a loop of failing memory.grow': `(module (memory 1 1) (func (export "run")
    (loop $again (drop (memory.grow (i32.const 1))) (br $again))))`,
  'a start function': `(module (func $spin (loop $again (br $again))) (start $spin) (func (export "run")))`,
};
