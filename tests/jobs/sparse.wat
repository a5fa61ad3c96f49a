;; Makes a file of /scratch (descriptor 5) a tebibyte long without writing to it, and computes on.
;; Expected: scratch-full.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size"
    (func $fd_filestat_set_size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "sparse")
  (func (export "_start") (local $error i32)
    (drop (call $path_open (i32.const 5) (i32.const 0) (i32.const 64) (i32.const 6)
      (i32.const 1) (i64.const 4194368) (i64.const 0) (i32.const 0) (i32.const 24)))
    (local.set $error
      (call $fd_filestat_set_size (i32.load (i32.const 24)) (i64.const 1099511627776)))
    (if (local.get $error) (then (call $proc_exit (local.get $error))))
    (loop $for_ever (br $for_ever))))
