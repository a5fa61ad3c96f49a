;; Writes a mebibyte at a time to a file of /scratch (descriptor 5) until it is told that it may not.
;; Expected: scratch-full.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 17)
  (data (i32.const 64) "big")
  (func (export "_start") (local $error i32)
    (drop (call $path_open (i32.const 5) (i32.const 0) (i32.const 64) (i32.const 3)
      (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24)))
    (i32.store (i32.const 32) (i32.const 65536))
    (i32.store (i32.const 36) (i32.const 1048576))
    (loop $more
      (local.set $error
        (call $fd_write (i32.load (i32.const 24)) (i32.const 32) (i32.const 1) (i32.const 40)))
      (br_if $more (i32.eqz (local.get $error))))
    (call $proc_exit (local.get $error))))
