;; Leaves a result that is not JSON.
;; Expected: decided by who reads results; the attempt itself succeeds.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "/out")
  (data (i32.const 64) "result.json")
  (data (i32.const 96) "{\"answer\":")
  ;; The directory that the guest knows by the four bytes at 0, for example "/out"; traps when there is none.
  (func $directory (result i32) (local $fd i32)
    (local.set $fd (i32.const 3))
    (loop $next
      (if (call $fd_prestat_get (local.get $fd) (i32.const 8)) (then unreachable))
      (if (i32.eq (i32.load (i32.const 12)) (i32.const 4))
        (then
          (drop (call $fd_prestat_dir_name (local.get $fd) (i32.const 16) (i32.const 4)))
          (if (i32.eq (i32.load (i32.const 16)) (i32.load (i32.const 0)))
            (then (return (local.get $fd))))))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br $next))
    unreachable)
  ;; Makes a file there and writes all of it; exits with the error number when that fails.
  (func $write_file (param $name i32) (param $name_len i32) (param $text i32) (param $len i32)
    (local $error i32)
    (local.set $error
      (call $path_open (call $directory) (i32.const 0) (local.get $name) (local.get $name_len)
        (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24)))
    (if (local.get $error) (then (call $proc_exit (local.get $error))))
    (i32.store (i32.const 32) (local.get $text))
    (i32.store (i32.const 36) (local.get $len))
    (local.set $error
      (call $fd_write (i32.load (i32.const 24)) (i32.const 32) (i32.const 1) (i32.const 40)))
    (if (local.get $error) (then (call $proc_exit (local.get $error))))
    (drop (call $fd_close (i32.load (i32.const 24)))))
  (func (export "_start")
    (call $write_file (i32.const 64) (i32.const 11) (i32.const 96) (i32.const 10))))
