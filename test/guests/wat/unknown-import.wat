;; A component with a handler that also imports interfaces which the platform has not.
(component
  (import "example:gpu/compute@1.2.0" (instance (export "go" (func))))
  (import "wasi:sockets/nonsense@0.2.0" (instance (export "go" (func))))
  (component $inner)
  (instance $handler)
  (export "wasi:http/incoming-handler@0.2.3" (instance $handler)))
