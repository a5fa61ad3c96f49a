;; Imports functions that no host of ours gives.
;; Expected: refused at submit, both named.
(module
  (import "env" "launch_missiles" (func (param i32)))
  (import "wasi_snapshot_preview1" "fd_teleport" (func (result i32)))
  (func (export "_start")))
