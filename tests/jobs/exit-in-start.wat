;; Exits with 5 in the function that runs before its entry.
;; Expected: exited with code 5.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $early (call $proc_exit (i32.const 5)))
  (start $early)
  (func (export "_start") unreachable))
