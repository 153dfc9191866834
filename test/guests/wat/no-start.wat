;; A core module that imports nothing and exports no `_start`.
(module
  (memory (export "memory") 1)
  (func (export "run") (result i32) i32.const 42))
