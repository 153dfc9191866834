;; A command that catches everything it can and goes on for ever.
(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (func $spin (loop $again (br $again)))
  (func (export "_start")
    (loop $again
      (block $caught
        (try_table (catch_all $caught)
          (drop (call $yield))
          (call $spin)))
      (br $again))))
