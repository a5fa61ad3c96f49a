;; Imports a function that the host gives, with another signature.
;; Expected: module-rejected by the node, naming fd_write and both signatures.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func (param i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "_start")))
