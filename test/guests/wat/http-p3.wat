;; A component that exports the handler of WASI 0.3.
(component
  (instance $handler)
  (export "wasi:http/handler@0.3.0" (instance $handler)))
