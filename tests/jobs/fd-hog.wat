;; Opens a file of /scratch (descriptor 5) again and again, and closes none.
;; Expected: exited with code 29 (I/O: what WASI has for it), 33 or 41 (too many open files), or trapped, kind
;; "too-many-host-resources"; the worker says so itself.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "file")
  (func (export "_start") (local $error i32) (local $left i32)
    (local.set $left (i32.const 1000000))
    (loop $more
      (local.set $error
        (call $path_open (i32.const 5) (i32.const 0) (i32.const 64) (i32.const 4)
          (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24)))
      (if (local.get $error) (then (call $proc_exit (local.get $error))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left)))))
