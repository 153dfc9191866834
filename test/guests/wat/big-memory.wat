;; A command whose memory begins with 200 MiB.
(module
  (memory (export "memory") 3200)
  (func (export "_start")))
